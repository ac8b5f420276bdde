import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { transferCommand } from '../../core/job/transfer.ts';
import type { VoTransfers } from '../../proto/gen/grid/v1/common.ts';
import { State } from '../../proto/gen/grid/v1/common.ts';
import { halfNamesOf } from '../../service/staging/half-files.ts';
import { sendTree } from '../../service/staging/send-tree.ts';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
import { startTestNats, type TestNats, testNatsBinary } from '../fakes/nats.ts';
import { EPOCH, type Placed, startTestSite, type TestSite } from '../fakes/test-site.ts';

const BYTES = 200_000;
const nameOf = (person: string): string => `/DC=org/DC=test/CN=${person}`;

let grid: LiveGrid;
let nats: TestNats;
let site: TestSite;
let member: ReturnType<TestNats['open']>;
let scratch: string;
beforeAll(async () => {
  grid = await openLiveGrid();
  nats = await startTestNats({ binary: await testNatsBinary(), vos: ['demo'] });
  await writeFile(join(grid.trustDir, 'nats.pem'), nats.caPem);
  scratch = await mkdtemp(join(tmpdir(), 'hanse-turns-'));
  await mkdir(join(scratch, 'open'));
  site = await startTestSite(grid, 'turns', [
    'cpus: 8',
    'max-rate: 500K',
    'transfers: { most: 1, per-vo: 1 }',
    `data-paths: [{ path: ${scratch}/open, vos: [demo], access: write }]`,
  ]);
  member = nats.open('demo');
  await site.giveTicket(nats.accounts, 'demo');
});
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await member[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
  await grid[Symbol.asyncDispose]();
  await rm(scratch, { recursive: true });
});

/** An attempt of a person with an input of its own. */
const attemptOf = async (
  id: string,
  owner: string,
  command: readonly string[],
  bytes = BYTES,
): Promise<Placed> => {
  const root = await mkdtemp(join(scratch, 'in-'));
  await writeFile(join(root, 'data'), randomBytes(bytes));
  const { tree } = await sendTree(member, { root, paths: ['.'] });
  const inputs = [{ from: 'data', to: 'data' }];
  return { id, owner: nameOf(owner), spec: { command, inputs }, inputs: tree };
};

test('users come in turn, jobs before the background, one at a time, and all of it can be seen', async () => {
  const first = await attemptOf('ada-1', 'Ada', ['true'], 20 * BYTES);
  const rest = [await attemptOf('warm', 'Ada', transferCommand({ kind: 'warm' }))];
  for (const id of ['ada-2', 'ada-3', 'ada-4']) rest.push(await attemptOf(id, 'Ada', ['true']));
  rest.push(await attemptOf('bob', 'Bob', ['true']));
  const seen: VoTransfers[] = [];
  const untilSeen = (waiting: number, background: number): Promise<void> =>
    expect
      .poll(
        async () => {
          const { transfers } = await site.call().inspect({ epoch: EPOCH });
          seen.push(...transfers);
          return transfers;
        },
        { interval: 10 },
      )
      .toEqual([{ vo: 'demo', moving: 1, waiting, background }]);
  await site.place([first]);
  await untilSeen(0, 0);
  await site.place(rest);
  await untilSeen(5, 1);
  const attempts = [first, ...rest];
  const updates = await site.untilEnded(attempts.map(({ id }) => id));
  const begun = updates.filter(
    ({ state, attemptId }) =>
      state === State.STATE_STAGING_IN || (attemptId === 'warm' && state === State.STATE_RUNNING),
  );
  // Whose directory is made first is first among those of one user.
  expect(begun.map(({ attemptId }) => attemptId.replace(/ada-[2-4]/, 'ada'))).toEqual([
    ...['ada-1', 'bob', 'ada', 'ada', 'ada', 'warm'],
  ]);
  const done = updates.filter(({ state }) => state === State.STATE_DONE);
  expect(done).toHaveLength(attempts.length);
  expect(Math.max(...seen.map(({ moving }) => moving))).toBe(1);
  expect((await site.call().inspect({ epoch: EPOCH })).transfers).toEqual([]);
});

