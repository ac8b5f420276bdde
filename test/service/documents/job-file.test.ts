import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { GridError } from '../../../core/errors.ts';
import type { JobSpec } from '../../../core/job/spec.ts';
import { checkJobs } from '../../../service/documents/check-jobs.ts';
import { readJobText } from '../../../service/documents/job-file.ts';
import { looksLikeScript, readScript } from '../../../service/documents/job-script.ts';
import { testDirs } from '../../support/test-dirs.ts';

/** In a directory of its own, so that nothing is beside it. */
const base = join(testDirs('jobs')(), 'study');
beforeAll(async () => {
  await mkdir(join(base, 'data/deep'), { recursive: true });
  for (const name of ['fit.py', 'data/a.csv', 'data/b.csv', 'data/deep/c.csv'])
    await writeFile(join(base, name), name);
  await symlink('nowhere', join(base, 'broken'));
});

const check = async (text: string): Promise<readonly JobSpec[]> => {
  const jobs = await checkJobs(readJobText({ name: 'job.yaml', text, base }));
  return jobs.map(({ spec }) => spec);
};
const problemsIn = async (work: () => Promise<unknown>): Promise<readonly string[]> => {
  const error: unknown = await work().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(GridError);
  const { code, problems } = error as GridError;
  expect(code).toBe('SPEC_INVALID');
  return problems.map(({ where, message }) => `${where} ${message}`.replace(base, 'DIR'));
};

describe('a job file', () => {
  test('keeps values as they were written', async () => {
    const [spec] = await check('command: [true, 1.10, 0x10]\nenv: {A: 1.0, B: null}\n');
    expect(spec?.command).toEqual(['true', '1.10', '0x10']);
    expect(spec?.env).toEqual({ A: '1.0', B: 'null' });
  });

  test('may be JSON, and may hold several jobs', async () => {
    expect((await check('{"command": ["a"], "cpus": 4}'))[0]?.resources.cpus).toBe(4);
    const specs = await check('command: a\n---\ncommand: b\n---\n# the end\n');
    expect(specs.map(({ name }) => name)).toEqual(['a', 'b']);
  });

  test('has its globs expanded, in order', async () => {
    const [spec] = await check(
      'command: x\ninputs: ["data/*.csv", {from: "**/c.csv", to: flat}]\n',
    );
    expect(spec?.inputs).toEqual([
      { from: 'data/a.csv', to: 'data/a.csv' },
      { from: 'data/b.csv', to: 'data/b.csv' },
      { from: 'data/deep/c.csv', to: 'flat/c.csv' },
    ]);
  });

  test('may send a whole directory, and read an input inside it as stdin', async () => {
    const [spec] = await check('command: x\ninputs: data\nstdin: data/deep/c.csv\n');
    expect(spec?.inputs).toEqual([{ from: 'data', to: 'data' }]);
  });
});

describe('inputs outside the directory of the job file', () => {
  const outside = testDirs('outside')();
  beforeAll(async () => {
    for (const name of ['a.csv', 'b.csv']) await writeFile(join(outside, name), name);
  });
  const inputsOf = async (text: string) =>
    (await check(`command: x\ninputs: ${text}\n`))[0]?.inputs;

  test('stand in the tree by their whole path, and come under their last name or the one given', async () => {
    const from = `.grid/outside${outside}/a.csv`;
    expect(await inputsOf(`${outside}/a.csv`)).toEqual([{ from, to: 'a.csv' }]);
    expect(await inputsOf(`{from: ${outside}//./a.csv, to: in/x}`)).toEqual([{ from, to: 'in/x' }]);
    const up = relative(base, join(outside, 'a.csv'));
    expect(up).toMatch(/^\.\./);
    expect(await inputsOf(up)).toEqual([{ from, to: 'a.csv' }]);
    expect(await inputsOf(`{from: ${relative(base, outside)}/, to: d}`)).toEqual([
      { from: `.grid/outside${outside}`, to: 'd' },
    ]);
  });

  test('may be many, by a glob', async () => {
    const found = (dir: string) =>
      ['a.csv', 'b.csv'].map((name) => ({
        from: `.grid/outside${outside}/${name}`,
        to: `${dir}${name}`,
      }));
    expect(await inputsOf(`["${outside}/*.csv"]`)).toEqual(found(''));
    expect(await inputsOf(`{from: "${relative(base, outside)}/*", to: t}`)).toEqual(found('t/'));
  });

  test('are none where the path comes back inside', async () => {
    expect(await inputsOf(`data/../fit.py`)).toEqual([{ from: 'fit.py', to: 'fit.py' }]);
    expect(await inputsOf(`${base}/data/a.csv`)).toEqual([{ from: 'data/a.csv', to: 'a.csv' }]);
    expect(await inputsOf(`{from: ${base}, to: all}`)).toEqual(
      ['data', 'fit.py'].map((name) => ({ from: name, to: `all/${name}` })),
    );
  });
});

