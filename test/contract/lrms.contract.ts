import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { attemptId } from '../../core/ids.ts';
import type { Lrms, LrmsListener, LrmsTask, TaskEnd } from '../../site-gateway/lrms/lrms.ts';

/** What differs from one batch system to the next. */
interface LrmsManner {
  /** How many short tasks it ends within a few seconds. */
  readonly many: number;
  /** Whether tasks start strictly in the order in which they came; others keep priorities of their own. */
  readonly inOrder: boolean;
}

/** Variables that shells, loaders and interpreters take for their own, and values that a shell might change. */
const HOSTILE = {
  PATH: '/usr/bin:/bin',
  IFS: '/ =\n',
  OPTIND: 'no number',
  PPID: '1',
  UID: '0',
  PWD: '/nowhere',
  OLDPWD: '/nowhere',
  SHLVL: '7',
  _: 'under',
  SHELLOPTS: 'xtrace',
  PS4: '$(touch evil)',
  ENV: '/evil',
  BASH_ENV: '/evil',
  NODE_OPTIONS: '--require=/evil.js',
  PYTHONSTARTUP: '/evil.py',
  LD_LIBRARY_PATH: '/evil:$ORIGIN',
  _grid_code: '0',
  _grid_dir: '/evil',
  MULTI: `a\nb 'c' "d" \\ $(e) \u0081\u0088Á\n`,
} as const;

