import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { State, Stream } from '../../proto/gen/grid/v1/common.ts';
import type { AttemptUpdate } from '../../proto/gen/grid/v1/site.ts';
import { treeFromWire } from '../../service/rpc/wire.ts';
import { fetchTree } from '../../service/staging/fetch-tree.ts';
import { sendTree } from '../../service/staging/send-tree.ts';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
import { startTestNats, type TestNats, testNatsBinary } from '../fakes/nats.ts';
import { resourcesOf } from '../fakes/offers.ts';
import { EPOCH, type Placed, startTestSite, type TestSite } from '../fakes/test-site.ts';
import { type ImageStore, makeImageStore } from '../support/image-store.ts';
import { type ModuleTree, makeModuleTree } from '../support/module-tree.ts';
import { type AccountSystem, batchAccountsContract } from './batch-accounts.contract.ts';

/** A batch system with room for two tasks of one CPU. */
export interface SiteSystem extends AccountSystem, AsyncDisposable {}

/** What differs from one batch system to the next. */
export interface SiteManner {
  /** Words that it might take for something of its own. */
  readonly words: readonly string[];
  /** Variables that it might listen to. */
  readonly env: Readonly<Record<string, string>>;
  /** What the broker is told of a task that waits for room. */
  readonly waits: RegExp;
}

