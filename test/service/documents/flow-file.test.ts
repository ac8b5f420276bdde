import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { GridError } from '../../../core/errors.ts';
import { formatDependency } from '../../../core/job/dependency.ts';
import { readFlow } from '../../../service/documents/flow-file.ts';
import { testDirs } from '../../support/test-dirs.ts';

const base = testDirs('flow')();
beforeAll(async () => {
  await writeFile(join(base, 'reads.fq'), 'ACGT');
});

const read = (text: string) => readFlow({ name: 'flow.yaml', text, base }, { vo: 'demo' });
const problemsIn = async (text: string): Promise<readonly string[]> => {
  const error: unknown = await read(text).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(GridError);
  const { code, problems } = error as GridError;
  expect(code).toBe('SPEC_INVALID');
  return problems.map(({ where, message }) => `${where} ${message}`.replace(base, 'DIR'));
};

const DIAMOND = `
name: study
defaults:
  memory: 2G
  env: { LEVEL: "3", MODE: fast }
jobs:
  merge: { command: cat left right, inputs: ["job:left", "job:right=r"] }
  left: { command: "true", after: prep, memory: 4G, env: { MODE: slow } }
  right: { command: "true", after: [prep], array: 1-10 }
  prep: { command: wc reads.fq, inputs: reads.fq }
  clean: { command: rm -r x, after: { merge: any } }
  alarm: { command: mail me, after: [{ job: merge, when: not-ok }, j0123456789a] }
`;

test('a flow is put in order, each job with the defaults under it', async () => {
  const { name, nodes } = await read(DIAMOND);
  expect(name).toBe('study');
  const shown = nodes.map(({ node, spec }) => [node, spec.after.map(formatDependency).join(' ')]);
  expect(shown).toEqual([
    ['prep', ''],
    ['left', 'prep'],
    ['right', 'prep'],
    ['merge', 'left right'],
    ['clean', 'merge:any'],
    ['alarm', 'merge:not-ok j0123456789a'],
  ]);
  const [prep, left, right, merge] = nodes.map(({ spec }) => spec);
  expect(prep).toMatchObject({ name: 'prep', vo: 'demo', resources: { memoryBytes: 2 * 2 ** 30 } });
  expect(left?.resources.memoryBytes).toBe(4 * 2 ** 30);
  expect(left?.env).toEqual({ LEVEL: '3', MODE: 'slow' });
  expect(right?.env).toEqual({ LEVEL: '3', MODE: 'fast' });
  expect(merge?.inputs).toEqual([
    { from: 'job:left', to: 'left' },
    { from: 'job:right', to: 'r' },
  ]);
});

test('docs/jobs.md shows one', async () => {
  const page = await readFile('docs/jobs.md', 'utf8');
  const [, text = ''] = /\n## Flows\n.*?```yaml\n(.*?)```/s.exec(page) ?? [];
  for (const name of ['split', 'all.fa']) await writeFile(join(base, name), '');
  const { name, nodes } = await readFlow({ name: 'flow.yaml', text, base });
  expect(name).toBe('study');
  expect(nodes.map(({ node }) => node)).toEqual(['split', 'count', 'sum', 'alarm']);
});

describe('what is wrong with a flow has its place', () => {
  test.for<[string, readonly string[]]>([
    ['jobs: {}\n', ["flow.yaml:1:7 a flow has 'jobs: {NAME: {command: ...}, ...}'"]],
    [
      'cpus: 2\n',
      [
        "flow.yaml:1:1 a flow has no key 'cpus'",
        "flow.yaml:1:1 a flow has 'jobs: {NAME: {command: ...}, ...}'",
      ],
    ],
    [
      'jobs:\n  align: { command: x, after: sort }\n  sort: { command: x, after: [align] }\n',
      ['flow.yaml:2:3 the jobs wait for one another: align -> sort -> align'],
    ],
    [
      'jobs:\n  a: { command: x, inputs: "job:a=in" }\n',
      ['flow.yaml:2:3 the jobs wait for one another: a -> a'],
    ],
    [
      'jobs:\n  align: { command: x }\n  sort: { command: x, after: algin, inputs: ["job:alig=x"] }\n',
      [
        "flow.yaml:3:30 there is no job 'algin' in this flow; did you mean 'align'?",
        "flow.yaml:3:46 there is no job 'alig' in this flow; did you mean 'align'?",
      ],
    ],
    [
      'jobs:\n  a: { command: x }\n  a: { command: y }\n',
      ['flow.yaml:3:3 map keys must be unique'],
    ],
    [
      'jobs:\n  "a b": { command: x }\n',
      ["flow.yaml:2:3 'a b' is no name for a job: letters, digits, '.', '_', '-'"],
    ],
    [
      'defaults: { cpu: 2 }\njobs:\n  a: { command: x, memory: 5 }\n  b: { command: x }\n',
      [
        "flow.yaml:1:13 there is no key 'cpu'; did you mean 'cpus'?",
        "flow.yaml:3:28 memory '5' has no unit: write for instance 5M or 5G",
      ],
    ],
    ['jobs: { a: { command: x } }\n---\njobs: {}\n', ['flow.yaml:3:1 a flow is one YAML document']],
    [
      'name: fit\ncommand: x\n',
      ['flow.yaml:1:1 this is a job, not a flow: `grid submit` takes it'],
    ],
    [
      'command: x\n---\ncommand: y\n---\ncommand: z\n',
      ['flow.yaml:1:1 these are jobs, not a flow: `grid submit` takes them'],
    ],
    [
      'jobs: { a: [x] }\n',
      ["flow.yaml:1:12 a job is a set of keys such as 'command: [...]', not a list"],
    ],
  ])('%j', async ([text, expected]) => {
    expect(await problemsIn(text)).toEqual(expected);
  });

  test('also that it is too large', async () => {
    const jobs = Array.from({ length: 1_001 }, (_, n) => `  n${n}: { command: x }`);
    expect(await problemsIn(`jobs:\n${jobs.join('\n')}\n`)).toEqual([
      'flow.yaml:2:3 1001 jobs, at most 1000 in one flow',
    ]);
  });
});
