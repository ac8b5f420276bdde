import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TreeRef } from '../../core/data/manifest.ts';
import { filesOf } from '../../core/data/select.ts';
import { State, Stream } from '../../proto/gen/grid/v1/common.ts';
import { treeFromWire, treeToWire } from '../../service/rpc/wire.ts';
import { chunkName } from '../../service/staging/chunk-cipher.ts';
import { fetchTree } from '../../service/staging/fetch-tree.ts';
import { loadManifest } from '../../service/staging/read-tree.ts';
import { sendTree } from '../../service/staging/send-tree.ts';
import { treeChunks } from '../../service/staging/tree-chunks.ts';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
import { startTestNats, type TestNats, testNatsBinary } from '../fakes/nats.ts';
import { EPOCH, type Placed, startTestSite, type TestSite } from '../fakes/test-site.ts';

let grid: LiveGrid;
let nats: TestNats;
let site: TestSite;
let member: ReturnType<TestNats['open']>;
let scratch: string;
beforeAll(async () => {
  grid = await openLiveGrid();
  nats = await startTestNats({ binary: await testNatsBinary(), vos: ['demo'] });
  await writeFile(join(grid.trustDir, 'nats.pem'), nats.caPem);
  site = await startTestSite(grid, 'staging', ['cpus: 4', 'keep-attempts: 0s', 'live-every: 1s']);
  member = nats.open('demo');
  scratch = await mkdtemp(join(tmpdir(), 'hanse-staging-'));
  await site.giveTicket(nats.accounts, 'demo');
});
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await member[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
  await grid[Symbol.asyncDispose]();
  await rm(scratch, { recursive: true });
});

let count = 0;
const run = async (
  command: readonly string[],
  part: Partial<Placed['spec']> = {},
  more: Partial<Placed> = {},
) => {
  count += 1;
  const id = `staged-${count}`;
  await site.place([{ id, spec: { command, ...part }, ...more }]);
  return { id, ...(await site.outcomeOf(id)) };
};

/** A tree of files with these contents. */
const sent = async (files: Readonly<Record<string, string>>): Promise<TreeRef> => {
  const root = await mkdtemp(join(scratch, 'in-'));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(root, path, '..'), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return (await sendTree(member, { root, paths: ['.'] })).tree;
};

/** The files of a tree, by path. */
const contentOf = async (tree: TreeRef): Promise<Readonly<Record<string, string>>> => {
  const target = await mkdtemp(join(scratch, 'out-'));
  await fetchTree(member, tree, target);
  const { entries } = await loadManifest(member, tree);
  const files = filesOf({ entries });
  const texts = files.map(async ({ path }) => [path, await readFile(join(target, path), 'utf8')]);
  return Object.fromEntries(await Promise.all(texts));
};

