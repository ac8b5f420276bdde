import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { EMPTY_TREE } from '../../../core/data/manifest.ts';
import { attemptId } from '../../../core/ids.ts';
import { PlacedJob } from '../../../proto/gen/grid/v1/site.ts';
import { openLog } from '../../../service/log.ts';
import { openSpoolCleaner } from '../../../site-gateway/attempts/clean-spool.ts';
import { NO_USAGE } from '../../../site-gateway/attempts/outcome.ts';
import type { Journal } from '../../../site-gateway/journal/journal.ts';
import { openJournal } from '../../../site-gateway/journal/open-journal.ts';
import { testDirs } from '../../support/test-dirs.ts';

const dirs = testDirs('clean');
const log = openLog('test', 'silent');
const NOW_MS = 1_800_000_000_000;

/** A journal of attempts that have all ended, and of which the broker knows. */
async function endedIn(spool: string, names: readonly string[]): Promise<Journal> {
  const file = join(spool, 'journal.db');
  const journal = openJournal({ file, nowMs: NOW_MS, log, onTrouble: () => undefined });
  const ids = names.map(attemptId);
  const common = { ordinal: 0, taskValue: '', memoryBytes: 0, queue: '', jobId: 'job' };
  const job = PlacedJob.create({});
  await journal.accept(
    ids.map((id) => ({ ...common, id, job })),
    NOW_MS,
  );
  const said = { exitCode: 0, signal: 0, reason: '', detail: '' };
  const outcome = { ...said, usage: NO_USAGE, outputs: EMPTY_TREE };
  const end = { state: 'done', atMs: NOW_MS, outcome, tell: true } as const;
  await Promise.all(ids.map((id) => journal.step({ id, ...end })));
  await journal.acknowledge(Number.MAX_SAFE_INTEGER);
  return journal;
}

/** Cleans with a clock that goes on by so much at each look. */
function cleanerOf(
  journal: Pick<Journal, 'removable' | 'removed' | 'forget'>,
  spool: string,
  lookMs = 0,
): () => Promise<void> {
  let atMs = 0;
  const clock = {
    nowMs: () => NOW_MS + 1,
    monotonicMs: () => {
      atMs += lookMs;
      return atMs;
    },
  };
  return openSpoolCleaner({ journal, config: { spool, 'keep-attempts': 0 }, clock, log });
}

const names = (count: number, prefix: string): readonly string[] =>
  Array.from({ length: count }, (_, at) => `${prefix}${at}`);
const make = (spool: string, some: readonly string[]): void => {
  for (const id of some) mkdirSync(join(spool, 'attempts', id, 'work'), { recursive: true });
};
const leftIn = (spool: string): readonly string[] => readdirSync(join(spool, 'attempts'));

test('what has ended goes however much it is: a busy site ends more than one look removes', async () => {
  const spool = dirs();
  const ids = names(450, 'a');
  make(spool, ids);
  using journal = await endedIn(spool, ids);
  await cleanerOf(journal, spool)();
  expect(leftIn(spool)).toEqual([]);
});

/** No file system has such a name, so that none can be removed. */
const RESISTING = names(430, `a${'x'.repeat(300)}`);

test('what resists keeps nothing that ended after it', async () => {
  const spool = dirs();
  const ids = names(30, 'b');
  make(spool, ids);
  using journal = await endedIn(spool, [...RESISTING, ...ids]);
  await cleanerOf(journal, spool)();
  expect(leftIn(spool)).toEqual([]);
  expect(journal.removable(NOW_MS + 1, 1_000, 0)).toHaveLength(RESISTING.length);
});

test('a round that takes long ends, the next goes on from there, and what resisted is tried again', async () => {
  const spool = dirs();
  const ids = names(30, 'b');
  make(spool, ids);
  using journal = await endedIn(spool, [...RESISTING, ...ids]);
  const from: number[] = [];
  const removable: Journal['removable'] = (beforeMs, limit, skipped) => {
    from.push(skipped);
    return journal.removable(beforeMs, limit, skipped);
  };
  const removed: Journal['removed'] = (gone) => journal.removed(gone);
  const forget: Journal['forget'] = (beforeMs) => journal.forget(beforeMs);
  const clean = cleanerOf({ removable, removed, forget }, spool, 600);
  const left: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    await clean();
    left.push(leftIn(spool).length);
  }
  expect(left).toEqual([30, 30, 30, 30, 0]);
  expect(from.slice(0, 4)).toEqual([0, 98, 196, 294]);
  await clean();
  expect(from.filter((skipped) => skipped === 0)).toHaveLength(2);
});
