import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { State } from '../../proto/gen/grid/v1/common.ts';
import { Acceptance } from '../../proto/gen/grid/v1/site.ts';
import { offerFromWire } from '../../service/wire.ts';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
import { resourcesOf } from '../fakes/offers.ts';
import { EPOCH, type Placed, startTestSite, type TestSite } from '../fakes/test-site.ts';
import { type ImageStore, makeImageStore } from '../support/image-store.ts';

let store: ImageStore;
let grid: LiveGrid;
let site: TestSite;
beforeAll(async () => {
  store = makeImageStore();
  grid = await openLiveGrid();
  const settings = ['cpus: 8', 'memory: 4G', 'staging-patience: 0s', ...store.settings];
  const allowed = '  images: [localhost/lab/]';
  site = await startTestSite(grid, 'boxes', [...settings, allowed]);
}, 120_000);
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await grid[Symbol.asyncDispose]();
  store[Symbol.dispose]();
});

const fileOf = (id: string, name: string): string => join(site.spool, 'attempts', id, name);
const read = (id: string, name: string): string => readFileSync(fileOf(id, name), 'utf8');

let count = 0;
const begin = async (part: Omit<Placed['spec'], 'image'> & { readonly image?: string }) => {
  count += 1;
  const id = `boxes-${count}`;
  const answers = await site.place([{ id, spec: { image: store.image, ...part } }]);
  expect(answers).toMatchObject([{ reason: '' }]);
  return id;
};
const run = async (part: Parameters<typeof begin>[0]) => {
  const id = await begin(part);
  const outcome = await site.outcomeOf(id);
  return { ...outcome, id, stdout: read(id, 'stdout'), stderr: read(id, 'stderr') };
};

/** Until the program says that it runs. */
const untilThere = (id: string, name: string): Promise<void> =>
  expect.poll(() => existsSync(fileOf(id, `work/${name}`)), { timeout: 20_000 }).toBe(true);

/** Processes that carry the mark of an attempt. */
const processesOf = (id: string): readonly string[] =>
  readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const mark = `GRID_ATTEMPT_DIR=${join(site.spool, 'attempts', id)}`;
      return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(mark);
    } catch {
      return false;
    }
  });
const expectNothingLeft = (id: string): void => {
  expect(processesOf(id)).toEqual([]);
  expect(store.containers()).not.toContain(`grid-${id}`);
};

const cancel = (id: string) =>
  site.call().control({ epoch: EPOCH, cancel: [id], acknowledgedSeq: 0 });

describe.concurrent('a task in an image', () => {
  test('runs as the account with the files of the image, and its own are kept', async () => {
    const script =
      'cat /etc/inside; id -u; pwd; echo made >made; echo "$HOME $TMPDIR"; echo x >"$TMPDIR/y"';
    const { id, ...ended } = await run({ command: ['sh', '-c', `${script}; echo oops >&2`] });
    const work = fileOf(id, 'work');
    // Nothing takes its outputs away here.
    expect(ended).toMatchObject({ exitCode: 0, stderr: 'oops\n' });
    expect(ended.stdout).toBe(`inside\n0\n${work}\n${work} ${fileOf(id, 'tmp')}\n`);
    expect(statSync(join(work, 'made')).uid).toBe(process.getuid?.());
    expectNothingLeft(id);
  });

  test('gets words and variables byte for byte, those that podman itself would read too', async () => {
    const words = ['a b', '$(id)', 'q\'"\\', 'line\nbreak', '-x', '--env=X=1', ''];
    const env = {
      ODD: ' a\nb"\'$HOME,=',
      LD_LIBRARY_PATH: '/nowhere:$ORIGIN',
      CONTAINERS_CONF: '/dev/null',
      HTTPS_PROXY: 'http://proxy:1',
    };
    const { stdout } = await run({ command: ['printf', '[%s]', ...words], env });
    expect(stdout).toBe(words.map((word) => `[${word}]`).join(''));
    const { stdout: told } = await run({ command: ['env', '-0'], env });
    const there = new Map(told.split('\0').map((line) => line.split(/=(.*)/s) as [string, string]));
    expect(Object.fromEntries(there)).toMatchObject({ ...env, PATH: '/bin:/opt/tool', TOOL: '7' });
    expect(there.get('GRID_SITE')).toBe('boxes');
    const { stdout: path } = await run({
      command: ['/bin/sh', '-c', 'echo $PATH'],
      env: { PATH: '/bin:/mine' },
    });
    expect(path).toBe('/bin:/mine\n');
  });

  test('sees neither the machine nor other tasks, and writes to its own directories only', async () => {
    const script =
      'touch /x; touch /tmp/x && echo tmp; ls -d /var /root /home; ls ..; ls -d /proc/[0-9]* | wc -l';
    const { stdout, stderr } = await run({ command: ['sh', '-c', script] });
    expect(stderr).toContain('touch: /x: Read-only file system');
    expect(stdout).toMatch(/^tmp\n\/var\ntmp\nwork\n[2-6]\n$/);
  });

  test('has the network that it asks for', async () => {
    const command = ['sh', '-c', 'ls /sys/class/net; cat /proc/net/dev | wc -l'];
    const none = await run({ command, network: 'none' });
    const any = await run({ command, network: 'any' });
    const here = readFileSync('/proc/net/dev', 'utf8').split('\n').length - 1;
    expect(none.stdout).toMatch(/\n3\n$/);
    expect(any.stdout.endsWith(`\n${here}\n`)).toBe(true);
    expect(here).toBeGreaterThan(3);
  });
});