describe('inputs and outputs', () => {
  test('a task reads its inputs where it wants them, and its outputs and streams come back', async () => {
    const inputs = await sent({
      'data/a.txt': 'alpha\n',
      'data/b.txt': 'beta\n',
      'run.sh': 'cat in/*; echo oops >&2; mkdir out; wc -l <in/a.txt >out/lines; touch extra',
    });
    const outcome = await run(
      ['sh', 'run.sh'],
      {
        inputs: [
          { from: 'data', to: 'in' },
          { from: 'run.sh', to: 'run.sh' },
        ],
        outputs: ['out', '*.sh'],
      },
      { inputs },
    );
    // `*.sh` matches only what was staged in, and that is no output.
    expect(outcome).toMatchObject({ reason: 'OUTPUT_MISSING' });
    expect(outcome.detail).toContain("'*.sh'");
    expect(await contentOf(outcome.outputs)).toEqual({
      '.grid/stdout': 'alpha\nbeta\n',
      '.grid/stderr': 'oops\n',
      'out/lines': '1\n',
    });
    expect(outcome.usage.bytesIn).toBeGreaterThan(0);
    expect(outcome.usage.bytesOut).toBeGreaterThan(0);
  });

  test('an input that is named as an output comes back', async () => {
    const inputs = await sent({ 'model.txt': 'weights' });
    const outcome = await run(
      ['true'],
      { inputs: [{ from: 'model.txt', to: 'model.txt' }], outputs: ['model.txt'] },
      { inputs },
    );
    expect(outcome).toMatchObject({ state: State.STATE_DONE });
    expect(await contentOf(outcome.outputs)).toMatchObject({ 'model.txt': 'weights' });
  });

  test('the same input is fetched once for many tasks, and a task cannot spoil it for another', async () => {
    const text = 'x'.repeat(100_000);
    const inputs = await sent({ 'big.txt': text });
    const part = { inputs: [{ from: 'big.txt', to: 'big.txt' }], outputs: ['sum'] };
    const spoil = ['sh', '-c', 'sha256sum big.txt >sum; chmod u+w big.txt; echo spoilt >>big.txt'];
    const first = await run(spoil, part, { inputs });
    const second = await run(spoil, part, { inputs });
    expect(first.usage.bytesIn).toBeGreaterThanOrEqual(100_000);
    const [{ sum }, { sum: again }] = [
      await contentOf(first.outputs),
      await contentOf(second.outputs),
    ];
    expect(again).toBe(sum);
  });

  test("another job's outputs appear below their place, without its streams", async () => {
    const tree = await sent({ 'part.csv': '1,2\n', '.grid/stdout': 'chatter' });
    const outcome = await run(
      ['sh', '-c', 'find parts -type f | sort'],
      { inputs: [{ from: 'job:j-1', to: 'parts/7' }] },
      { inputTrees: [{ tree, to: 'parts/7' }] },
    );
    expect(await contentOf(outcome.outputs)).toMatchObject({
      '.grid/stdout': 'parts/7/part.csv\n',
    });
  });

  test('a file of one tree is put over one of another only where they are the same', async () => {
    const inputs = await sent({ a: 'one' });
    const beside = async (files: Readonly<Record<string, string>>, to: string) =>
      run(
        ['cat', 'parts/a'],
        { inputs: [{ from: 'a', to: 'parts/a' }] },
        { inputs, inputTrees: [{ tree: await sent(files), to }] },
      );
    expect(await beside({ a: 'one', b: 'two' }, 'parts')).toMatchObject({
      state: State.STATE_DONE,
    });
    const refused = { failure: 'data', reason: 'PATH_REFUSED' };
    const differs = await beside({ a: 'two' }, 'parts');
    expect(differs).toMatchObject(refused);
    expect(differs.detail).toContain("two inputs land on 'parts/a'");
    expect(await beside({ 'parts/a/b': 'two' }, '.')).toMatchObject(refused);
  });

  test('an input becomes standard input', async () => {
    const inputs = await sent({ 'words.txt': 'one two' });
    const part = { inputs: [{ from: 'words.txt', to: 'words.txt' }], stdin: 'words.txt' };
    const outcome = await run(['cat'], part, { inputs });
    expect(await contentOf(outcome.outputs)).toMatchObject({ '.grid/stdout': 'one two' });
  });

  test('a task that failed still gives its streams and what it had made', async () => {
    const outcome = await run(['sh', '-c', 'echo partial >half; echo said; exit 5'], {
      outputs: ['half', 'other'],
    });
    expect(outcome).toMatchObject({ reason: 'EXIT_NONZERO', exitCode: 5 });
    expect(await contentOf(outcome.outputs)).toMatchObject({
      half: 'partial\n',
      '.grid/stdout': 'said\n',
    });
  });

  test('a tree that the store has lost fails the attempt as data', async () => {
    const inputs = { digest: 'ab'.repeat(32), totalBytes: 1, files: 1 };
    const outcome = await run(['true'], { inputs: [{ from: 'x', to: 'x' }] }, { inputs });
    expect(outcome).toMatchObject({ failure: 'data', reason: 'CHUNK_MISSING' });
  });

  test('outputs that the store has lost are sent again while their files are there', async () => {
    const { id, outputs } = await run(['sh', '-c', 'echo made >made; echo said'], {
      outputs: ['made'],
    });
    await using keeper = nats.accounts.openKeeper('demo');
    await keeper.remove((await treeChunks(member, outputs)).map(chunkName));
    await expect(contentOf(outputs)).rejects.toMatchObject({ code: 'CHUNK_MISSING' });
    const again = await site.call().sendAgain({ epoch: EPOCH, attemptId: id });
    expect(treeFromWire(again.outputs)).toEqual(outputs);
    expect(await contentOf(outputs)).toMatchObject({ made: 'made\n', '.grid/stdout': 'said\n' });
    const unknown = site.call().sendAgain({ epoch: EPOCH, attemptId: 'j-none-0-1' });
    await expect(unknown).rejects.toMatchObject({ code: 'ATTEMPT_NOT_FOUND' });
  });

  test.for([
    ['a link that leads out of the directory', 'ln -s /etc/passwd secret'],
    ['a file whose name is not UTF-8', String.raw`touch "$(printf 'secret\377')"`],
  ] as const)('%s is no output', async ([, makes]) => {
    const outcome = await run(['sh', '-c', makes], { outputs: ['secret*'] });
    expect(outcome).toMatchObject({ failure: 'job', reason: 'OUTPUT_REFUSED' });
    expect(outcome.detail).toContain('secret');
    expect(Object.keys(await contentOf(outcome.outputs))).toEqual(['.grid/stderr', '.grid/stdout']);
  });

  /** Leaves a folder at so long a path that nobody can read it. */
  const deep = `n=$(printf %200s | tr ' ' n); at=$PWD; mkdir p; cd p
    for i in $(seq 22); do mkdir $n; cd -P $n; done; cd $at; echo x >r; echo said`;
  test.for([
    ['r', { state: State.STATE_DONE, reason: '' }],
    ['p', { failure: 'job', reason: 'OUTPUT_REFUSED' }],
  ] as const)('a folder that cannot be read, and %s as output', async ([output, expected]) => {
    const outcome = await run(['sh', '-c', deep], { outputs: [output] });
    expect(outcome).toMatchObject(expected);
    expect(await contentOf(outcome.outputs)).toMatchObject({ '.grid/stdout': 'said\n' });
  });

  test.for(['true', 'mkfifo', 'mkdir', 'ln -s /etc/passwd'])(
    'a task that takes its stream away and puts something else there: %s',
    async (puts) => {
      const script = `echo made >made; rm ../stdout; ${puts} ../stdout`;
      const outcome = await run(['sh', '-c', script], { outputs: ['made'] });
      expect(outcome).toMatchObject({ state: State.STATE_DONE });
      expect(await contentOf(outcome.outputs)).toEqual({
        made: 'made\n',
        '.grid/stderr': '',
        '.grid/stdout': '[grid: the task has taken this stream away]\n',
      });
    },
  );

  test('of 100 MB of output both ends are kept, and it says so', async () => {
    const script = 'echo first; head -c 100000000 /dev/zero; echo last';
    const outcome = await run(['sh', '-c', script]);
    expect(outcome).toMatchObject({ state: State.STATE_DONE });
    const target = await mkdtemp(join(scratch, 'big-'));
    await fetchTree(member, outcome.outputs, target);
    const text = await readFile(join(target, '.grid/stdout'), 'latin1');
    expect(text.length).toBeLessThan(65 * 2 ** 20);
    expect(text.startsWith('first\n')).toBe(true);
    expect(text.endsWith('last\n')).toBe(true);
    expect(text).toContain('[grid: 31.4 MiB of 95.4 MiB left out here]');
  });

  test('a site with a rate moves its inputs and outputs no faster', async () => {
    const slow = await startTestSite(grid, 'slow', ['cpus: 4', 'max-rate: 2M']);
    try {
      await slow.giveTicket(nats.accounts, 'demo');
      const inputs = await sent({ noise: randomBytes(2 ** 21).toString('hex') });
      const part = { inputs: [{ from: 'noise', to: 'in' }], outputs: ['out'] };
      const command = ['sh', '-c', 'rev in >out'];
      const fromMs = performance.now();
      await slow.place([{ id: 'slowly', spec: { command, ...part }, inputs }]);
      expect(await slow.outcomeOf('slowly')).toMatchObject({ state: State.STATE_DONE });
      expect(performance.now() - fromMs).toBeGreaterThan(3_200);
    } finally {
      await slow[Symbol.asyncDispose]();
    }
  });

  test('live outputs go on after a restart of the gateway, and end with the task', async () => {
    const liveAfter = async (afterSeq: number, leastBytes: number) => {
      const stop = new AbortController();
      const { signal } = stop;
      for await (const { seq, live } of site.call().watch({ epoch: EPOCH, afterSeq }, { signal })) {
        if (live === undefined || live.trouble !== '') continue;
        const tree = treeFromWire(live.tree);
        if (tree.totalBytes < leastBytes) continue;
        stop.abort();
        return { seq, content: await contentOf(tree) };
      }
      throw new Error('the stream has ended');
    };
    const task = 'while [ ! -e end ]; do echo row >>rows; sleep 0.1; done; echo result >end';
    const spec = {
      command: ['sh', '-c', task],
      outputs: ['rows', 'end'],
      liveOutputs: ['rows'],
    };
    await site.place([{ id: 'live', spec }]);
    const first = await liveAfter(0, 4);
    expect(Object.keys(first.content)).toEqual(['.grid/stderr', '.grid/stdout', 'rows']);
    await site.kill();
    await site.start();
    const least = (first.content['rows'] ?? '').length + 20;
    const second = await liveAfter(first.seq, least);
    expect(second.content['rows']).toMatch(/^(row\n)+$/);
    await writeFile(join(site.spool, 'attempts/live/work/end'), '');
    const outcome = await site.outcomeOf('live');
    expect(outcome).toMatchObject({ state: State.STATE_DONE });
    expect(await contentOf(outcome.outputs)).toMatchObject({ end: 'result\n' });
    const updates = await site.untilEnded(['live'], second.seq);
    expect(updates.at(-1)?.state).toBe(State.STATE_DONE);
  });

  test('a nats-server that comes back is waited for', async () => {
    await nats.crash();
    await site.place([{ id: 'patient', spec: { command: ['echo', 'still here'] } }]);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await nats.start();
    const outcome = await site.outcomeOf('patient');
    expect(outcome).toMatchObject({ state: State.STATE_DONE });
    expect(await contentOf(outcome.outputs)).toMatchObject({ '.grid/stdout': 'still here\n' });
  });
});

describe('an attempt whose end was acknowledged', () => {
  test('loses its directory, and its streams are then said to be in its tree', async () => {
    const { id, outputs } = await run(['echo', 'kept elsewhere']);
    const acknowledgedSeq = Number.MAX_SAFE_INTEGER;
    await site.call().control({ epoch: EPOCH, cancel: [], acknowledgedSeq });
    await expect
      .poll(() => readdir(join(site.spool, 'attempts')), { interval: 500 })
      .not.toContain(id);
    const request = { epoch: EPOCH, attemptId: id, stream: Stream.STREAM_STDOUT, file: '' };
    const chunks = [];
    for await (const chunk of site.call().tail({ ...request, offset: 0, follow: true }))
      chunks.push(chunk);
    expect(chunks).toHaveLength(1);
    expect(treeFromWire(chunks[0]?.stored)).toEqual(treeFromWire(treeToWire(outputs)));
    expect((await stat(site.spool)).isDirectory()).toBe(true);
  });
});
