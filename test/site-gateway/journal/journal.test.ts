import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EMPTY_TREE } from '../../../core/data/manifest.ts';
import { attemptId } from '../../../core/ids.ts';
import { PlacedJob } from '../../../proto/gen/grid/v1/site.ts';
import { openLog } from '../../../service/log.ts';
import { NO_USAGE } from '../../../site-gateway/attempts/outcome.ts';
import type { AcceptedAttempt, Journal, Step } from '../../../site-gateway/journal/journal.ts';
import { openJournal } from '../../../site-gateway/journal/open-journal.ts';

const NOW_MS = 1_800_000_000_000;
let dir: string;
let journal: Journal;
const open = (): Journal =>
  openJournal({
    file: join(dir, 'journal.db'),
    nowMs: NOW_MS,
    log: openLog('test', 'silent'),
    onTrouble: () => undefined,
  });
/** What a later run of the gateway finds. */
const reopen = (): void => {
  journal[Symbol.dispose]();
  journal = open();
};
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hanse-journal-'));
  journal = open();
});
afterEach(() => {
  journal[Symbol.dispose]();
  rmSync(dir, { recursive: true });
});

test('a journal of a newer gateway is refused and left as it is', () => {
  journal[Symbol.dispose]();
  const versionOf = (change = ''): unknown => {
    const database = new DatabaseSync(join(dir, 'journal.db'));
    database.exec(change);
    const row = database.prepare('PRAGMA user_version').get();
    database.close();
    return row?.['user_version'];
  };
  const known = Number(versionOf());
  versionOf('PRAGMA user_version = 999');
  expect(open).toThrow(expect.objectContaining({ code: 'STATE_TOO_NEW' }));
  expect(versionOf()).toBe(999);
  versionOf(`PRAGMA user_version = ${known}`);
  journal = open();
});

const attempt = (id: string, jobId = 'job'): AcceptedAttempt => ({
  id: attemptId(id),
  jobId,
  ordinal: 3,
  taskValue: 'x',
  memoryBytes: 2 ** 31,
  queue: 'long',
  job: PlacedJob.create({ owner: { dn: '/CN=Alice' } }),
});
const step = (id: string, state: Step['state'], more: Partial<Step> = {}): Step => ({
  id: attemptId(id),
  state,
  atMs: NOW_MS,
  tell: true,
  ...more,
});
const outcome = {
  exitCode: 0,
  signal: 0,
  reason: '',
  detail: '',
  usage: NO_USAGE,
  outputs: EMPTY_TREE,
};
const told = (afterSeq = 0): readonly string[] =>
  journal.updatesAfter(afterSeq, 100).map(({ attemptId: id, state }) => `${id} ${state}`);

