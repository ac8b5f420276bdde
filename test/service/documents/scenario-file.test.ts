import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { GridError } from '../../../core/errors.ts';
import { loadScenario, type Scenario } from '../../../service/documents/scenario-file.ts';
import { madeTrace } from '../../setup/made-trace.ts';
import { testDirs } from '../../support/test-dirs.ts';

const directory = testDirs('scenario')();
const NOTHING = { seed: undefined, untilMs: undefined, traces: [] } as const;
let files = 0;

const fileOf = (text: string | Uint8Array, suffix = '.yaml'): string => {
  files += 1;
  const file = join(directory, `${files}${suffix}`);
  writeFileSync(file, text);
  return file;
};

const SITES = 'sites: [{ id: hub, cpus: 4 }]';
const STREAM = '{ user: ada, vo: astro, arrival: { at: 0s }, runtime: { fixed: 1h } }';

const load = (
  text: string,
  overrides: Partial<Parameters<typeof loadScenario>[1]> = {},
): Scenario => loadScenario(fileOf(text), { ...NOTHING, ...overrides });

/** The refusal as `CODE`, then `line: message` for each problem. */
function refusal(
  text: string,
  overrides: Partial<Parameters<typeof loadScenario>[1]> = {},
): readonly string[] {
  const file = fileOf(text);
  try {
    loadScenario(file, { ...NOTHING, ...overrides });
  } catch (error) {
    if (!(error instanceof GridError)) throw error;
    const { code, message, problems } = error;
    const lines = problems.map(
      ({ where, message: words }) => `${where.split(':').at(-1)}: ${words}`,
    );
    return [code, ...(problems.length > 0 ? lines : [message.replaceAll(`${directory}/`, '')])];
  }
  return [];
}

describe('a scenario', () => {
  test('has one policy and the seed 1 where it says nothing else', () => {
    const { world, policies } = load(`${SITES}\nworkload: [${STREAM}]`);
    expect(world.seed).toBe(1);
    expect(policies).toEqual([
      expect.objectContaining({ name: 'default', fairShare: true, roundIntervalMs: 1_000 }),
    ]);
    expect(world.sites).toEqual([
      expect.objectContaining({
        speed: 1,
        offer: expect.objectContaining({
          site: 'hub',
          totalCpus: 4,
          totalMemoryBytes: 16 * 2 ** 30,
        }),
      }),
    ]);
    expect(world.jobs).toEqual([
      expect.objectContaining({ id: 'job-1', seq: 0, submitAtMs: 0, runtimesMs: [3_600_000] }),
    ]);
  });

  test('makes many sites of one that has a count', () => {
    const { world } = load(`sites: [{ id: lab, count: 3, cpus: 1 }]\nworkload: [${STREAM}]`);
    expect(world.sites.map(({ offer }) => offer.site)).toEqual(['lab-1', 'lab-2', 'lab-3']);
  });

  test('takes seed and end from the command line before its own', () => {
    const { world } = load(`seed: 5\nuntil: 1h\n${SITES}\nworkload: [${STREAM}]`, {
      seed: 9,
      untilMs: 60_000,
    });
    expect([world.seed, world.untilMs]).toEqual([9, 60_000]);
  });

  test('gives streams arrivals of their own: another stream does not change them', () => {
    const poisson = STREAM.replace('{ at: 0s }', '{ poisson: 5/h }');
    const arrivals = (streams: string): readonly number[] =>
      load(`horizon: 2d\n${SITES}\nworkload: [${streams}]`)
        .world.jobs.filter(({ ask }) => ask.owner === '/CN=ada')
        .map(({ submitAtMs }) => submitAtMs);
    const alone = arrivals(poisson);
    expect(alone.length).toBeGreaterThan(150);
    expect(arrivals(`${poisson}, ${poisson.replace('ada', 'bob')}`)).toEqual(alone);
  });

  test('reads rates, intervals and counts', () => {
    const stream = STREAM.replace('{ at: 0s }', '{ every: 30m }, start: 1h, array: 2');
    const { world } = load(`horizon: 3h\n${SITES}\nworkload: [${stream}]`);
    expect(world.jobs.map(({ submitAtMs }) => submitAtMs / 60_000)).toEqual([60, 90, 120, 150]);
    expect(world.jobs[0]?.runtimesMs).toHaveLength(2);
  });

  test('sets weights and caps of VOs, groups and users', () => {
    const { world } = load(
      `${SITES}\nworkload: [${STREAM}]\nshares:\n  - { vo: a, weight: 2 }\n  - { vo: a, group: /a/g, max-cpus: 3 }\n  - { vo: a, user: ada, weight: 0.5 }`,
    );
    expect(world.shares).toEqual([
      { node: ['a'], weight: 2, runningCpus: undefined },
      { node: ['a', '/a/g'], weight: 1, runningCpus: 3 },
      { node: ['a', '/a', '/CN=ada'], weight: 0.5, runningCpus: undefined },
    ]);
  });
});

