import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { filesOf } from '../../core/data/select.ts';
import { GridError } from '../../core/errors.ts';
import { attemptId } from '../../core/ids.ts';
import { PlacedJob } from '../../proto/gen/grid/v1/site.ts';
import { pause } from '../../service/background.ts';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import { liveFromWire, specToWire } from '../../service/rpc/wire.ts';
import { loadManifest, readTreeFile } from '../../service/staging/read-tree.ts';
import { type Attempt, attemptOf } from '../../site-gateway/attempts/attempt.ts';
import { NO_USAGE } from '../../site-gateway/attempts/outcome.ts';
import type { AcceptedAttempt, Journal } from '../../site-gateway/journal/journal.ts';
import { openJournal } from '../../site-gateway/journal/open-journal.ts';
import { openLiveOutputs } from '../../site-gateway/live/live-outputs.ts';
import type { TaskEnd } from '../../site-gateway/lrms/lrms.ts';
import { openTransferQueue } from '../../site-gateway/staging/transfer-turns.ts';
import { type MemoryStore, memoryStore } from '../fakes/memory-store.ts';
import { specOf } from '../fakes/offers.ts';
import { eventually } from '../support/local-grid.ts';

const log = openLog('test', 'silent');
const ID = 'jabcd0123456.0.1';
let spool: string;
let journal: Journal;
let store: MemoryStore;
let attempt: Attempt;
let laterMs: number;
beforeEach(async () => {
  laterMs = 0;
  spool = mkdtempSync(join(tmpdir(), 'hanse-live-'));
  const file = join(spool, 'journal.db');
  journal = openJournal({ file, nowMs: Date.now(), log, onTrouble: () => undefined });
  store = memoryStore();
  const spec = specOf({ outputs: ['log/*', 'end'], liveOutputs: ['log/*'] });
  const accepted: AcceptedAttempt = {
    id: attemptId(ID),
    jobId: 'jabcd0123456',
    ordinal: 0,
    taskValue: '',
    memoryBytes: 0,
    queue: '',
    job: PlacedJob.create({ spec: specToWire(spec), owner: { dn: '/CN=Alice' } }),
  };
  await journal.accept([accepted], Date.now());
  attempt = attemptOf(spool, accepted);
  write('stdout', 'hello\n');
  write('work/log/a.csv', '1\n');
  write('work/other', 'not live');
});
afterEach(() => {
  attempt.task.resolve(END);
  journal[Symbol.dispose]();
  rmSync(spool, { recursive: true });
});
const END: TaskEnd = { kind: 'exited', exitCode: 0, usage: NO_USAGE, leftBehind: [] };

/** By this process so far. */
const bytesRead = (): number =>
  Number(/^rchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);

const placeOf = (path: string): string => join(attempt.directory, path);
const write = (path: string, text: string | Uint8Array): void => {
  mkdirSync(dirname(placeOf(path)), { recursive: true });
  writeFileSync(placeOf(path), text);
};

const begin = (storeOf: () => MemoryStore = () => store): void =>
  openLiveOutputs({
    everyMs: 60,
    storeOf,
    transfers: openTransferQueue({ most: 1, 'per-vo': 1 }),
    journal,
    clock: { ...systemClock, nowMs: () => systemClock.nowMs() + laterMs },
    log,
  }).begin(attempt);

/** The live outputs as the broker is told of them, once they are `such`. */
const told = (such: (live: ReturnType<typeof liveFromWire>) => boolean | Promise<boolean>) =>
  eventually('the live outputs', 60_000, async () => {
    const [update] = journal.updatesAfter(0, 10);
    if (update?.live === undefined) return undefined;
    const live = liveFromWire(update.live);
    return (await such(live)) ? live : undefined;
  });
const contentOf = async (tree: ReturnType<typeof liveFromWire>['tree']) => {
  if (tree.digest === '') return {};
  const manifest = await loadManifest(store, tree);
  const texts = filesOf(manifest).map(async ({ path }) => {
    const parts: Uint8Array[] = [];
    for await (const part of readTreeFile(store, tree, path)) parts.push(part);
    return [path, Buffer.concat(parts).toString()] as const;
  });
  return Object.fromEntries(await Promise.all(texts));
};