describe.concurrent('a task in an image that ends badly', () => {
  test.for([
    ['exit 9', { reason: 'EXIT_NONZERO', exitCode: 9 }],
    ['exit 125', { reason: 'EXIT_NONZERO', exitCode: 125 }],
    ['exit 127', { reason: 'EXIT_NONZERO', exitCode: 127 }],
    ['kill -SEGV $$', { reason: 'KILLED_BY_SIGNAL', exitCode: 139, signal: 11 }],
    ['kill -KILL $$', { reason: 'KILLED_BY_SIGNAL', exitCode: 137, signal: 9 }],
  ] as const)('by %s', async ([script, end]) => {
    const { id, ...ended } = await run({ command: ['sh', '-c', `echo $$; ${script}`] });
    expect(ended).toMatchObject({
      state: State.STATE_FAILED,
      failure: 'job',
      ...end,
      stderr: '',
      detail: expect.not.stringContaining('left behind'),
    });
    expectNothingLeft(id);
  });

  test.for([
    ['python3', 'COMMAND_NOT_FOUND', "'python3' was not found in the image"],
    ['./nope', 'COMMAND_NOT_FOUND', "'./nope' was not found in the image"],
    [
      '/opt/tool/plain',
      'COMMAND_NOT_EXECUTABLE',
      "'/opt/tool/plain' is there in the image but cannot be executed",
    ],
  ] as const)('because of %s', async ([program, reason, words]) => {
    const { detail, ...ended } = await run({ command: [program] });
    expect(ended).toMatchObject({ failure: 'job', reason });
    expect(detail.startsWith(words)).toBe(true);
  });

  test('because there is no such image, and says so in the words of podman', async () => {
    const { id, ...ended } = await run({ command: ['true'], image: 'localhost/lab/nope:1' });
    expect(ended).toMatchObject({ failure: 'data', reason: 'IMAGE_UNAVAILABLE', exitCode: 78 });
    expect(ended.detail).toMatch(
      /^image 'localhost\/lab\/nope:1' could not be fetched on node \S+: Error: .*localhost/,
    );
    expectNothingLeft(id);
  });
});

const stubborn = ['sh', '-c', 'trap "" TERM; : >there; while :; do sleep 0.1; done'];

describe.concurrent('a task in an image that is ended', () => {
  test.for([
    [
      'listens',
      ['sh', '-c', 'trap "echo term; exit 5" TERM; : >there; while :; do sleep 0.1; done'],
    ],
    ['does not listen', ['sh', '-c', ': >there; sleep 60']],
    ['will not hear', stubborn],
  ] as const)('by its owner and %s leaves nothing', async ([what, command]) => {
    const id = await begin({ command });
    await untilThere(id, 'there');
    await cancel(id);
    expect(await site.outcomeOf(id)).toMatchObject({ state: State.STATE_CANCELLED });
    expect(read(id, 'stdout')).toBe(what === 'listens' ? 'term\n' : '');
    expectNothingLeft(id);
  });

  test('by its walltime leaves nothing', async () => {
    const resources = resourcesOf({ memoryBytes: 64 * 2 ** 20, walltimeMs: 1_000 });
    const ended = await run({ command: stubborn, resources });
    expect(ended).toMatchObject({ failure: 'limit', reason: 'WALLTIME_EXCEEDED' });
    expectNothingLeft(ended.id);
  });

  test('by its memory leaves nothing', async () => {
    const command = ['sh', '-c', 'dd if=/dev/zero of=/dev/null bs=200M count=100000'];
    const ended = await run({ command });
    expect(ended).toMatchObject({ failure: 'limit', reason: 'MEMORY_EXCEEDED' });
    expectNothingLeft(ended.id);
  });
});

describe('a task in an image', () => {
  test('whose gateway was away is taken up, and leaves nothing when it is ended', async () => {
    const [stays, goes] = [await begin({ command: stubborn }), await begin({ command: stubborn })];
    const ends = await begin({
      command: ['sh', '-c', ': >there; while ! [ -e go ]; do sleep 0.1; done; exit 4'],
    });
    for (const id of [stays, goes, ends]) await untilThere(id, 'there');
    await site.kill();
    writeFileSync(fileOf(ends, 'work/go'), '');
    await site.start();
    expect(await site.outcomeOf(ends)).toMatchObject({ reason: 'EXIT_NONZERO', exitCode: 4 });
    await Promise.all([cancel(stays), cancel(goes)]);
    for (const id of [stays, goes]) {
      expect(await site.outcomeOf(id)).toMatchObject({ state: State.STATE_CANCELLED });
      expectNothingLeft(id);
    }
  });
});

describe('a site with containers', () => {
  test('says so, and which images it runs', async () => {
    const stop = new AbortController();
    const stream = site.call().advertise({ epoch: EPOCH, leaseMs: 9_000 }, { signal: stop.signal });
    for await (const { offer } of stream) {
      expect(offer && offerFromWire(offer).containers).toEqual({
        runtime: 'podman',
        images: ['localhost/lab/'],
      });
      break;
    }
    stop.abort();
  });

  test.for([
    ['python:3.12', 'the site has images of localhost/lab/ only'],
    ['tool.sif', 'the site has podman, which runs no .sif files'],
  ] as const)('refuses %s', async ([image, words]) => {
    expect(
      await site.place([{ id: `no-${image.length}`, spec: { command: ['true'], image } }]),
    ).toEqual([
      {
        attemptId: `no-${image.length}`,
        acceptance: Acceptance.ACCEPTANCE_REFUSED,
        reason: 'IMAGE_DENIED',
        detail: `it runs in image ${image}, ${words}`,
      },
    ]);
  });
});