/** What whole tasks come to at a site on a real batch system. */
export function batchSiteContract(
  systemName: string,
  start: () => Promise<SiteSystem>,
  manner: SiteManner,
): void {
  let system: SiteSystem;
  let modules: ModuleTree;
  let images: ImageStore;
  let grid: LiveGrid;
  let nats: TestNats;
  let site: TestSite;
  let member: ReturnType<TestNats['open']>;
  let scratch: string;
  beforeAll(async () => {
    system = await start();
    grid = await openLiveGrid();
    nats = await startTestNats({ binary: await testNatsBinary(), vos: ['demo'] });
    await writeFile(join(grid.trustDir, 'nats.pem'), nats.caPem);
    modules = makeModuleTree();
    images = makeImageStore();
    const offer = [`modules: {init: ${modules.init}}`, 'live-every: 1s', ...images.settings];
    site = await startTestSite(grid, 'cluster', [...system.settings, ...offer]);
    member = nats.open('demo');
    scratch = await mkdtemp(join(tmpdir(), 'hanse-batch-site-'));
    await site.giveTicket(nats.accounts, 'demo');
  });
  afterAll(async () => {
    await site[Symbol.asyncDispose]();
    await member[Symbol.asyncDispose]();
    await nats[Symbol.asyncDispose]();
    await grid[Symbol.asyncDispose]();
    await system[Symbol.asyncDispose]();
    modules[Symbol.dispose]();
    images[Symbol.dispose]();
    await rm(scratch, { recursive: true });
  });

  const run = async (
    id: string,
    command: readonly string[],
    part: Partial<Placed['spec']> = {},
    more: Partial<Placed> = {},
  ) => {
    const answers = await site.place([{ id, spec: { command, ...part }, ...more }]);
    expect(answers).toMatchObject([{ reason: '' }]);
    return site.outcomeOf(id);
  };

  /** What the broker is told of an attempt, up to the update that is looked for. */
  const untilTold = async (
    id: string,
    isIt: (update: AttemptUpdate) => boolean,
  ): Promise<AttemptUpdate> => {
    const stop = new AbortController();
    const updates = site.call().watch({ epoch: EPOCH, afterSeq: 0 }, { signal: stop.signal });
    for await (const update of updates) {
      if (update.attemptId !== id || !isIt(update)) continue;
      stop.abort();
      return update;
    }
    throw new Error(`${id} was never told of so`);
  };
  const cancel = (id: string) =>
    site.call().control({ epoch: EPOCH, cancel: [id], acknowledgedSeq: 0 });
  describe(`a task on a ${systemName} site`, () => {
    test('reads its inputs, and its outputs, streams and usage come back', async () => {
      const root = await mkdtemp(join(scratch, 'in-'));
      const script =
        'cat words.txt; echo oops >&2; i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done';
      await writeFile(join(root, 'run.sh'), `${script}; wc -l <words.txt >lines; sleep 0.3`);
      await writeFile(join(root, 'words.txt'), 'alpha\nbeta\n');
      const inputs = (await sendTree(member, { root, paths: ['.'] })).tree;
      const spec = { inputs: [{ from: '.', to: '.' }], outputs: ['lines'] };
      const outcome = await run('whole', ['sh', 'run.sh'], spec, { inputs });
      expect(outcome).toMatchObject({ state: State.STATE_DONE, reason: '', exitCode: 0 });
      const target = await mkdtemp(join(scratch, 'out-'));
      await fetchTree(member, outcome.outputs, target);
      const textOf = (path: string): Promise<string> => readFile(join(target, path), 'utf8');
      expect(await textOf('lines')).toBe('2\n');
      expect(await textOf('.grid/stdout')).toBe('alpha\nbeta\n');
      expect(await textOf('.grid/stderr')).toBe('oops\n');
      expect(outcome.usage.wallMs).toBeGreaterThanOrEqual(300);
      expect(outcome.usage.cpuMs).toBeGreaterThan(20);
      expect(outcome.usage.bytesIn).toBeGreaterThan(0);
      expect(outcome.usage.bytesOut).toBeGreaterThan(0);
    });

    test.for([
      ['code', 'exit 3', { reason: 'EXIT_NONZERO', exitCode: 3, signal: 0 }],
      ['signal', 'kill -SEGV $$', { reason: 'KILLED_BY_SIGNAL', exitCode: 139, signal: 11 }],
      ['kill', 'kill -KILL $$', { reason: 'KILLED_BY_SIGNAL', exitCode: 137, signal: 9 }],
    ] as const)('that fails is said to: %s', async ([id, script, end]) => {
      expect(await run(id, ['sh', '-c', script])).toMatchObject({
        state: State.STATE_FAILED,
        failure: 'job',
        ...end,
      });
    });

    test('sends its live outputs while it runs', async () => {
      const script = 'mkdir log; until [ -e end ]; do echo row >>log/rows; sleep 0.2; done';
      const spec = { command: ['sh', '-c', script], outputs: ['log'], liveOutputs: ['log'] };
      await site.place([{ id: 'live', spec }]);
      const isLive = ({ live }: AttemptUpdate): boolean => (live?.tree?.totalBytes ?? 0) > 0;
      const { live } = await untilTold('live', isLive);
      const target = await mkdtemp(join(scratch, 'live-'));
      await fetchTree(member, treeFromWire(live?.tree), target);
      expect(await readFile(join(target, 'log/rows'), 'utf8')).toMatch(/^(row\n)+$/);
      await writeFile(join(site.spool, 'attempts/live/work/end'), '');
      expect(await site.outcomeOf('live')).toMatchObject({ state: State.STATE_DONE });
    });

    test('finds the modules that it loads, or does not run and says why', async () => {
      const script = 'cat; tool; echo "$LOADEDMODULES"; exit 3';
      const [loaded, broken] = await Promise.all([
        run('loaded', ['sh', '-c', script], { modules: ['tool/2'] }),
        run('broken', ['echo', 'ran'], { modules: ['tool', 'broken/1'] }),
      ]);
      const read = (id: string, stream: string): Promise<string> =>
        readFile(join(site.spool, 'attempts', id, stream), 'utf8');
      expect(loaded).toMatchObject({ reason: 'EXIT_NONZERO', exitCode: 3 });
      expect(await read('loaded', 'stdout')).toBe('tool 2: \ntool/2\n');
      expect(broken).toMatchObject({ failure: 'site', reason: 'MODULE_FAILED', exitCode: 78 });
      expect(await read('broken', 'stdout')).toBe('');
      expect(await read('broken', 'stderr')).toMatch(
        /^grid: module 'broken\/1' could not be loaded on node \S+$/m,
      );
    });

    test('runs in the image that it names, as any other', async () => {
      const root = await mkdtemp(join(scratch, 'image-'));
      await writeFile(join(root, 'words.txt'), 'alpha\nbeta\n');
      const inputs = (await sendTree(member, { root, paths: ['.'] })).tree;
      const script = 'cat; cat /etc/inside; echo oops >&2; timeout 2 sh -c "while :; do :; done"';
      const outcome = await run(
        'boxed',
        ['sh', '-c', `${script}; echo "$TOOL $GRID_SITE" >made`],
        {
          image: images.image,
          inputs: [{ from: '.', to: '.' }],
          outputs: ['made'],
          stdin: 'words.txt',
        },
        { inputs },
      );
      expect(outcome).toMatchObject({ state: State.STATE_DONE, reason: '', exitCode: 0 });
      const target = await mkdtemp(join(scratch, 'image-out-'));
      await fetchTree(member, outcome.outputs, target);
      const textOf = (path: string): Promise<string> => readFile(join(target, path), 'utf8');
      expect(await textOf('made')).toBe('7 cluster\n');
      expect(await textOf('.grid/stdout')).toBe('alpha\nbeta\ninside\n');
      expect(await textOf('.grid/stderr')).toMatch(/^oops\n/);
      expect(outcome.usage.cpuMs).toBeGreaterThan(200);
      await expect.poll(() => images.containers()).toEqual([]);
    });

    test('in an image leaves nothing when it is ended', async () => {
      const { image } = images;
      const hog = ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=300M', 'count=100000'];
      const deaf = ['sh', '-c', 'trap "" TERM; : >there; while :; do sleep 0.1; done'];
      const resources = resourcesOf({ memoryBytes: 2 ** 27, walltimeMs: 60_000 });
      await site.place([{ id: 'deaf', spec: { command: deaf, image } }]);
      expect(await run('hog', hog, { image, resources })).toMatchObject({
        failure: 'limit',
        reason: 'MEMORY_EXCEEDED',
      });
      await expect.poll(() => readdir(join(site.spool, 'attempts/deaf/work'))).toEqual(['there']);
      await cancel('deaf');
      expect(await site.outcomeOf('deaf')).toMatchObject({ state: State.STATE_CANCELLED });
      await expect.poll(() => images.containers()).toEqual([]);
      await expect.poll(() => system.queue()).toBe('');
    });

    test('finds its arguments and variables byte for byte', async () => {
      const words = [
        '',
        ' ',
        "it's",
        '"$HOME"',
        '$(touch here)',
        'a\nb',
        ...manner.words,
        '\\',
        '*',
        '--wrap=x',
        '`x`',
        '\t;&|',
        'ü€\u{1f30d}',
        'x'.repeat(100_000),
      ];
      const file = join(site.dir, 'words');
      const script = `const fs = require('node:fs'); fs.writeFileSync(${JSON.stringify(file)}, JSON.stringify([process.argv.slice(1), process.env, fs.readdirSync('.')]))`;
      const env = {
        STRANGE: `it's \n${manner.words.join('\n')}\n $PATH \\ "x" $(x) ü`,
        LONG: 'y'.repeat(100_000),
        LC_ALL: 'C.UTF-8',
        ...manner.env,
      };
      const command = [process.execPath, '-e', script, '--', ...words];
      expect(await run('words', command, { env })).toMatchObject({ reason: '' });
      const [argv, environment, made] = JSON.parse(await readFile(file, 'utf8'));
      expect(argv).toEqual(words);
      expect(environment).toMatchObject({ ...env, GRID_ATTEMPT: 'words', GRID_SITE: 'cluster' });
      expect(Object.keys(environment).filter((name) => name.startsWith('_grid'))).toEqual([]);
      expect(made).toEqual([]);
    });

    test('that overstays its walltime and ignores TERM is ended, and says so', async () => {
      const command = ['sh', '-c', "trap '' TERM; while :; do sleep 0.1; done"];
      const outcome = await run('late', command, {
        resources: resourcesOf({ memoryBytes: 2 ** 26, walltimeMs: 1_000 }),
      });
      expect(outcome).toMatchObject({ failure: 'limit', reason: 'WALLTIME_EXCEEDED' });
      expect(outcome.detail).toContain('1.0 s');
      await expect.poll(() => system.queue()).toBe('');
    });

    test('can be followed while it runs', async () => {
      const go = join(site.dir, 'go');
      const command = [
        'sh',
        '-c',
        `echo first; until test -e ${go}; do sleep 0.1; done; echo last`,
      ];
      await site.place([{ id: 'talker', spec: { command } }]);
      const wish = { epoch: EPOCH, attemptId: 'talker', stream: Stream.STREAM_STDOUT, offset: 0 };
      const seen: string[] = [];
      for await (const { data } of site.call().tail({ ...wish, file: '', follow: true })) {
        seen.push(Buffer.from(data).toString());
        await writeFile(go, '');
      }
      expect(seen).toEqual(['first\n', 'last\n']);
    });

    test('can be cancelled while it waits and while it runs', async () => {
      const resources = resourcesOf({ cpus: 2, memoryBytes: 2 ** 26, walltimeMs: 60_000 });
      await site.place([{ id: 'runner', spec: { command: ['sleep', '300'], resources } }]);
      await untilTold('runner', ({ state }) => state === State.STATE_RUNNING);
      await site.place([{ id: 'waiter', spec: { command: ['sleep', '300'] } }]);
      await untilTold('waiter', ({ detail }) => manner.waits.test(detail));
      await cancel('waiter');
      expect(await site.outcomeOf('waiter')).toMatchObject({ state: State.STATE_CANCELLED });
      await expect.poll(() => system.queue()).toBe('grid attempt runner');
      await cancel('runner');
      expect(await site.outcomeOf('runner')).toMatchObject({ state: State.STATE_CANCELLED });
      await expect.poll(() => system.queue()).toBe('');
    });
  });

  batchAccountsContract(systemName, () => ({ system, grid, nats }));
}