test('what is live is sent as it grows, with the streams, and costs only what is new', async () => {
  write('work/log/big', Buffer.alloc(3 * 2 ** 20, 'x'));
  begin();
  const first = await told(({ tree }) => tree.files === 3);
  expect(Object.keys(await contentOf(first.tree))).toEqual([
    '.grid/stdout',
    'log/a.csv',
    'log/big',
  ]);
  const before = new Set(store.chunks.keys());
  appendFileSync(placeOf('work/log/a.csv'), '2\n');
  const second = await told(({ tree }) => tree.digest !== first.tree.digest);
  expect(await contentOf(second.tree)).toMatchObject({ 'log/a.csv': '1\n2\n' });
  const fresh = [...store.chunks].filter(([digest]) => !before.has(digest));
  expect(fresh.reduce((sum, [, bytes]) => sum + bytes.length, 0)).toBeLessThan(100);
});

test('a file that is written without a pause is had as long as it was', async () => {
  const endless = 'i=0; while :; do seq $i $((i+999)); i=$((i+1000)); done > log/rows';
  const writer = spawn('sh', ['-c', endless], { cwd: placeOf('work'), stdio: 'ignore' });
  try {
    await eventually('more than a chunk', 50_000, () => {
      const stats = statSync(placeOf('work/log/rows'), { throwIfNoEntry: false });
      return Promise.resolve((stats?.size ?? 0) > 1.2 * 2 ** 20 || undefined);
    });
    begin();
    const { tree } = await told((live) => live.tree.files === 3);
    expect(tree.totalBytes).toBeGreaterThan(1.2 * 2 ** 20);
    const rows = ((await contentOf(tree))['log/rows'] ?? '').split('\n').slice(0, -1);
    expect(rows.findIndex((row, index) => row !== String(index))).toBe(-1);
  } finally {
    const gone = once(writer, 'exit');
    writer.kill('SIGKILL');
    await gone;
  }
}, 60_000);

test('of many files only those are read that have been written since', async () => {
  write('work/log/big', randomBytes(24 * 2 ** 20));
  // A file that was written less than two seconds ago is read again.
  laterMs = 10_000;
  begin();
  const first = await told(({ tree }) => tree.files === 3);
  const before = bytesRead();
  appendFileSync(placeOf('work/log/a.csv'), '2\n');
  const second = await told(({ tree }) => tree.digest !== first.tree.digest);
  expect(bytesRead() - before).toBeLessThan(8 * 2 ** 20);
  expect((await contentOf(second.tree))['log/a.csv']).toBe('1\n2\n');
}, 60_000);

test('a task that removes its own directory still has its streams', async () => {
  rmSync(placeOf('work'), { recursive: true });
  begin();
  const { tree, trouble } = await told(() => true);
  expect([Object.keys(await contentOf(tree)), trouble]).toEqual([['.grid/stdout'], '']);
});

test('a store that is full ends nothing: it is told, and told again when there is room', async () => {
  let isFull = true;
  const full: MemoryStore = {
    ...store,
    put: (...args) =>
      isFull
        ? Promise.reject(new GridError('STORE_QUOTA', 'the store of demo is full'))
        : store.put(...args),
  };
  begin(() => full);
  const refused = await told(() => true);
  expect(refused).toMatchObject({
    tree: { digest: '' },
    trouble: 'STORE_QUOTA: the store of demo is full',
  });
  isFull = false;
  expect(await told(({ trouble }) => trouble === '')).toMatchObject({ tree: { files: 2 } });
});

test('where an output is none that can be kept the streams come alone, and it says why', async () => {
  symlinkSync('/etc/passwd', placeOf('work/log/secret'));
  begin();
  const { tree, trouble } = await told(() => true);
  expect(Object.keys(await contentOf(tree))).toEqual(['.grid/stdout']);
  expect(trouble).toContain('PATH_REFUSED: path "work/log/secret" is a link to \'/etc/passwd\'');
  rmSync(placeOf('work/log/secret'));
  expect(await told((live) => live.trouble === '')).toMatchObject({ tree: { files: 2 } });
});

test('a link to another file of the attempt is none into the directory of the task', async () => {
  symlinkSync('../../stdout', placeOf('work/log/out'));
  begin();
  expect((await told(() => true)).trouble).toContain(
    'path "log/out" is a link that leads out of the tree',
  );
});

test('nothing more is told once the task has ended', async () => {
  begin();
  await told(() => true);
  attempt.task.resolve(END);
  await pause(0);
  const count = store.calls.put;
  appendFileSync(placeOf('work/log/a.csv'), '2\n');
  await pause(300);
  expect(store.calls.put).toBe(count);
});
