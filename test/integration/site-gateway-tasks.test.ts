import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { State } from '../../proto/gen/grid/v1/common.ts';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
import { type Placed, specOf, startTestSite, type TestSite } from '../fakes/test-site.ts';

let grid: LiveGrid;
let site: TestSite;
beforeAll(async () => {
  grid = await openLiveGrid();
  site = await startTestSite(grid, 'tasks', ['cpus: 2', 'memory: 4G', 'staging-patience: 0s']);
});
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await grid[Symbol.asyncDispose]();
});

let count = 0;
const run = async (
  command: readonly string[],
  part: Partial<Placed['spec']> = {},
  more: Partial<Placed> = {},
) => {
  count += 1;
  const id = `task-${count}`;
  await site.place([{ id, spec: { command, ...part }, ...more }]);
  return { id, ...(await site.outcomeOf(id)) };
};
const resources = specOf({ command: [] }).resources;

/** Processes that belong to an attempt, by the mark in their environment. */
const processesOf = (id: string): readonly string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8')
          .split('\0')
          .includes(`GRID_ATTEMPT=${id}`);
      } catch {
        return false;
      }
    });

describe('how a task ends', () => {
  test('an exit code other than 0 fails the attempt with it', async () => {
    expect(await run(['sh', '-c', 'exit 3'])).toMatchObject({
      state: State.STATE_FAILED,
      failure: 'job',
      reason: 'EXIT_NONZERO',
      exitCode: 3,
      signal: 0,
    });
  });

  test('a signal is named', async () => {
    expect(await run(['sh', '-c', 'kill -SEGV $$'])).toMatchObject({
      failure: 'job',
      reason: 'KILLED_BY_SIGNAL',
      exitCode: 139,
      signal: 11,
      detail: 'SIGSEGV ended the program',
    });
  });

  test('a task that kills its whole process group does not take its wrapper along', async () => {
    expect(await run(['sh', '-c', 'kill -TERM 0; sleep 5'])).toMatchObject({
      reason: 'KILLED_BY_SIGNAL',
      signal: 15,
    });
  });

  test('a command that is not there is named', async () => {
    const outcome = await run(['no-such-program', '--help']);
    expect(outcome).toMatchObject({ failure: 'job', reason: 'COMMAND_NOT_FOUND', exitCode: 127 });
    expect(outcome.detail).toContain("'no-such-program' was not found at the site");
  });

  test('builtins of the shell are looked up as programs', async () => {
    expect(await run(['exit', '0'])).toMatchObject({ reason: 'COMMAND_NOT_FOUND' });
  });

  test('a file that may not be executed is named', async () => {
    expect(await run(['/etc/passwd'])).toMatchObject({
      reason: 'COMMAND_NOT_EXECUTABLE',
      exitCode: 126,
    });
  });

  test('a command that is longer than Linux takes is the fault of the job', async () => {
    expect(await run(['true', 'x'.repeat(200_000)])).toMatchObject({
      failure: 'job',
      reason: 'COMMAND_TOO_LONG',
    });
  });

  test('an output that was promised and not made fails the attempt and is named', async () => {
    const outcome = await run(['true'], { outputs: ['result/*.csv'] });
    expect(outcome).toMatchObject({ failure: 'job', reason: 'OUTPUT_MISSING' });
    expect(outcome.detail).toContain("'result/*.csv'");
  });

  test('CPU and wall time are measured', async () => {
    const { usage } = await run([
      'sh',
      '-c',
      'sleep 0.3; i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done',
    ]);
    expect(usage.wallMs).toBeGreaterThanOrEqual(300);
    expect(usage.wallMs).toBeLessThan(60_000);
    expect(usage.cpuMs).toBeGreaterThan(20);
    expect(usage.cpuMs).toBeLessThan(usage.wallMs);
  });
});