describe('problems have their place', () => {
  test.for<[string, readonly string[]]>([
    ['command: x\ncpu: 4\n', ["job.yaml:2:1 there is no key 'cpu'; did you mean 'cpus'?"]],
    [
      'command: x\n\nmemory: 512\n',
      ["job.yaml:3:9 memory '512' has no unit: write for instance 512M or 512G"],
    ],
    ['cpus: 1\n', ["job.yaml:1:1 the job has no command: write 'command: [program, argument]'"]],
    [
      'command: x\ninputs:\n  - fit.py\n  - fti.py\n',
      ["job.yaml:4:5 there is no file 'fti.py' in DIR; did you mean 'fit.py'?"],
    ],
    ['command: x\ninputs: ["*.txt"]\n', ["job.yaml:2:10 '*.txt' matches nothing in DIR"]],
    [
      'command: x\ninputs:\n  - {from: ../no-such/up, to: x}\n',
      ["job.yaml:3:5 there is no file '../no-such/up'"],
    ],
    ['command: x\ninputs: /dev/null\n', ["job.yaml:2:9 '/dev/null' is neither file nor directory"]],
    ['command: x\ninputs: ["../nowhere/*"]\n', ["job.yaml:2:10 '../nowhere/*' matches nothing"]],
    ['command: x\ninputs: broken\n', ["job.yaml:2:9 'broken' is a link to nothing"]],
    [
      'command: x\ninputs: fit.py\nstdin: fit.pu\n',
      ["job.yaml:3:8 'fit.pu' is not among the inputs; did you mean 'fit.py'?"],
    ],
    [
      'command: x\nenv:\n  1A: b\n',
      ["job.yaml:3:3 '1A' is no name of a variable: letters, digits and '_'"],
    ],
    [
      'command: x\nrequirements: site.cpu > 1\n',
      ["job.yaml:2:20 requirements: site has no attribute 'cpu'; did you mean 'cpus'?"],
    ],
    [
      'command: x\nrequirements: |\n  site.cpus > 1 &&\n    site.foo == 2\n',
      ["job.yaml:4:10 requirements: site has no attribute 'foo'"],
    ],
    [
      'command: x\nrank: site.id\n',
      ['job.yaml:2:7 rank: the result must be a number, but is string'],
    ],
    [
      'command: x\ncpus: 100000\n',
      ['job.yaml:2:7 100000 is out of range: a whole number from 1 to 65536'],
    ],
    ['command: x\ncommand: y\n', ['job.yaml:2:1 map keys must be unique']],
    [
      '{"command": ["x"],\n "cpus": "two"}',
      ["job.yaml:2:10 cpus must be a whole number, at least 1, not 'two'"],
    ],
    ['# nothing\n', ['job.yaml:1:1 there is no job in it']],
    [
      'command: x\nmemory: 4000T\n',
      ['job.yaml:2:9 4000 TiB is out of range: from 0 B to 1024 TiB'],
    ],
    ['command: x\ngpus: 1\ngpu-model: "#"\n', [expect.stringMatching(/^job.yaml:3:12 must be/)]],
    [
      'command: x\nlicences: {a: 1, b c: 2}\n',
      [expect.stringMatching(/^job.yaml:2:23 that is no/)],
    ],
    ['command: x\nlicences: {a: -1}\n', [expect.stringMatching(/^job.yaml:2:15 a must be/)]],
    ['- a\n', ["job.yaml:1:1 a job is a set of keys such as 'command: [...]', not a list"]],
  ])('%j', async ([text, expected]) => {
    expect(await problemsIn(() => check(text))).toEqual(expected);
  });

  test('two inputs that would land in one place are named', async () => {
    const text = 'command: x\ninputs: [{from: fit.py, to: d/a.csv}, {from: "data/*.csv", to: d}]\n';
    expect(await problemsIn(() => check(text))).toEqual([
      "job.yaml:2:39 'data/a.csv' and 'fit.py' would both be 'd/a.csv'",
    ]);
  });

  test.for([
    [
      '{from: fit.py, to: a}, {from: data, to: a/b/c}',
      "'data' would be 'a/b/c', and 'a' is the file 'fit.py'",
    ],
    [
      '{from: "data/*.csv", to: a}, {from: fit.py, to: a/a.csv/x}',
      "'fit.py' would be 'a/a.csv/x', and 'a/a.csv' is the file 'data/a.csv'",
    ],
    [
      `"https://a.org/x#sha256=${'0'.repeat(64)}=a", {from: fit.py, to: a/b}`,
      `'fit.py' would be 'a/b', and 'a' is the file 'https://a.org/x#sha256=${'0'.repeat(64)}'`,
    ],
    ['{from: fit.py, to: .}', "'fit.py' is a file, and '.' is a directory: name its place in it"],
  ] as const)('an input that can have no such place is named: %s', async ([inputs, problem]) => {
    const found = await problemsIn(() => check(`command: x\ninputs: [${inputs}]\n`));
    expect(found).toEqual([expect.stringContaining(problem)]);
  });

  test('inputs below a directory are none', async () => {
    const text =
      'command: x\ninputs: [{from: data, to: a}, {from: fit.py, to: a/b}, {from: fit.py, to: a-b}]\n';
    expect((await check(text))[0]?.inputs).toHaveLength(3);
  });

  test('all problems of all jobs come in one answer, in order', async () => {
    const text = 'command: x\nrank: site.x\ncpus: a\n---\ncommand: y\ninputs: gone\nmemory: 1\n';
    const found = await problemsIn(() => check(text));
    expect(found.map((line) => line.split(' ')[0])).toEqual([
      'job.yaml:2:12',
      'job.yaml:3:7',
      'job.yaml:6:9',
      'job.yaml:7:9',
    ]);
  });
});

