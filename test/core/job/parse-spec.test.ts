import { describe, expect, test } from 'vitest';
import { parseSpec, SPEC_KEYS } from '../../../core/job/parse-spec.ts';
import { demandedSandbox } from '../../../core/job/sandbox.ts';
import type { JobSpec } from '../../../core/job/spec.ts';
import { resourcesOf } from '../../fakes/offers.ts';

const specOf = (raw: unknown): JobSpec => {
  const parsed = parseSpec(raw);
  expect(parsed).toMatchObject({ ok: true });
  return (parsed as { spec: JobSpec }).spec;
};
const problemsOf = (raw: unknown): readonly string[] => {
  const parsed = parseSpec(raw);
  return parsed.ok ? [] : parsed.problems.map((p) => `${p.path.join('.')}: ${p.message}`);
};

const HEX = 'ab'.repeat(32);

describe('what a job gets that says little', () => {
  test('one core, 1 GiB, one hour, no further try', () => {
    expect(specOf({ command: ['./fit', 'x'] })).toEqual({
      name: 'fit',
      command: ['./fit', 'x'],
      env: {},
      inputs: [],
      outputs: [],
      resources: resourcesOf(),
      requirements: '',
      rank: '',
      after: [],
      retries: 0,
      vo: '',
      sites: [],
      excludeSites: [],
      stdin: '',
      onLost: 'release',
    });
  });

  test.for<[unknown, string]>([
    [['/usr/bin/python3', 'a.py'], 'python3'],
    ['echo hello > x', 'echo'],
    [['./'], 'job'],
  ])('the name of %j is %s', ([command, name]) => expect(specOf({ command }).name).toBe(name));
});

describe('forms of values', () => {
  test('one text is a line for the shell, a list is taken word by word', () => {
    expect(specOf({ command: 'a | b' }).command).toEqual(['sh', '-c', 'a | b']);
    expect(specOf({ command: ['sleep', 1, true] }).command).toEqual(['sleep', '1', 'true']);
  });

  test('a sandbox is demanded by class, and without a network by a class that can', () => {
    expect(specOf({ command: 'x', sandbox: 'cgroup', network: 'site' })).toMatchObject({
      sandbox: 'cgroup',
      network: 'site',
    });
    expect(demandedSandbox(specOf({ command: 'x' }))).toBe('account');
    expect(demandedSandbox(specOf({ command: 'x', network: 'none' }))).toBe('namespaces');
    expect(demandedSandbox({ sandbox: 'cgroup', network: 'none' })).toBe('cgroup');
  });

  test('modules keep their order, and a name that a shell or a flag could read is none', () => {
    const modules = ['gcc/13', 'openmpi', 'bio/samtools/1.19+htslib', 'R_4.3@x'];
    expect(specOf({ command: 'x', modules }).modules).toEqual(modules);
    expect(specOf({ command: 'x', modules: 'gcc/13' }).modules).toEqual(['gcc/13']);
    expect(specOf({ command: 'x', modules: [] })).not.toHaveProperty('modules');
    const bad = ['-f', 'a b', '$(id)', 'a;b', '/abs', 'a//b', 'gcc/', 'a/-b', '../x', 'é'];
    expect(problemsOf({ command: 'x', modules: bad })).toEqual(
      bad.map(
        (name, at) =>
          `modules.${at}: '${name}' is no name of a module: write for instance gcc or gcc/13`,
      ),
    );
  });

  test('numbers may be texts, as flags give them', () => {
    const { resources } = specOf({
      command: 'x',
      cpus: '4',
      gpus: 1,
      nodes: '2',
      memory: '1.5G',
      walltime: '1h30m',
      disk: '20G',
      'gpu-model': 'A100',
      licences: { matlab: '2', ansys: '' },
    });
    expect(resources).toEqual({
      cpus: 4,
      gpus: 1,
      nodes: 2,
      memoryBytes: 1.5 * 2 ** 30,
      walltimeMs: 5_400_000,
      diskBytes: 20 * 2 ** 30,
      gpuModel: 'A100',
      licences: { matlab: 2, ansys: 1 },
    });
  });

  test('inputs from elsewhere are addresses with a digest, at the end or beside them', () => {
    const from = `https://a.org/d/x.gz?q=1#sha256=${HEX}`;
    const inputs = [
      from,
      `${from}=in/y=z`,
      { from: 'https://a.org/d/x.gz?q=1', sha256: HEX, to: 'w' },
      `https://a.org/#sha256=${HEX}`,
      { from: 's3://lab/k', sha256: HEX, endpoint: 'https://s3.a.org', region: 'eu' },
    ];
    expect(specOf({ command: 'x', inputs }).inputs).toMatchObject([
      { from, to: 'x.gz' },
      { from, to: 'in/y=z' },
      { from, to: 'w' },
      { to: 'download' },
      { from: `s3://lab/k?endpoint=https://s3.a.org&region=eu#sha256=${HEX}`, to: 'k' },
    ]);
  });

  test('inputs are paths, pairs, or the results of another job, which then comes first', () => {
    const spec = specOf({
      command: 'x',
      inputs: [
        './a//b/',
        { from: 'c', to: 'in/c' },
        { from: 'job:j0123456789a', to: 'parts' },
        'job:j0123456789b',
      ],
      after: 'j0123456789b',
    });
    expect(spec.inputs).toEqual([
      { from: 'a/b', to: 'a/b' },
      { from: 'c', to: 'in/c' },
      { from: 'job:j0123456789a', to: 'parts' },
      { from: 'job:j0123456789b', to: 'j0123456789b' },
    ]);
    expect(spec.after).toEqual([
      { job: 'j0123456789b', when: 'ok' },
      { job: 'j0123456789a', when: 'ok' },
    ]);
  });

  test('what flags write as one text means the same in a document', () => {
    const inputs = ['grid:/biomed/hg38@v3=ref', 'job:j0123456789a=parts', 'a=b.csv'];
    expect(specOf({ command: 'x', inputs }).inputs).toEqual([
      { from: 'grid:/biomed/hg38@v3', to: 'ref' },
      { from: 'job:j0123456789a', to: 'parts' },
      { from: 'a=b.csv', to: 'a=b.csv' },
    ]);
  });

  test('a single site or output is a list of one', () => {
    const spec = specOf({
      command: 'x',
      sites: 'campus',
      outputs: '*.csv',
      'exclude-sites': ['hpc'],
    });
    expect([spec.sites, spec.outputs, spec.excludeSites]).toEqual([['campus'], ['*.csv'], ['hpc']]);
  });

  test('an array is a range or a list', () => {
    expect(specOf({ command: 'x', array: '0-9:3' }).array).toEqual({
      kind: 'range',
      first: 0,
      last: 9,
      step: 3,
    });
    expect(specOf({ command: 'x', array: ['a', 1] }).array).toEqual({
      kind: 'list',
      values: ['a', '1'],
    });
  });

  test('a value that is left empty is not given', () => {
    expect(
      specOf({ command: 'x', memory: '', walltime: null, inputs: '', stdin: '' }).resources
        .memoryBytes,
    ).toBe(2 ** 30);
  });
});