/** What every batch system owes the gateway; `open` makes one with room for two tasks of one CPU. */
export function lrmsContract(
  name: string,
  open: (spool: string, listener: LrmsListener) => Promise<Lrms>,
  { many, inOrder }: LrmsManner,
): void {
  describe(`${name} keeps the LRMS contract`, () => {
    let spool: string;
    let lrms: Lrms;
    let events: string[];
    let ends: Map<string, TaskEnd>;
    const listener: LrmsListener = {
      started: (id) => events.push(`started ${id}`),
      ended: (id, end) => {
        events.push(`ended ${id}`);
        ends.set(id, end);
      },
      changed: () => undefined,
    };
    beforeEach(async () => {
      spool = mkdtempSync(join(tmpdir(), 'hanse-lrms-'));
      events = [];
      ends = new Map();
      lrms = await open(spool, listener);
    });
    afterEach(async () => {
      await lrms[Symbol.asyncDispose]();
      rmSync(spool, { recursive: true, maxRetries: 5 });
    });

    const task = (
      id: string,
      command: readonly string[],
      part: Partial<LrmsTask> = {},
    ): LrmsTask => {
      const directory = join(spool, 'attempts', id);
      for (const own of ['work', 'tmp']) mkdirSync(join(directory, own), { recursive: true });
      return {
        id: attemptId(id),
        directory,
        command,
        env: { PATH: '/usr/bin:/bin' },
        stdin: '/dev/null',
        nodes: 1,
        gpus: 0,
        cpus: 1,
        memoryBytes: 2 ** 26,
        walltimeMs: 60_000,
        sandbox: 'account',
        network: 'any',
        ...part,
      };
    };
    const endOf = async (id: string): Promise<TaskEnd | undefined> => {
      await expect.poll(() => ends.has(id)).toBe(true);
      return ends.get(id);
    };
    const begun = (id: string): Promise<void> =>
      expect.poll(() => events).toContain(`started ${id}`);
    const lines = (file: string): readonly string[] =>
      readFileSync(join(spool, file), 'utf8').trim().split('\n');

    test('a task starts in its work directory, ends with its exit code, and leaves its streams', async () => {
      const one = task('one', ['sh', '-c', 'pwd; echo no >&2; exit 7']);
      lrms.submit(one);
      expect(await endOf('one')).toMatchObject({ kind: 'exited', exitCode: 7, leftBehind: [] });
      expect(events).toEqual(['started one', 'ended one']);
      expect(lines('attempts/one/stdout')).toEqual([join(one.directory, 'work')]);
      expect(lines('attempts/one/stderr')).toEqual(['no']);
    });

    test('a task finds its node in the host file, once for each core', async () => {
      const hosts = task('hosts', ['sh', '-c', 'cat ../tmp/grid-hosts'], { cpus: 2 });
      lrms.submit(hosts);
      expect(await endOf('hosts')).toMatchObject({ kind: 'exited', exitCode: 0 });
      const [first, second, ...more] = lines('attempts/hosts/stdout');
      expect([first === '', second, more]).toEqual([false, first, []]);
    });

    test('a task has its environment byte for byte, and no program but its own runs in it', async () => {
      const load = (id: string): string => join(spool, 'attempts', id, 'work/load');
      // The loader of each program that runs in it writes a file.
      const env = { ...HOSTILE, LD_DEBUG: 'files', LD_DEBUG_OUTPUT: load('hostile') };
      const command = ['/bin/cat', '/proc/self/environ'];
      lrms.submit(task('hostile', command, { env }));
      expect(await endOf('hostile')).toMatchObject({ kind: 'exited', exitCode: 0 });
      const seen = readFileSync(join(spool, 'attempts/hostile/stdout'), 'utf8').split('\0');
      const expected = Object.entries(env).map((pair) => pair.join('='));
      const isNamed = (entry: string): boolean => Object.hasOwn(env, entry.replace(/=[^]*/, ''));
      expect(seen.filter(isNamed).toSorted()).toEqual(expected.toSorted());
      const loads = readdirSync(dirname(load('hostile'))).map((file) =>
        readFileSync(join(dirname(load('hostile')), file), 'utf8'),
      );
      expect(loads.map((text) => /initialize program: (.*)/.exec(text)?.[1])).toEqual(['/bin/cat']);
    });

    test('a program whose name looks like a variable runs', async () => {
      const odd = task('odd', ['./a=b', 'c=d'], { env: { PATH: HOSTILE.PATH, IFS: 'b' } });
      const program = join(odd.directory, 'work', 'a=b');
      writeFileSync(program, '#!/bin/sh\necho "$0 $1"\n', { mode: 0o755 });
      lrms.submit(odd);
      expect(await endOf('odd')).toMatchObject({ kind: 'exited', exitCode: 0 });
      expect(lines('attempts/odd/stdout')).toEqual(['./a=b c=d']);
    });

    test('a task over its memory is ended, all of it, and says so', async () => {
      const greed = `x=$(head -c ${2 ** 27} /dev/zero | tr '\\0' x); sleep 60`;
      lrms.submit(task('greedy', ['sh', '-c', `sh -c "$0" & wait; echo survived`, greed]));
      lrms.submit(task('modest', ['sleep', '2']));
      const end = await endOf('greedy');
      expect(end).toMatchObject({ kind: 'limit', limit: 'memory', allowed: 2 ** 26 });
      expect(end?.kind === 'limit' && end.measured >= 2 ** 26).toBe(true);
      expect(await endOf('modest')).toMatchObject({ kind: 'exited', exitCode: 0 });
    });

    test('a task that fills more disk than it asked for is ended, all of it, and says so', async () => {
      const fill = (mib: number, where: string): string =>
        `head -c ${mib * 2 ** 20} /dev/zero >${where}`;
      const diskBytes = 2 ** 24;
      // The second is there at once: no look falls into the writing of it.
      const hoard = `sh -c "${fill(12, 'one')}; fallocate -l 12M ../tmp/two; sleep 60" & wait; echo survived`;
      lrms.submit(task('hoarder', ['sh', '-c', hoard], { diskBytes }));
      // Neither room that is set aside nor a file that was there for a moment fills anything.
      const spare = `fallocate -n -l 1G ahead; ${fill(12, 'one')}; rm one; ${fill(12, 'two')}; sleep 2.5`;
      lrms.submit(task('thrifty', ['sh', '-c', spare], { diskBytes }));
      const end = await endOf('hoarder');
      expect(end).toMatchObject({ kind: 'limit', limit: 'disk', allowed: diskBytes });
      const measured = end?.kind === 'limit' ? end.measured / 2 ** 20 : 0;
      expect([measured >= 24, measured < 25]).toEqual([true, true]);
      expect(await endOf('thrifty')).toMatchObject({ kind: 'exited', exitCode: 0 });
    });

    test('submitting the same task twice runs it once', async () => {
      const twice = task('twice', ['sh', '-c', `echo ran >>ran`]);
      lrms.submit(twice);
      lrms.submit(twice);
      await endOf('twice');
      expect(lines('attempts/twice/work/ran')).toEqual(['ran']);
    });

    test('submitting a task that an earlier run has started does not start it again', async () => {
      const again = task('again', ['sh', '-c', `echo ran >>ran; sleep 0.5`]);
      lrms.submit(again);
      await begun('again');
      await lrms[Symbol.asyncDispose]();
      lrms = await open(spool, listener);
      lrms.submit(again);
      expect(await endOf('again')).toMatchObject({ kind: 'exited', exitCode: 0 });
      expect(lines('attempts/again/work/ran')).toEqual(['ran']);
    });

    test('a task of an earlier run is adopted while it runs, and after it has ended', async () => {
      const slow = task('slow', ['sh', '-c', 'sleep 1.5; exit 4']);
      const quick = task('quick', ['sh', '-c', 'sleep 0.2; exit 5']);
      lrms.submit(slow);
      lrms.submit(quick);
      await begun('slow');
      await begun('quick');
      await lrms[Symbol.asyncDispose]();
      await new Promise((resolve) => setTimeout(resolve, 350));
      lrms = await open(spool, listener);
      expect(await lrms.adopt(slow)).toBe(true);
      expect(await lrms.adopt(quick)).toBe(true);
      expect(await endOf('slow')).toMatchObject({ kind: 'exited', exitCode: 4 });
      expect(await endOf('quick')).toMatchObject({ kind: 'exited', exitCode: 5 });
    });

    test('a task whose end was told before is told of once more, and does not run again', async () => {
      const told = task('told', ['sh', '-c', 'echo ran >>ran; exit 6']);
      lrms.submit(told);
      const end = await endOf('told');
      // What is left of it goes by and by.
      await new Promise((resolve) => setTimeout(resolve, 300));
      await lrms[Symbol.asyncDispose]();
      ends.clear();
      lrms = await open(spool, listener);
      expect(await lrms.adopt(told)).toBe(true);
      expect(await endOf('told')).toMatchObject({ kind: 'exited', exitCode: 6 });
      expect(end).toMatchObject({ kind: 'exited', exitCode: 6 });
      expect(lines('attempts/told/work/ran')).toEqual(['ran']);
    });

    test('a task that was never started is not adopted', async () => {
      const never = task('never', ['true']);
      expect(await lrms.adopt(never)).toBe(false);
      lrms.submit(never);
      expect(await endOf('never')).toMatchObject({ kind: 'exited', exitCode: 0 });
    });

    test('what does not fit waits its turn', async () => {
      const both = ['w1', 'w2'].map((id) =>
        task(id, ['sh', '-c', 'until [ -e go ]; do sleep 0.1; done']),
      );
      for (const one of both) lrms.submit(one);
      lrms.submit(task('w3', ['true']));
      for (const { id } of both) await begun(id);
      // How late each begins is not up to the gateway: none ends before both have.
      for (const { directory } of both) writeFileSync(join(directory, 'work', 'go'), '');
      await endOf('w3');
      await endOf('w2');
      await endOf('w1');
      // No batch system owes an order.
      for (const first of inOrder ? ['started w1', 'started w2'] : [])
        expect(events.indexOf('started w3')).toBeGreaterThan(events.indexOf(first));
      expect(existsSync(join(spool, 'attempts/w1/status'))).toBe(true);
    });

    test.for(inOrder ? ['a large task is not overtaken by small ones'] : [])('%s', async () => {
      lrms.submit(task('s1', ['sleep', '0.3']));
      lrms.submit(task('large', ['true'], { cpus: 2 }));
      lrms.submit(task('s2', ['true']));
      await endOf('s2');
      await endOf('large');
      expect(events.indexOf('started s2')).toBeGreaterThan(events.indexOf('started large'));
    });

    test('a cancelled task ends, running or waiting', async () => {
      lrms.submit(task('c1', ['sleep', '60'], { cpus: 2 }));
      await begun('c1');
      lrms.submit(task('c2', ['sleep', '60']));
      lrms.cancel(attemptId('c2'), 20_000);
      expect(await endOf('c2')).toMatchObject({ kind: 'not-started' });
      // Enough for a batch system that delivers TERM late: a KILL would end it with 137.
      lrms.cancel(attemptId('c1'), 20_000);
      expect(await endOf('c1')).toMatchObject({ kind: 'exited', exitCode: 143 });
    });

    test('a task that is deaf to TERM is killed after its time of grace, all of it', async () => {
      const beat = 'while :; do echo $$ >beat.$$; sleep 0.1; done';
      const deaf = task('deaf', ['sh', '-c', `trap '' TERM; (exec sh -c '${beat}') & ${beat}`]);
      const beats = (): readonly string[] =>
        readdirSync(join(deaf.directory, 'work')).map((one) => join(deaf.directory, 'work', one));
      lrms.submit(deaf);
      await expect.poll(() => beats().length).toBe(2);
      await begun('deaf');
      const askedAtMs = Date.now();
      lrms.cancel(attemptId('deaf'), 500, 1_000);
      expect(await endOf('deaf')).toMatchObject({ kind: 'exited', exitCode: 137 });
      const lastMs = (): number => Math.max(...beats().map((file) => statSync(file).mtimeMs));
      const stands = async (): Promise<boolean> => {
        const before = lastMs();
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        return lastMs() === before;
      };
      await expect.poll(stands).toBe(true);
      // Batch systems kill by themselves after half a minute or a minute.
      expect(lastMs() - askedAtMs).toBeLessThan(20_000);
    });

    test('cancelling what is unknown or has ended is no error', async () => {
      lrms.submit(task('over', ['true']));
      await endOf('over');
      lrms.cancel(attemptId('over'), 0);
      lrms.cancel(attemptId('nobody'), 0);
      expect(events).toEqual(['started over', 'ended over']);
    });

    test('a task that overstays its walltime is ended and says so', async () => {
      lrms.submit(task('long', ['sleep', '60'], { walltimeMs: 300 }));
      expect(await endOf('long')).toMatchObject({
        kind: 'limit',
        limit: 'walltime',
        allowed: 300,
        exitCode: 143,
      });
    });

    test(`${many} short tasks all end well`, async () => {
      const ids = Array.from({ length: many }, (_, at) => `m${at}`);
      for (const id of ids) lrms.submit(task(id, ['true']));
      await Promise.all(ids.map(endOf));
      expect(
        [...ends.values()].filter((end) => end.kind !== 'exited' || end.exitCode !== 0),
      ).toEqual([]);
    });
  });
}