describe('a trace', () => {
  test.each([
    ['as it is', (text: string) => text],
    ['gzipped', (text: string) => gzipSync(text)],
  ])('%s brings its jobs in beside the workload, the first at 0', (_how, pack) => {
    const trace = fileOf(pack(madeTrace()), '.swf');
    const { world, remarks } = load(`${SITES}\nworkload: [${STREAM}]`, { traces: [trace] });
    expect(world.jobs).toHaveLength(388);
    expect(world.jobs.filter(({ submitAtMs }) => submitAtMs === 0)).toHaveLength(2);
    expect(remarks).toEqual([
      expect.stringContaining('387 jobs, from a machine of 128 processors'),
      expect.stringContaining('13 left out: cancelled before they ran'),
    ]);
  });

  test('may be named in the scenario, relative to it', () => {
    const name = fileOf(madeTrace(), '.swf').slice(directory.length + 1);
    expect(load(`${SITES}\ntrace: ${name}`).world.jobs).toHaveLength(387);
  });

  test('ends at the horizon', () => {
    const trace = fileOf(madeTrace(), '.swf');
    const { world } = load(`horizon: 1d\n${SITES}`, { traces: [trace] });
    expect(world.jobs.length).toBeGreaterThan(50);
    expect(Math.max(...world.jobs.map(({ submitAtMs }) => submitAtMs))).toBeLessThan(86_400_000);
  });

  test.each<[string, string | Uint8Array, readonly string[]]>([
    [
      'garbage',
      '; header\nhello world\n',
      ['TRACE_INVALID', '2: a job has 18 fields, this line has 2'],
    ],
    ['nothing', '; header\n', ['TRACE_INVALID', expect.stringContaining('has no job that ran')]],
    [
      'a broken archive',
      Uint8Array.of(0x1f, 0x8b, 1, 2, 3),
      ['TRACE_INVALID', expect.stringContaining('cannot be unpacked')],
    ],
  ])('of %s is refused', (_what, content, expected) => {
    expect(refusal(SITES, { traces: [fileOf(content, '.swf')] })).toEqual(expected);
  });

  test('that is not there is refused by name', () => {
    expect(refusal(SITES, { traces: ['/nowhere/x.swf'] })).toEqual([
      'FILE_UNREADABLE',
      "'/nowhere/x.swf' is not there (any more)",
    ]);
  });
});