describe('refusals', () => {
  test.for<[object, string]>([
    [{ cpu: 4 }, "cpu: there is no key 'cpu'; did you mean 'cpus'?"],
    [
      { exclude_sites: [] },
      "exclude_sites: there is no key 'exclude_sites'; did you mean 'exclude-sites'?",
    ],
    [{ zebra: 1 }, "zebra: there is no key 'zebra'"],
    [{ cpus: 0 }, "cpus: cpus must be a whole number, at least 1, not '0'"],
    [{ cpus: 1.5 }, "cpus: cpus must be a whole number, at least 1, not '1.5'"],
    [{ cpus: [1] }, 'cpus: cpus must be a whole number, at least 1, not a list'],
    [{ retries: -1 }, "retries: retries must be a whole number, at least 0, not '-1'"],
    [{ memory: 512 }, "memory: memory '512' has no unit: write for instance 512M or 512G"],
    [{ memory: '4 gallons' }, "memory: memory must be a size such as 512M or 4G, not '4 gallons'"],
    [{ memory: '0M' }, "memory: memory must be a size such as 512M or 4G, not '0M'"],
    [{ walltime: 60 }, "walltime: walltime '60' has no unit: write for instance 60m or 60s"],
    [
      { walltime: 'soon' },
      "walltime: walltime must be a duration such as 90m, 1h30m or 01:30:00, not 'soon'",
    ],
    [{ walltime: '5ms' }, 'walltime: walltime 5 ms is under a second'],
    [{ inputs: [{ to: 'x' }] }, "inputs.0: an input needs 'from'"],
    [
      { inputs: [{ form: 'x', from: 'y' }] },
      "inputs.0.form: an input has no key 'form'; did you mean 'from'?",
    ],
    [
      { inputs: [{ from: 'x', to: '.grid/stdout' }] },
      "inputs.0.to: '.grid/stdout' is in .grid, which is the grid's own",
    ],
    [{ inputs: ['a', { from: 'b', to: 'a' }] }, "inputs.1: 'b' and 'a' would both be 'a'"],
    [
      { inputs: ['https://a.org/x'] },
      "inputs.0: 'https://a.org/x' has no digest: add `#sha256=` and 64 hex digits, as `curl -sL URL | sha256sum` prints them",
    ],
    [{ inputs: [{ from: 'x', sha256: HEX }] }, "inputs.0.sha256: an input has no key 'sha256'"],
    [
      { inputs: [`https://a.org/x?a#sha256=${HEX}`, `https://b.org/x?b#sha256=${HEX}`] },
      `inputs.1: 'https://b.org/x?b#sha256=${HEX}' and 'https://a.org/x?a#sha256=${HEX}' would both be 'x'`,
    ],
    [{ inputs: ['job:17'] }, "inputs.0: '17' is no job id: `grid ls` shows them"],
    [{ outputs: ['../x'] }, "outputs.0: '../x' may leave the directory: write no '..'"],
    [{ outputs: [['x']] }, "outputs.0: an output is a glob, or a set of 'path' and 'live'"],
    [{ env: ['A=1'] }, "env: env must be a set of 'NAME: value', not a list"],
    [{ env: { 'A B': 1 } }, "env.A B: 'A B' is no name of a variable: letters, digits and '_'"],
    [{ env: { GRID_TASK: 1 } }, "env.GRID_TASK: 'GRID_TASK': names with GRID_ are the grid's own"],
    [{ env: { A: {} } }, 'env.A: the value of A must be a text, not a set of keys'],
    [{ array: '9-1' }, "array: '9-1' runs backwards: write 1-9"],
    [{ array: [['x']] }, 'array.0: array must hold texts or numbers, not a list'],
    [
      { sites: ['Campus!'] },
      "sites.0: 'Campus!' is no site id: lower-case letters, digits and inner hyphens",
    ],
    [{ sites: 'a', 'exclude-sites': 'a' }, "exclude-sites: 'a' is among sites too"],
    [{ after: ['yesterday'] }, "after.0: 'yesterday' is no job id: `grid ls` shows them"],
    [{ vo: 'Bio Med' }, "vo: 'Bio Med' is no name of a VO"],
    [{ 'on-lost': 'panic' }, "on-lost: on-lost must be release or keep, not 'panic'"],
    [{ 'inputs-as': 'links' }, "inputs-as: inputs-as must be copy, not 'links'"],
    [{ stdin: '/x' }, "stdin: '/x' is absolute: write a relative path"],
    [{ disk: '-4G' }, "disk: disk must be a size such as 512M or 4G, not '-4G'"],
    [
      { memory: '9999999999999T' },
      "memory: memory must be a size such as 512M or 4G, not '9999999999999T'",
    ],
    [{ licences: 'matlab' }, "licences: licences must be a set of 'name: count', not 'matlab'"],
    [{ licences: { a: '-1' } }, "licences.a: a must be a whole number, at least 1, not '-1'"],
    [{ requirements: ['a'] }, 'requirements: requirements must be a text, not a list'],
  ])('%j', ([raw, expected]) => expect(problemsOf({ command: 'x', ...raw })).toEqual([expected]));

  test.for<[unknown, string]>([
    [{}, ": the job has no command: write 'command: [program, argument]'"],
    [{ command: [] }, 'command: the command is empty'],
    [{ command: '  ' }, 'command: the command is empty'],
    [{ command: ['a', ['b']] }, 'command.1: command must hold texts, not a list'],
    [
      { command: { a: 1 } },
      'command: command must be a list of words or one text, not a set of keys',
    ],
    [[1], ": a job is a set of keys such as 'command: [...]', not a list"],
    [{ jobs: {} }, 'jobs: this is a flow, not a job: `grid flow submit` takes it'],
    ['x', ": a job is a set of keys such as 'command: [...]', not a single value"],
  ])('%j', ([raw, expected]) => expect(problemsOf(raw)).toEqual([expected]));

  test('all problems come in one answer', () => {
    expect(
      problemsOf({ cpu: 1, memory: '1', walltime: 'x', inputs: ['/', '..'], array: '' }),
    ).toHaveLength(6);
  });
});

test('the keys are these', () => {
  expect([...SPEC_KEYS].toSorted()).toEqual(
    [
      'name',
      'command',
      'env',
      'inputs',
      'inputs-as',
      'outputs',
      'cpus',
      'memory',
      'gpus',
      'nodes',
      'walltime',
      'disk',
      'gpu-model',
      'licences',

      'requirements',
      'rank',
      'array',
      'max-running',
      'after',
      'retries',
      'retry-memory',
      'group',
      'vo',
      'sites',
      'exclude-sites',
      'stdin',
      'on-lost',
      'sandbox',
      'network',
      'modules',
      'image',
    ].toSorted(),
  );
});

test.each(['a'.repeat(100_000), 'a.'.repeat(50_000), '.'.repeat(100_000)])(
  'a command that begins with a very long word has a name in a moment',
  (word) => {
    const before = process.cpuUsage();
    const parsed = parseSpec({ command: `KEY=${word}; run me` });
    expect(parsed).toMatchObject({ ok: true, spec: { name: 'run' } });
    expect(process.cpuUsage(before).user).toBeLessThan(2_000_000);
  },
);
