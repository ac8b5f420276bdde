import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runCommand } from '../../cli/run-command.ts';
import { testDirs } from '../support/test-dirs.ts';

const directory = testDirs('simulate')();
const SCENARIO = `
horizon: 6h
sites:
  - { id: hub, cpus: 4 }
workload:
  - { user: ada, vo: astro, arrival: { poisson: 10/h }, runtime: { exp: 20m } }
  - { user: bea, vo: biomed, arrival: { every: 1h }, cpus: 4, runtime: { fixed: 30m } }
policies:
  - { name: fair }
  - { name: first-come, fair-share: false }
`;
writeFileSync(join(directory, 'small.yaml'), SCENARIO);

/** One command line as the program runs it, in the directory of the test. */
async function grid(
  words: string,
  signal = new AbortController().signal,
): Promise<{ readonly exit: number; readonly out: string; readonly err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const exit = await runCommand(words.split(' '), {
    env: {},
    cwd: directory,
    userHome: directory,
    signal,
    version: 'test',
    stdout: (text) => out.push(text),
    stderr: (text) => err.push(text),
    writeBytes: () => Promise.resolve(),
    readStdin: () => Promise.resolve(''),
    codeOfSignal: () => 130,
    stdoutIsTerminal: false,
    stderrIsTerminal: false,
    columns: 120,
  });
  return { exit, out: out.join(''), err: err.join('') };
}

describe('grid simulate', () => {
  test('shows the figures of every policy side by side', async () => {
    const { exit, out, err } = await grid('simulate small.yaml');
    expect([exit, err]).toEqual([0, '']);
    expect(out).toContain('1 site with 4 cpus, seed 1');
    expect(out).toMatch(/^ +FAIR +FIRST-COME$/m);
    expect(out).toMatch(/^wait, mean +\S/m);
    expect(out).toMatch(/^a round took +\d+\.\d{3} ms +\d+\.\d{3} ms$/m);
    expect(out).toMatch(/^biomed bea +\d+\.\d % of \d+\.\d %, /m);
  });

  test('gives the same as JSON, with what the rounds cost', async () => {
    const { out } = await grid('simulate small.yaml --json --policy first-come --seed 5');
    expect(JSON.parse(out)).toMatchObject({
      seed: 5,
      sites: 1,
      cpus: 4,
      policies: [
        {
          policy: 'first-come',
          unfinished: 0,
          waitMs: { mean: expect.any(Number) },
          users: [{ name: 'astro ada' }, { name: 'biomed bea' }],
        },
      ],
      costs: [{ policy: 'first-come', roundsMs: expect.any(Number) }],
    });
  });

  test('writes a report, and the same bytes again', async () => {
    const { out } = await grid('simulate small.yaml --report one');
    expect(out).toContain(join(directory, 'one', 'report.md'));
    await grid('simulate small.yaml --report two');
    const read = (dir: string): readonly (readonly [string, string])[] =>
      readdirSync(join(directory, dir)).map((name) => [
        name,
        readFileSync(join(directory, dir, name), 'utf8'),
      ]);
    expect(read('one').map(([name]) => name)).toEqual([
      'report.json',
      'report.md',
      'shares.svg',
      'slowdown.svg',
      'utilisation.svg',
      'waits.svg',
    ]);
    expect(read('two')).toEqual(read('one'));
  });

  test('stops at the time that is given', async () => {
    const { out } = await grid('simulate small.yaml --until 1h --json');
    expect(JSON.parse(out)).toMatchObject({
      policies: [{ makespanMs: expect.toSatisfy(isUnderAnHour) }, {}],
    });
  });

  test('says which tasks fit nowhere', async () => {
    writeFileSync(
      join(directory, 'wide.yaml'),
      SCENARIO.replace('cpus: 4, runtime', 'cpus: 5, runtime'),
    );
    const { out } = await grid('simulate wide.yaml');
    expect(out).toContain(
      '6 tasks of /CN=bea fit no site; hub: needs 5 cpus, offers 4 (too-few-cpus)',
    );
    expect(out).toMatch(/^unfinished +6 +6$/m);
  });

  test.for<[string, string, string]>([
    [
      'simulate small.yaml --policy first-cone',
      'USAGE',
      "has no policy 'first-cone'; did you mean 'first-come'?",
    ],
    ['simulate small.yaml --policy x', 'USAGE', "has no policy 'x'; it has fair, first-come"],
    ['simulate small.yaml --seed -1', 'USAGE', "--seed '-1' is not a whole number"],
    ['simulate small.yaml --until soon', 'USAGE', "--until 'soon' is not a duration"],
    ['simulate small.yaml --swf small.yaml', 'TRACE_INVALID', 'a job has 18 fields'],
    ['simulate absent.yaml', 'SCENARIO_INVALID', 'cannot read'],
    ['simulate', 'USAGE', "missing required argument 'file'"],
    ['simulate small.yaml --report small.yaml', 'FILE_UNWRITABLE', 'small.yaml'],
  ])('refuses `grid %s` with %s', async ([words, code, message]) => {
    const { exit, out, err } = await grid(words);
    expect(exit).toBeGreaterThan(0);
    expect(out).toBe('');
    expect(err).toContain(code);
    expect(err).toContain(message);
  });

  test('ends when it is interrupted', async () => {
    const stream = SCENARIO.replace('poisson: 10/h', 'poisson: 2000/h');
    writeFileSync(join(directory, 'long.yaml'), stream);
    const { exit, err } = await grid('simulate long.yaml', AbortSignal.timeout(1));
    expect([exit, err]).toEqual([130, expect.stringContaining('INTERRUPTED')]);
  });
});

const isUnderAnHour = (value: unknown): boolean => typeof value === 'number' && value <= 3_600_000;