test('one that is cancelled while it waits does not keep the others waiting', async () => {
  const attempts: Placed[] = [];
  for (const id of ['first', 'gone', 'last']) attempts.push(await attemptOf(id, 'Ada', ['true']));
  await site.place(attempts);
  await site.call().control({ epoch: EPOCH, cancel: ['gone'], acknowledgedSeq: 0 });
  const states = await Promise.all(
    attempts.map(async ({ id }) => (await site.outcomeOf(id)).state),
  );
  expect(states).toEqual([State.STATE_DONE, State.STATE_CANCELLED, State.STATE_DONE]);
  expect((await site.call().inspect({ epoch: EPOCH })).transfers).toEqual([]);
});

test('a gateway that is killed while it copies goes on within a file, and leaves no half one', async () => {
  const id = 'cut';
  const path = join(scratch, 'open', id);
  const names = () => readdir(path).catch(() => []);
  // Two seconds for each MiB of it, so that it is seen in the middle.
  const data = randomBytes(2 ** 22);
  const root = await mkdtemp(join(scratch, 'in-'));
  await writeFile(join(root, 'data'), data);
  const { tree } = await sendTree(member, { root, paths: ['.'] });
  const command = transferCommand({ kind: 'write', path, force: false });
  await site.place([
    { id, owner: nameOf('Ada'), spec: { command }, inputTrees: [{ tree, to: '.' }] },
  ]);
  await expect.poll(names).toEqual([expect.stringMatching(/^\.grid-.*\.part$/)]);
  // Chunks of it, and not only its name.
  const size = async () => (await stat(join(path, (await names())[0] ?? ''))).size;
  await expect.poll(size).toBeGreaterThan(0);
  await site.kill();
  expect(await names()).toEqual([expect.stringMatching(/\.part$/)]);
  const there = Math.floor((await size()) / 2 ** 20) * 2 ** 20;
  // As one that is killed while it tries out names.
  await mkdir(join(path, `${halfNamesOf(id).probe}a1`));
  await writeFile(join(path, `${halfNamesOf(id).probe}a1`, 'name'), '');
  await site.start();
  await site.giveTicket(nats.accounts, 'demo');
  const outcome = await site.outcomeOf(id);
  expect(outcome).toMatchObject({ exitCode: 0, reason: '' });
  // What was there of it has not come again.
  expect(outcome.usage?.bytesIn).toBe(data.byteLength - there);
  expect(await names()).toEqual(['data']);
  expect(data.equals(await readFile(join(path, 'data')))).toBe(true);
});

test('a copy that is given up while its gateway is dead leaves no half file', async () => {
  const path = join(scratch, 'open', 'given-up');
  const names = () => readdir(join(path, 'deep')).catch(() => []);
  const root = await mkdtemp(join(scratch, 'in-'));
  // So many that the list of them has to be fetched, too.
  for (let n = 0; n < 200; n += 1) await writeFile(join(root, String(n)), '');
  await mkdir(join(root, 'deep'));
  await writeFile(join(root, 'deep', 'data'), randomBytes(2 ** 22));
  const { tree } = await sendTree(member, { root, paths: ['.'] });
  expect(tree.manifest).toBeUndefined();
  const command = transferCommand({ kind: 'write', path, force: false });
  await site.place([
    { id: 'given-up', owner: nameOf('Ada'), spec: { command }, inputTrees: [{ tree, to: '.' }] },
  ]);
  await expect.poll(names).toEqual([expect.stringMatching(/^\.grid-.*\.part$/)]);
  await site.kill();
  // Somebody else's stays.
  await writeFile(join(path, 'deep', '.grid-other-1.part'), '');
  await mkdir(join(path, 'deep', `${halfNamesOf('given-up').probe}a1`));
  await nats.crash();
  await site.start();
  await site.call().control({ epoch: EPOCH, cancel: ['given-up'], acknowledgedSeq: 0 });
  expect((await site.outcomeOf('given-up')).state).toBe(State.STATE_CANCELLED);
  expect(await names()).toEqual(['.grid-other-1.part']);
  await nats.start();
});