describe('what a task finds', () => {
  test('arguments and variables arrive byte for byte', async () => {
    const words = [
      '',
      ' ',
      "it's",
      '"$HOME"',
      '$(date)',
      'a\nb',
      '\\',
      '*',
      'ü€\u{1f30d}',
      '--',
      '`x`',
    ];
    const file = join(site.dir, 'words');
    const script = `const fs = require('node:fs'); fs.writeFileSync(${JSON.stringify(file)}, JSON.stringify([process.argv.slice(1), process.env.STRANGE]))`;
    const strange = 'it\'s \n $PATH \\ "x" ';
    const command = [process.execPath, '-e', script, '--', ...words];
    expect(await run(command, { env: { STRANGE: strange } })).toMatchObject({ reason: '' });
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual([words, strange]);
  });

  test('a clean environment with the words of the grid', async () => {
    const file = join(site.dir, 'environment');
    const { id } = await run(
      ['sh', '-c', `env >${file}; pwd >>${file}`],
      {},
      { taskValue: 'alpha' },
    );
    const text = await readFile(file, 'utf8');
    const work = join(site.spool, 'attempts', id, 'work');
    for (const line of [
      `GRID_ATTEMPT=${id}`,
      `GRID_JOB_ID=job-${id}`,
      'GRID_TASK=alpha',
      'GRID_SITE=tasks',
      'GRID_VO=demo',
      'GRID_CPUS=1',
      'OMP_NUM_THREADS=1',
      `HOME=${work}`,
      work,
    ])
      expect(text.split('\n')).toContain(line);
    expect(text).not.toContain('_grid_');
    expect(text).not.toContain('NODE_');
  });

  test('it is bound to as many CPUs as it asked for', async () => {
    const file = join(site.dir, 'cpus');
    await run(['sh', '-c', `grep Cpus_allowed_list /proc/self/status >${file}`]);
    expect(await readFile(file, 'utf8')).toMatch(/^Cpus_allowed_list:\s+\d+$/m);
  });

  test('its standard input is empty', async () => {
    expect(await run(['sh', '-c', 'test -z "$(cat)"'])).toMatchObject({ reason: '' });
  });
});

describe('limits', () => {
  test('a task that ignores TERM ends soon after its walltime', async () => {
    const begun = Date.now();
    const command = ['sh', '-c', "trap '' TERM; while :; do sleep 0.1; done"];
    const outcome = await run(command, { resources: { ...resources, walltimeMs: 1_000 } });
    expect(outcome).toMatchObject({ failure: 'limit', reason: 'WALLTIME_EXCEEDED' });
    expect(outcome.detail).toContain('1.0 s');
    // Five seconds of grace.
    expect(Date.now() - begun).toBeLessThan(30_000);
    expect(processesOf(outcome.id)).toEqual([]);
  });

  test('a task that takes more memory than it asked for is ended, and both values are said', async () => {
    const script = 'x = bytearray(300 << 20)\nimport time\ntime.sleep(60)';
    const outcome = await run(['python3', '-c', script], {
      resources: { ...resources, memoryBytes: 100 * 2 ** 20 },
    });
    expect(outcome).toMatchObject({ failure: 'limit', reason: 'MEMORY_EXCEEDED' });
    // The kernel ends it when it reaches the limit; where it cannot, the gateway sees it above.
    expect(outcome.detail).toMatch(/it used \d\d\d MiB of memory( and wanted more)?, 100 MiB were/);
    expect(outcome.usage.peakMemoryBytes).toBeGreaterThan(99 * 2 ** 20);
  });

  test('an attempt that was given more memory than the job asked for may use it', async () => {
    const script = 'x = bytearray(300 << 20)\nimport time\ntime.sleep(3)';
    const spec = { resources: { ...resources, memoryBytes: 100 * 2 ** 20 } };
    const command = ['python3', '-c', script];
    expect(await run(command, spec, { memoryBytes: 2 ** 29 })).toMatchObject({ reason: '' });
  });
});

describe('nothing is left behind', () => {
  test.for([
    ['a double-forked child', '(sleep 300 & echo $! >pid) &'],
    ['a child in a session of its own', 'setsid sleep 300 & echo $! >pid'],
    ['a child without its environment', 'env -i sleep 300 & echo $! >pid'],
    ['a child that ignores signals', `(trap '' TERM HUP INT; exec sleep 300) & echo $! >pid`],
  ])('%s is ended and said', async ([, script]) => {
    const sleeps = `until [ "$(cat /proc/$(cat pid)/comm)" = sleep ]; do sleep 0.1; done 2>/dev/null`;
    const outcome = await run(['sh', '-c', `${script}\n${sleeps}\nexit 0`]);
    expect(outcome).toMatchObject({ state: State.STATE_DONE, reason: '' });
    expect(outcome.detail).toMatch(/left behind (was|were) ended: .*sleep/);
    expect(processesOf(outcome.id)).toEqual([]);
  });
});

describe('a big stream', () => {
  test('of 100 MB is no problem for the task', async () => {
    const outcome = await run(['sh', '-c', 'head -c 100000000 /dev/zero; exit 4']);
    expect(outcome).toMatchObject({ reason: 'EXIT_NONZERO', exitCode: 4 });
    expect(outcome.detail).toContain('its output could not be kept');
  });
});
