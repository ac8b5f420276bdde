import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommand } from '../../cli/run-command.ts';
import type { TreeRef } from '../../core/data/manifest.ts';
import { sendTree } from '../../service/staging/send-tree.ts';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
import { startTestNats, type TestNats, testNatsBinary } from '../fakes/nats.ts';
import { startTestSite, type TestSite } from '../fakes/test-site.ts';

const SIZE = 200_000;
let grid: LiveGrid;
let nats: TestNats;
let site: TestSite;
let member: ReturnType<TestNats['open']>;
let scratch: string;
let config: string;
let spool: string;
beforeAll(async () => {
  grid = await openLiveGrid();
  nats = await startTestNats({ binary: await testNatsBinary(), vos: ['demo'] });
  await writeFile(join(grid.trustDir, 'nats.pem'), nats.caPem);
  site = await startTestSite(grid, 'cached', ['cpus: 2', 'keep-attempts: 0s', 'cache-high: 350K']);
  config = join(grid.dir, 'cached', 'site.yaml');
  spool = join(grid.dir, 'cached', 'spool');
  member = nats.open('demo');
  scratch = await mkdtemp(join(tmpdir(), 'hanse-cache-'));
  await site.giveTicket(nats.accounts, 'demo');
});
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await member[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
  await grid[Symbol.asyncDispose]();
  await rm(scratch, { recursive: true });
});

const treeOf = async (fill: string): Promise<TreeRef> => {
  const root = await mkdtemp(join(scratch, 'in-'));
  await writeFile(join(root, 'data'), fill.repeat(SIZE));
  return (await sendTree(member, { root, paths: ['data'] })).tree;
};

let count = 0;
/** Runs a task with this input; gives the bytes that came over the network for it. */
const bytesIn = async (tree: TreeRef): Promise<number> => {
  count += 1;
  const id = `c-${count}`;
  const spec = { command: ['wc', '-c', 'data'], inputs: [{ from: 'data', to: 'data' }] };
  await site.place([{ id, spec, inputs: tree }]);
  const { failure, usage } = await site.outcomeOf(id);
  expect(failure).toBeUndefined();
  return usage.bytesIn;
};

const cli = async (...argv: readonly string[]): Promise<{ exit: number; out: string }> => {
  const out: string[] = [];
  const exit = await runCommand([...argv, '--config', config], {
    env: {},
    cwd: scratch,
    userHome: scratch,
    signal: new AbortController().signal,
    version: 'test',
    stdout: (text) => out.push(text),
    stderr: (text) => out.push(text),
    writeBytes: () => Promise.resolve(),
    readStdin: () => Promise.resolve(''),
    codeOfSignal: () => 130,
    stdoutIsTerminal: false,
    stderrIsTerminal: false,
    columns: 80,
  });
  return { exit, out: out.join('') };
};

const cached = async (): Promise<{ readonly files: number; readonly bytes: number }> =>
  JSON.parse((await cli('site', 'cache', 'ls', '--json')).out) as { files: number; bytes: number };

/** Lets all that is cached look as if it had been used an hour ago. */
const letAge = async (): Promise<void> => {
  const names = await readdir(join(spool, 'cache'), { recursive: true });
  const hourAgo = Date.now() / 1_000 - 3_600;
  for (const name of names.filter((path) => /[0-9a-f]{64}/.test(path)))
    await utimes(join(spool, 'cache', name), hourAgo, 978_307_200);
};

test('the administrator sees what is cached, takes it out, and it is fetched again when wanted', async () => {
  const tree = await treeOf('a');
  expect(await bytesIn(tree)).toBeGreaterThanOrEqual(SIZE);
  expect(await bytesIn(tree)).toBe(0);
  expect(await cached()).toMatchObject({ files: 1, bytes: SIZE });
  expect((await cli('site', 'cache', 'verify')).out).toContain('1 file, all sound');
  const young = await cli('site', 'cache', 'prune', '--keep', '0');
  expect(young.out).toContain('0 files taken out');
  expect(young.out).toContain('left: 1 file, 195 KiB, which a task has or which was used');
  await letAge();
  const pruned = await cli('site', 'cache', 'prune', '--keep', '0');
  expect(pruned.out).toContain('1 file taken out');
  expect(pruned.out).not.toContain('stay');
  expect(await bytesIn(tree)).toBeGreaterThanOrEqual(SIZE);
});

test.for([
  ['a link to nowhere', 'cache', (at: string) => symlink('/nowhere', at)],
  ['a file', 'cache/demo/partial', (at: string) => writeFile(at, '')],
] as const)('%s in the place of %s is the fault of the site', async ([, folder, put]) => {
  await bytesIn(await treeOf('m'));
  const at = join(spool, folder);
  await rename(at, `${at}-before`);
  await put(at);
  const spec = { command: ['true'], inputs: [{ from: 'data', to: 'data' }] };
  const id = `without-${count}`;
  await site.place([{ id, spec, inputs: await treeOf('n') }]);
  const outcome = await site.outcomeOf(id);
  expect(outcome).toMatchObject({ failure: 'site', reason: 'SPOOL_UNWRITABLE' });
  await rm(at);
  await rename(`${at}-before`, at);
  await bytesIn(await treeOf('o'));
});

test('above its upper bound the cache is cleared by itself', async () => {
  await letAge();
  expect(await bytesIn(await treeOf('b'))).toBeGreaterThanOrEqual(SIZE);
  await expect.poll(cached).toMatchObject({ files: 1, bytes: SIZE });
});

test('of two gateways of one site the second does not start, and touches nothing of the first', async () => {
  const tree = await treeOf('c');
  await bytesIn(tree);
  const second = spawn(
    process.execPath,
    [join(import.meta.dirname, '../../cli/main.ts'), 'site', 'serve', '--config', config],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  second.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const [code] = (await once(second, 'close')) as [number];
  expect([code, said]).toEqual([2, expect.stringContaining('another gateway uses')]);
  expect(await bytesIn(tree)).toBe(0);
});

test('a size that is none is refused', async () => {
  const { exit, out } = await cli('site', 'cache', 'prune', '--keep', 'lots');
  expect([exit, out]).toEqual([2, expect.stringContaining("'lots' is no size")]);
});
