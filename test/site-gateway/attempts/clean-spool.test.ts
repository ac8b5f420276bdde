import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
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
const AGAIN_MS = 600_000;
const NOW_MS = 1_800_000_000_000;

/** A journal of attempts that have all ended, and of which the broker knows. */
async function endedIn(spool: string, names: readonly string[]): Promise<Journal> {
  const file = join(spool, 'journal.db');
  const journal = openJournal({ file, nowMs: NOW_MS, log, onTrouble: () => undefined });
  await endMore(journal, names);
  return journal;
}

/** Adds attempts to it that have ended in the same way. */
async function endMore(journal: Journal, names: readonly string[]): Promise<void> {
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
}

interface Cleaner {
  (): Promise<void>;
  /** Lets so much time pass. */
  readonly wait: (ms: number) => void;
  readonly said: readonly unknown[];
}

/** Cleans with a clock that goes on by so much at each look. */
function cleanerOf(
  journal: Pick<Journal, 'removable' | 'removed' | 'forget'>,
  spool: string,
  lookMs = 0,
): Cleaner {
  let atMs = 0;
  const clock = {
    nowMs: () => NOW_MS + 1,
    monotonicMs: () => {
      atMs += lookMs;
      return atMs;
    },
  };
  const said: unknown[] = [];
  const write = (line: string): void => void said.push(JSON.parse(line));
  const config = { spool, 'keep-attempts': 0 };
  const clean = openSpoolCleaner({ journal, config, clock, log: pino({}, { write }) });
  const wait = (ms: number): void => {
    atMs += ms;
  };
  return Object.assign(clean, { wait, said });
}

/** Notes how many were passed over at each look. */
function watched(
  journal: Journal,
  from: number[],
): Pick<Journal, 'removable' | 'removed' | 'forget'> {
  return {
    removable: (beforeMs, limit, skipped) => {
      from.push(skipped);
      return journal.removable(beforeMs, limit, skipped);
    },
    removed: (gone) => journal.removed(gone),
    forget: (beforeMs) => journal.forget(beforeMs),
  };
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
  const clean = cleanerOf(watched(journal, from), spool, 600);
  const left: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    await clean();
    left.push(leftIn(spool).length);
  }
  expect(left).toEqual([30, 30, 30, 30, 0]);
  expect(from.slice(0, 4)).toEqual([0, 98, 196, 294]);
  clean.wait(AGAIN_MS);
  await clean();
  expect(from.filter((skipped) => skipped === 0)).toHaveLength(2);
});

test('what resists is tried and told of once in ten minutes, in one line; what ends meanwhile goes at once', async () => {
  const spool = dirs();
  mkdirSync(join(spool, 'attempts'));
  using journal = await endedIn(spool, RESISTING);
  const from: number[] = [];
  const clean = cleanerOf(watched(journal, from), spool);
  await clean();
  const line = {
    directory: join(spool, 'attempts', RESISTING[0] ?? ''),
    directories: RESISTING.length,
    err: expect.objectContaining({ code: 'ENAMETOOLONG' }),
    msg: 'directories could not be removed',
  };
  expect(clean.said).toMatchObject([line]);
  const ids = names(3, 'b');
  make(spool, ids);
  await endMore(journal, ids);
  clean.wait(AGAIN_MS - 1);
  await clean();
  expect(leftIn(spool)).toEqual([]);
  expect(clean.said).toHaveLength(1);
  expect(from.filter((skipped) => skipped === 0)).toHaveLength(1);
  clean.wait(1);
  await clean();
  expect(clean.said).toMatchObject([line, line]);
});