const script = (text: string, more: Partial<Parameters<typeof readScript>[0]> = {}) =>
  readScript({ name: 'fit.py', text, base, file: 'fit.py', executable: true, args: [], ...more });

describe('a script', () => {
  const specFrom = async (text: string, more = {}): Promise<JobSpec | undefined> =>
    (await checkJobs([script(text, more)]))[0]?.spec;

  test('becomes an input and the command, with the keys of its #GRID lines', async () => {
    const spec = await specFrom(
      '#!/usr/bin/env python3\n#GRID cpus: 4\n#GRID inputs: [data]\nprint()\n#GRID env: {A: b}\n',
      { args: ['x'] },
    );
    expect(spec).toMatchObject({
      name: 'fit',
      command: ['./fit.py', 'x'],
      env: { A: 'b' },
      inputs: [
        { from: 'data', to: 'data' },
        { from: 'fit.py', to: 'fit.py' },
      ],
      resources: { cpus: 4 },
    });
  });

  test.for<[string, readonly string[]]>([
    ['#!/usr/bin/env python3\n', ['/usr/bin/env', 'python3', './fit.py']],
    ['#!/bin/bash -eu\n', ['/bin/bash', '-eu', './fit.py']],
    ['#GRID cpus: 1\necho\n', ['/bin/sh', './fit.py']],
  ])('without the execute bit, %j names who runs it', async ([text, command]) => {
    expect((await specFrom(text, { executable: false }))?.command).toEqual(command);
  });

  test('over stdin it travels in the command', async () => {
    const text = '#!/bin/bash\necho $1\n';
    expect(
      (await specFrom(text, { file: undefined, name: 'stdin', args: ['a'] }))?.command,
    ).toEqual(['/bin/bash', '-c', text, 'stdin', 'a']);
    expect(() => script('#!/usr/bin/perl\n', { file: undefined, name: 'stdin' })).toThrow(
      expect.objectContaining({ code: 'SPEC_INVALID' }),
    );
  });

  test('has its problems at the line, all in one answer', async () => {
    const text =
      '#!/bin/sh\n#GRID cpu: 4\n#GRID memory: 17\n#GRID\n#GRID command: x\n#GRID name: a\n#GRID name: b\n#GRID rank: site.x\n#GRID [\n';
    const found = await problemsIn(() => checkJobs([script(text)]));
    expect(found.slice(0, -1)).toEqual([
      "fit.py:2:7 there is no key 'cpu'; did you mean 'cpus'?",
      "fit.py:3:15 memory '17' has no unit: write for instance 17M or 17G",
      "fit.py:4:6 write '#GRID key: value', for instance '#GRID cpus: 4'",
      'fit.py:5:7 the script is the command',
      "fit.py:7:7 'name' is there twice",
      "fit.py:8:18 rank: site has no attribute 'x'",
    ]);
    expect(found.at(-1)).toMatch(/^fit\.py:(9|10):/);
  });

  test.for<[string, string, boolean]>([
    ['job.yaml', 'command: x\n', false],
    ['job.yaml', '#GRID is a word here\ncommand: x\n', false],
    ['job', 'command: x\n', false],
    ['fit', '#!/bin/sh\n', true],
    ['fit.sh', 'echo\n', true],
    ['stdin', '#GRID cpus: 1\necho\n', true],
    ['stdin', '{"command": "x"}', false],
  ])('%s with %j: %s', ([name, text, expected]) =>
    expect(looksLikeScript(name, text)).toBe(expected),
  );
});
