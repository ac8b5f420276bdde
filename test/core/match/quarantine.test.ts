import { expect, test } from 'vitest';
import { dn, type JobId, jobId } from '../../../core/ids.ts';
import {
  type Conduct,
  type Ended,
  GOOD_CONDUCT,
  isOfJob,
  leftAloneMs,
  MAX_QUARANTINE_MS,
  noteFailure,
  quarantineText,
  speaksOf,
} from '../../../core/match/quarantine.ts';

const NOW_MS = 1_000_000_000;
const [ONE, OTHER] = [jobId('one'), jobId('other')];
const [ALICE, BOB] = [dn('/CN=Alice'), dn('/CN=Bob')];
const MINUTE_MS = 60_000;

/** A site that failed tasks of these jobs one after another. */
const after = (
  jobs: readonly JobId[],
  doesWellElsewhere = false,
  before: Conduct = GOOD_CONDUCT,
  reason = 'START_FAILED',
): Conduct =>
  jobs.reduce(
    (conduct, job) =>
      noteFailure(
        conduct,
        { job, owner: ALICE, doesWellElsewhere, reason, detail: 'no fork' },
        NOW_MS,
      ),
    before,
  );
const untilOf = ({ quarantine }: Conduct): number => (quarantine?.untilMs ?? 0) - NOW_MS;

test.each<[Omit<Ended, 'reason'> & Partial<Ended>, string]>([
  [{ failure: undefined, ranMs: 0 }, 'well'],
  [{ failure: 'job', ranMs: 5 }, 'well'],
  [{ failure: 'limit', ranMs: 5 }, 'well'],
  [{ failure: 'site', ranMs: 0 }, 'badly'],
  [{ failure: 'site', ranMs: 29_000 }, 'badly'],
  [{ failure: 'site', ranMs: MINUTE_MS }, 'nothing'],
  [{ failure: 'site', reason: 'IMAGE_FAILED', ranMs: 0 }, 'nothing'],
  [{ failure: 'site', reason: 'MODULE_FAILED', ranMs: 0 }, 'nothing'],
  [{ failure: 'data', ranMs: 0 }, 'nothing'],
  [{ failure: 'owner', ranMs: 0 }, 'nothing'],
  [{ failure: 'credential', ranMs: 0 }, 'nothing'],
])('%o speaks of its site: %s', (ended, word) =>
  expect(speaksOf({ reason: 'START_FAILED', ...ended })).toBe(word),
);

test('five failures in a row of more than one job close a site, four do not', () => {
  expect(after([ONE, ONE, OTHER, ONE]).quarantine).toBeUndefined();
  const { quarantine } = after([ONE, ONE, ONE, ONE, OTHER]);
  expect(quarantine).toEqual({
    why: '5 attempts in a row failed there at once, the last: START_FAILED: no fork',
    times: 1,
    untilMs: NOW_MS + MINUTE_MS,
  });
});

test('a broken job does not close a site, an array that does well elsewhere does', () => {
  const broken = after(Array.from({ length: 100 }, () => ONE));
  expect(broken.quarantine).toBeUndefined();
  expect(after([OTHER], false, broken).quarantine).toBeDefined();
  expect(after([ONE, ONE, ONE, ONE, ONE], true).quarantine).toBeDefined();
});

test.each(['TASK_VANISHED', 'SITE_REFUSED'])(
  '%s, which a job may bring upon itself, closes a site only when more than one person met it',
  (reason) => {
    const hers = after([ONE, OTHER, ONE, OTHER, ONE, OTHER], false, GOOD_CONDUCT, reason);
    expect(hers.quarantine).toBeUndefined();
    const his = { job: jobId('his'), owner: BOB, doesWellElsewhere: false, reason, detail: 'gone' };
    expect(noteFailure(hers, his, NOW_MS).quarantine?.times).toBe(1);
  },
);

test.each([
  ['IMAGE_FAILED', true],
  ['TOO_LARGE', true],
  ['REQUEST_INVALID', true],
  ['START_FAILED', false],
  ['SITE_REFUSED', false],
])('whether %s is about the job alone: %s', (reason, is) => expect(isOfJob(reason)).toBe(is));

test('each try that fails doubles the pause, up to an hour', () => {
  let conduct = after([ONE, ONE, ONE, ONE, OTHER]);
  const pauses: number[] = [];
  for (let n = 0; n < 8; n += 1) {
    pauses.push(untilOf(conduct) / MINUTE_MS);
    conduct = after([ONE], false, conduct);
  }
  expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
});

test('when the clock jumps an hour the site is tried early, never late', () => {
  const quarantine = { why: 'it fails', times: 1, untilMs: NOW_MS + MINUTE_MS };
  expect(leftAloneMs(quarantine, NOW_MS + 20_000)).toBe(40_000);
  expect(leftAloneMs(quarantine, NOW_MS + MAX_QUARANTINE_MS)).toBe(0);
  expect(leftAloneMs(quarantine, NOW_MS - MAX_QUARANTINE_MS)).toBe(0);
  expect(quarantineText(quarantine, NOW_MS + 20_000)).toBe(
    'it fails; it is tried again in 40.0 s, with one task',
  );
  expect(quarantineText(quarantine, NOW_MS + MINUTE_MS)).toBe(
    'it fails; it is being tried, with one task',
  );
});
