import { spawn } from 'node:child_process';
import {
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { State } from '../../proto/gen/grid/v1/common.ts';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
import { resourcesOf } from '../fakes/offers.ts';
import { EPOCH, type Placed, startTestSite, type TestSite } from '../fakes/test-site.ts';
import type { ImageStore } from '../support/image-store.ts';

/**
 * What a site must do with tasks in images, whatever runs these. `open` gives a runtime and an image. Gives the site of the
 * tests, for more of them.
 */
export function imagesContract<Store extends ImageStore>(
  open: () => Store,
): {
  readonly store: () => Store;
  readonly site: () => TestSite;
} {
  let store: Store;
  let grid: LiveGrid;
  let site: TestSite;
  beforeAll(async () => {
    store = open();
    grid = await openLiveGrid();
    const settings = ['cpus: 8', 'memory: 4G', 'staging-patience: 0s', ...store.settings];
    const allowed = `  images: [${store.allowed}]`;
    site = await startTestSite(grid, 'boxes', [...settings, allowed]);
  });
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
    expect.poll(() => existsSync(fileOf(id, `work/${name}`))).toBe(true);

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
    expect(existsSync(fileOf(id, 'container/state'))).toBe(false);
  };

  const cancel = (id: string) =>
    site.call().control({ epoch: EPOCH, cancel: [id], acknowledgedSeq: 0 });

  describe.concurrent('a task in an image', () => {
    test('runs as the account with the files of the image, and its own are kept', async () => {
      const script =
        'cat /etc/inside; id -u; pwd; echo made >made; echo "$HOME $TMPDIR"; readlink /proc/self/ns/net';
      const { id, ...ended } = await run({ command: ['sh', '-c', `${script}; echo oops >&2`] });
      const work = fileOf(id, 'work');
      // Nothing takes its outputs away here.
      expect(ended).toMatchObject({ exitCode: 0, stderr: 'oops\n' });
      const network = readlinkSync('/proc/self/ns/net');
      expect(ended.stdout).toBe(`inside\n0\n${work}\n${work} ${fileOf(id, 'tmp')}\n${network}\n`);
      expect(statSync(join(work, 'made')).uid).toBe(process.getuid?.());
      expectNothingLeft(id);
    });

    test('gets words and variables byte for byte, those that the runtime itself would read too', async () => {
      const words = ['a b', '$(id)', 'q\'"\\', 'line\nbreak', '-x', '--env=X=1', ''];
      const env = {
        ODD: ' a\nb"\'$HOME,=',
        LD_LIBRARY_PATH: '/nowhere:$ORIGIN',
        CONTAINERS_CONF: '/dev/null',
        APPTAINER_BIND: '/etc:/mnt',
        SINGULARITYENV_X: 'x',
        HTTPS_PROXY: 'http://proxy:1',
      };
      const { stdout } = await run({ command: ['printf', '[%s]', ...words], env });
      expect(stdout).toBe(words.map((word) => `[${word}]`).join(''));
      const { stdout: told } = await run({ command: ['env', '-0'], env });
      const there = new Map(
        told.split('\0').map((line) => line.split(/=(.*)/s) as [string, string]),
      );
      const { LD_LIBRARY_PATH: libraries, ...others } = env;
      expect(Object.fromEntries(there)).toMatchObject({ ...others, TOOL: '7' });
      // Apptainer adds folders behind these.
      expect(there.get('PATH')).toMatch(/^\/bin:\/opt\/tool(?::|$)/);
      expect(there.get('LD_LIBRARY_PATH')?.startsWith(libraries)).toBe(true);
      expect(there.get('GRID_SITE')).toBe('boxes');
    });

    test('sees neither the machine nor other tasks, and writes to its own directories only', async () => {
      const script =
        'touch /x; touch /tmp/x && echo tmp; ls -A /root /home | grep -v :; ls ..; ls -d /proc/[0-9]* | wc -l';
      const { stdout, stderr } = await run({ command: ['sh', '-c', script] });
      expect(stderr).toContain('touch: /x: Read-only file system');
      expect(stdout).toMatch(/^tmp\n\n?tmp\nwork\n[2-6]\n$/);
    });

    test('can neither write to a file nor end a process through what stands around it', async () => {
      const victim = join(site.dir, 'victim');
      writeFileSync(victim, 'untouched');
      const other = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });
      const script = `cd "$TMPDIR" && ls -A && ls -A .. && ! echo ${other.pid} >../container/pid
        ln -s ${victim} grid-pid.over; echo ${other.pid} | tee grid-pid grid-pid.watch >/dev/null`;
      const { id, exitCode, stdout } = await run({ command: ['sh', '-c', script] });
      expect(exitCode).toBe(0);
      expect(stdout).toBe('grid-hosts\ntmp\nwork\n');
      expect(readFileSync(victim, 'utf8')).toBe('untouched');
      expect([other.exitCode, other.signalCode]).toEqual([null, null]);
      other.kill();
      expectNothingLeft(id);
    });

    test('has no network where it wants none', async () => {
      const command = ['sh', '-c', 'wc -l </proc/net/dev'];
      expect(await run({ command, network: 'none' })).toMatchObject({ stdout: '3\n' });
    });
  });

  describe.concurrent('a task in an image that ends badly', () => {
    test.for([
      ['exit 125', { reason: 'EXIT_NONZERO', exitCode: 125 }],
      ['kill -SEGV $$', { reason: 'KILLED_BY_SIGNAL', exitCode: 139, signal: 11 }],
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

    test('because there is no such image, and says so in the words of the runtime', async () => {
      const { image, exitCode, words } = store.missing;
      const { id, ...ended } = await run({ command: ['true'], image });
      expect(ended).toMatchObject({ failure: 'data', reason: 'IMAGE_UNAVAILABLE', exitCode });
      expect(ended.detail).toMatch(words);
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
      // Whoever cleans up there takes nothing away that is needed at the end.
      expect(readdirSync('/tmp').filter((name) => name.startsWith(`grid-${id}`))).toEqual([]);
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
      const stays = await begin({ command: stubborn });
      const ends = await begin({
        command: ['sh', '-c', ': >there; while ! [ -e go ]; do sleep 0.1; done; exit 4'],
      });
      for (const id of [stays, ends]) await untilThere(id, 'there');
      await site.kill();
      writeFileSync(fileOf(ends, 'work/go'), '');
      await site.start();
      expect(await site.outcomeOf(ends)).toMatchObject({ reason: 'EXIT_NONZERO', exitCode: 4 });
      await cancel(stays);
      expect(await site.outcomeOf(stays)).toMatchObject({ state: State.STATE_CANCELLED });
      expectNothingLeft(stays);
    });
  });

  describe('a site without control groups', () => {
    let bare: TestSite;
    beforeAll(async () => {
      const settings = ['cpus: 4', 'memory: 4G', 'staging-patience: 0s', 'sandbox: account'];
      bare = await startTestSite(grid, 'bare', [...settings, ...store.settings]);
    });
    afterAll(() => bare[Symbol.asyncDispose]());

    test('counts what a task in an image uses, without what runs it, and ends all of it', async () => {
      const { image } = store;
      const hog = ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=200M', 'count=100000'];
      const busy = ['sh', '-c', 'timeout 3 sh -c "while :; do :; done"; exit 3'];
      const place = (id: string, command: readonly string[]) =>
        bare.place([{ id, spec: { command, image } }]);
      await Promise.all([place('hog', hog), place('busy', busy), place('deaf', stubborn)]);
      expect(await bare.outcomeOf('hog')).toMatchObject({ reason: 'MEMORY_EXCEEDED' });
      const { usage, ...ended } = await bare.outcomeOf('busy');
      expect(ended).toMatchObject({ reason: 'EXIT_NONZERO', exitCode: 3 });
      expect(usage.peakMemoryBytes).toBeLessThan(store.ownBytes + 20 * 2 ** 20);
      expect(usage.cpuMs).toBeGreaterThan(300);
      await bare.call().control({ epoch: EPOCH, cancel: ['deaf'], acknowledgedSeq: 0 });
      expect(await bare.outcomeOf('deaf')).toMatchObject({ state: State.STATE_CANCELLED });
      await expect.poll(() => store.containers()).toEqual([]);
    });
  });
  return { store: () => store, site: () => site };
}