describe('a scenario is refused', () => {
  const withStream = (change: string, instead: string): string =>
    `${SITES}\nworkload:\n  - ${STREAM.replace(change, instead)}`;

  test.each<[string, string, string]>([
    ['without sites', `workload: [${STREAM}]`, '1: sites: '],
    ['with no site', `sites: []\nworkload: [${STREAM}]`, '1: sites: there must be a site'],
    ['without jobs', SITES, 'there is no job: give a workload or a trace'],
    [
      'with zero cpus',
      'sites:\n  - { id: a, cpus: 0 }',
      '2: sites.0.cpus: must be at least 1, not 0',
    ],
    [
      'with a negative speed',
      'sites:\n  - id: a\n    cpus: 1\n    speed: -1',
      '4: sites.0.speed: must be',
    ],
    [
      'with a speed that is no number',
      'sites:\n  - { id: a, cpus: 1, speed: .nan }',
      '2: sites.0.speed: ',
    ],
    [
      'with a failure above 1',
      'sites:\n  - { id: a, cpus: 1, failure: 2 }',
      '2: sites.0.failure: must be at most 1, not 2',
    ],
    ['with a bad id', 'sites:\n  - { id: A_b, cpus: 1 }', '2: sites.0.id: must be lower-case'],
    [
      'with an unknown key',
      'sites:\n  - { id: a, cpus: 1, cpu: 2 }',
      "2: sites.0: there is no setting 'cpu'; did you mean 'cpus'?",
    ],
    [
      'with a site twice',
      'sites:\n  - { id: a-1, cpus: 1 }\n  - { id: a, count: 2, cpus: 1 }',
      "3: sites.1.id: 'a-1' is there twice",
    ],
    [
      'with too many sites',
      'sites:\n  - { id: a, count: 9999, cpus: 1 }\n  - { id: b, count: 9999, cpus: 1 }',
      '1: sites: 19998 sites, at most 10000',
    ],
    [
      'with a policy twice',
      `${SITES}\npolicies:\n  - { name: a }\n  - { name: a }`,
      "4: policies.1.name: 'a' is there twice",
    ],
    [
      'with a negative rate',
      withStream('{ at: 0s }', '{ poisson: -3/h }'),
      "3: workload.0.arrival.poisson: '-3/h' is no rate above 0",
    ],
    [
      'with a rate of nothing',
      withStream('{ at: 0s }', '{ poisson: 0/h }'),
      "'0/h' is no rate above 0",
    ],
    [
      'with two arrivals',
      withStream('{ at: 0s }', '{ at: 0s, every: 1h }'),
      '3: workload.0.arrival: give exactly one of poisson, every, at, not every and at',
    ],
    [
      'with no runtime',
      withStream('{ fixed: 1h }', '{}'),
      '3: workload.0.runtime: give exactly one of fixed, exp, uniform, lognormal, not none',
    ],
    [
      'with a uniform runtime the wrong way round',
      withStream('{ fixed: 1h }', '{ uniform: [2h, 1h] }'),
      'the first must not be above the second',
    ],
    [
      'with an endless stream',
      withStream('{ at: 0s }', '{ every: 1h }'),
      '3: workload.0.arrival: it would never end',
    ],
    [
      'with 10^9 jobs',
      withStream('{ at: 0s }', '{ at: 0s }, count: 1000000000'),
      '3: workload.0: about 1000000000 tasks in all, 1000000000 of them here, at most 2000000',
    ],
    [
      'with an absurd array',
      withStream('{ at: 0s }', '{ at: 0s }, array: 999999999999'),
      'at most 2000000',
    ],
    [
      'with an absurd rate',
      `horizon: 3650d\n${withStream('{ at: 0s }', '{ poisson: 99999/s }')}`,
      'at most 2000000',
    ],
    ['with an absurd horizon', `horizon: 40000d\n${SITES}`, "1: horizon: '40000d' is over 3650d"],
    [
      'with a horizon beyond reckoning',
      `horizon: 99999999999d\n${SITES}`,
      "1: horizon: '99999999999d' is over 3650d",
    ],
    [
      'with a horizon that is no time',
      `horizon: soon\n${SITES}`,
      "1: horizon: 'soon' is no duration",
    ],
    ['with a horizon of nothing', `horizon: 0s\n${SITES}`, "1: horizon: '0s' is under 1000 ms"],
    [
      'with a weight of nothing',
      `${SITES}\nshares:\n  - { vo: a, weight: 0 }`,
      '3: shares.0.weight: must be',
    ],
    [
      'with a bad rank',
      withStream('{ at: 0s }', "{ at: 0s }, rank: 'site.cpu'"),
      "3: workload.0.rank: at 1:6: site has no attribute 'cpu'; did you mean 'cpus'?",
    ],
    [
      'with a bad policy of a site',
      "sites:\n  - { id: a, cpus: 1, policy: 'job.cpus' }",
      '2: sites.0.policy: at 1:1: the result must be true or false, but is int',
    ],
    [
      'with a bad user',
      withStream('user: ada', 'user: "a/b"'),
      '3: workload.0.user: must be a name',
    ],
    ['that is no YAML', 'sites: [', '1: '],
    ['that is a list', '- a\n- b', 'file: '],
  ])('%s', (_what, text, expected) => {
    const [code, ...lines] = refusal(text);
    expect(code).toBe('SCENARIO_INVALID');
    expect(lines.join('\n')).toContain(expected);
  });

  test('that is not there, by name', () => {
    expect(() => loadScenario('/nowhere/x.yaml', NOTHING)).toThrow(
      expect.objectContaining({
        code: 'SCENARIO_INVALID',
        message: 'cannot read /nowhere/x.yaml: it is not there (any more)',
      }),
    );
  });

  test('with everything that is wrong at once', () => {
    const lines = refusal('horizon: x\nsites:\n  - { id: a, cpus: 0, speed: 0 }');
    expect(lines.slice(1).map((line) => line.split(': ').slice(0, 2).join(': '))).toEqual([
      '1: horizon',
      '3: sites.0.cpus',
      '3: sites.0.speed',
    ]);
  });
});