describe('the journal', () => {
  test('is for its owner only', () => {
    expect(statSync(join(dir, 'journal.db')).mode & 0o777).toBe(0o600);
  });

  test('is not opened twice: a second gateway would start everything again', () => {
    expect(() => open()).toThrow(`another gateway uses ${join(dir, 'journal.db')}`);
  });

  test('gives a later run the attempts that have not ended, in order, with all that is known', async () => {
    await journal.accept([attempt('a'), attempt('b'), attempt('c', 'other')], NOW_MS);
    await journal.step(step('b', 'running', { atMs: NOW_MS + 5 }));
    await journal.step(step('a', 'done', { outcome }));
    await journal.intend([attemptId('c'), attemptId('a')], 'cancelled');
    reopen();
    expect(journal.live()).toMatchObject([
      {
        id: 'b',
        state: 'running',
        startedAtMs: NOW_MS + 5,
        ending: '',
        taskValue: 'x',
        memoryBytes: 2 ** 31,
        ordinal: 3,
      },
      { id: 'c', state: 'accepted', startedAtMs: 0, ending: 'cancelled', jobId: 'other' },
    ]);
    expect(journal.live()[0]?.job.owner?.dn).toBe('/CN=Alice');
    expect([...journal.known(['a', 'b', 'z'])]).toEqual(['a', 'b']);
  });

  test('accepts all attempts of a batch or none', async () => {
    await journal.accept([attempt('a')], NOW_MS);
    await expect(journal.accept([attempt('b'), attempt('a')], NOW_MS)).rejects.toThrow(/UNIQUE/);
    expect([...journal.known(['a', 'b'])]).toEqual(['a']);
  });

  test('one change that cannot be made does not spoil those of the same commit', async () => {
    await journal.accept([attempt('a')], NOW_MS);
    const results = await Promise.allSettled([
      journal.accept([attempt('b')], NOW_MS),
      journal.accept([attempt('a')], NOW_MS),
      journal.accept([attempt('c')], NOW_MS),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(journal.known(['a', 'b', 'c']).size).toBe(3);
  });
});

describe('the outbox', () => {
  test('numbers rise, begin at the time of its making, and are not used again after a restart', async () => {
    await journal.accept([attempt('a')], NOW_MS);
    await journal.step(step('a', 'running'));
    const [first] = journal.updatesAfter(0, 1);
    expect(first?.seq).toBe(NOW_MS * 1_000 + 1);
    await journal.acknowledge(first?.seq ?? 0);
    reopen();
    await journal.step(step('a', 'done', { outcome }));
    expect(journal.updatesAfter(0, 10)).toMatchObject([{ seq: (first?.seq ?? 0) + 1 }]);
  });

  test('keeps what was not acknowledged, and nothing is acknowledged before it is told', async () => {
    await journal.acknowledge(Number.MAX_SAFE_INTEGER);
    await journal.accept([attempt('a'), attempt('b')], NOW_MS);
    await journal.step(step('a', 'running'));
    await journal.step(step('b', 'running'));
    expect(told()).toHaveLength(2);
    await journal.acknowledge(journal.updatesAfter(0, 1)[0]?.seq ?? 0);
    expect(told()).toEqual(['b 5']);
  });

  test('of the live outputs of an attempt only the latest is told, and none once it has ended', async () => {
    await journal.accept([attempt('a'), attempt('b')], NOW_MS);
    await journal.step(step('a', 'running'));
    const live = (atMs: number) => ({ tree: EMPTY_TREE, atMs, trouble: '' });
    await journal.tellLive(attemptId('a'), live(1));
    await journal.tellLive(attemptId('b'), live(2));
    reopen();
    await journal.tellLive(attemptId('a'), live(3));
    const updates = (): readonly (readonly [string, number | undefined])[] =>
      journal.updatesAfter(0, 10).map((update) => [update.attemptId, update.live?.atMs]);
    expect(updates()).toEqual([
      ['a', undefined],
      ['b', 2],
      ['a', 3],
    ]);
    const seqs = journal.updatesAfter(0, 10).map(({ seq }) => seq);
    expect(seqs).toEqual(seqs.toSorted((x, y) => x - y));
    await journal.step(step('a', 'done', { outcome }));
    await journal.tellLive(attemptId('a'), live(4));
    expect(updates().at(-1)).toEqual(['a', undefined]);
  });

  test('a step that is not told is in the journal all the same', async () => {
    await journal.accept([attempt('a')], NOW_MS);
    await journal.step(step('a', 'submitted', { tell: false }));
    expect(told()).toEqual([]);
    expect(journal.live()).toMatchObject([{ state: 'submitted' }]);
  });
});

describe('forgetting', () => {
  test('waits for the acknowledgement, then for the directory', async () => {
    await journal.accept([attempt('a')], NOW_MS);
    await journal.step(step('a', 'done', { outcome, atMs: NOW_MS }));
    const later = NOW_MS + 60_000;
    expect(journal.removable(later, 10, 0)).toEqual([]);
    await journal.acknowledge(Number.MAX_SAFE_INTEGER);
    expect(journal.removable(NOW_MS, 10, 0)).toEqual([]);
    expect(journal.removable(later, 10, 0)).toEqual(['a']);
    await journal.forget(later);
    expect(journal.known(['a']).size).toBe(1);
    await journal.removed([attemptId('a')]);
    await journal.forget(later);
    expect(journal.known(['a']).size).toBe(0);
  });
});

test('an epoch counts once it is on the disk, and the highest stays', async () => {
  const raised = [journal.raiseEpoch(9), journal.raiseEpoch(7)];
  expect(journal.epoch()).toBe(0);
  await Promise.all(raised);
  expect(journal.epoch()).toBe(9);
  reopen();
  expect(journal.epoch()).toBe(9);
});

test('epoch, lease, tickets and the name of the journal outlive a restart', async () => {
  const name = journal.id;
  await journal.raiseEpoch(9);
  const lease = { lengthMs: 30_000, endUptimeMs: 77_000, bootId: 'boot' };
  await journal.keepLease(lease);
  const ticket = { vo: 'demo', userJwt: 'j', servers: ['tls://h:1'], expiresAtMs: 5 };
  await journal.keepTickets([ticket]);
  reopen();
  expect(journal.id).toBe(name);
  expect(name).not.toBe('');
  expect(journal.epoch()).toBe(9);
  expect(journal.lease()).toEqual(lease);
  expect(journal.tickets()).toEqual([ticket]);
});
