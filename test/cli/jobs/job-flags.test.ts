import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Input, readInput } from '../../../cli/input.ts';
import { emptyJob, withFlags } from '../../../cli/jobs/job-flags.ts';
import { checkJobs } from '../../../service/documents/check-jobs.ts';
import { readJobText } from '../../../service/documents/job-file.ts';
import { testDirs } from '../../support/test-dirs.ts';

const base = testDirs('flags')();
for (const name of ['a.txt', 'b.txt']) writeFileSync(join(base, name), name);
const CONTEXT = { cwd: base, env: { TOKEN: 'secret' } };

const flags = (values: Readonly<Record<string, unknown>>, rest: readonly string[] = []): Input =>
  readInput(new Map(Object.entries(values)), [], rest);
const fromFile = (text: string) =>
  readJobText({ name: 'job.yaml', text, base })[0] ?? emptyJob(base);

describe('flags', () => {
  test('of live outputs add to those of the file, and a problem names its own flag', async () => {
    const file = fromFile('command: [x]\noutputs: [{path: a, live: true}, b]\n');
    const input = flags({ output: ['c'], 'live-output': ['d'] });
    const [job] = await checkJobs([withFlags(file, input, CONTEXT)]);
    expect(job?.spec).toMatchObject({
      outputs: ['a', 'b', 'c', 'd'],
      liveOutputs: ['a', 'd'],
    });
    const wrong = (values: Readonly<Record<string, unknown>>) =>
      checkJobs([withFlags(file, flags(values), CONTEXT)]);
    await expect(wrong({ output: ['c'], 'live-output': ['../d'] })).rejects.toMatchObject({
      problems: [{ where: '--live-output' }],
    });
    await expect(wrong({ output: ['../c'], 'live-output': ['d'] })).rejects.toMatchObject({
      problems: [{ where: '--output' }],
    });
  });

  test('that are empty because a variable is are refused, where a size or a number is meant', async () => {
    const input = flags({ memory: '', array: '', name: '', requirements: '' }, ['x']);
    await expect(checkJobs([withFlags(emptyJob(base), input, CONTEXT)])).rejects.toMatchObject({
      problems: [
        { where: '--memory', message: 'the value is empty: give one or no flag' },
        { where: '--array', message: 'the value is empty: give one or no flag' },
      ],
    });
  });

  test.for(['image', 'sandbox', 'network', 'stdin', 'group', 'gpu-model'])(
    'of an empty --%s are refused: the job would run without what was meant',
    async (flag) => {
      const job = withFlags(emptyJob(base), flags({ [flag]: '' }, ['x']), CONTEXT);
      await expect(checkJobs([job])).rejects.toMatchObject({
        problems: [{ where: `--${flag}`, message: 'the value is empty: give one or no flag' }],
      });
    },
  );

  test.for(['output', 'after', 'module', 'site', 'exclude-site'])(
    'of an empty --%s among others are refused',
    async (flag) => {
      const job = withFlags(emptyJob(base), flags({ [flag]: ['a', ''] }, ['x']), CONTEXT);
      await expect(checkJobs([job])).rejects.toMatchObject({
        problems: expect.arrayContaining([
          { where: `--${flag}`, message: 'the value is empty: give one or no flag' },
        ]),
      });
    },
  );

  test('alone make a job', async () => {
    const input = flags(
      {
        cpus: '4',
        memory: '2G',
        array: 'a,b',
        input: ['a.txt=in.txt'],
        env: ['X=1=2', 'TOKEN'],
        site: ['s1'],
        disk: '20G',
        licence: ['matlab=2', 'ansys'],
        image: 'python:3.12',
      },
      ['./fit', '-x'],
    );
    const [job] = await checkJobs([withFlags(emptyJob(base), input, CONTEXT)]);
    expect(job?.spec).toMatchObject({
      name: 'fit',
      command: ['./fit', '-x'],
      env: { X: '1=2', TOKEN: 'secret' },
      inputs: [{ from: 'a.txt', to: 'in.txt' }],
      image: 'python:3.12',
      array: { kind: 'list', values: ['a', 'b'] },
      sites: ['s1'],
      resources: {
        cpus: 4,
        memoryBytes: 2 ** 31,
        diskBytes: 20 * 2 ** 30,
        licences: { matlab: 2, ansys: 1 },
      },
    });
  });

  test('replace single values and lists of sites, and add to inputs, outputs, after and env', () => {
    const job = fromFile(
      'command: x\ncpus: 1\ninputs: a.txt\noutputs: [o]\nenv: {A: "1", B: "1"}\nsites: [s1]\n',
    );
    const input = flags({
      cpus: '2',
      input: ['b.txt'],
      output: ['p'],
      env: ['B=2'],
      site: ['s2'],
      after: ['j0123456789a'],
    });
    expect(withFlags(job, input, CONTEXT).raw).toEqual({
      command: 'x',
      cpus: '2',
      inputs: ['a.txt', 'b.txt'],
      outputs: ['o', 'p'],
      env: { A: '1', B: '2' },
      sites: ['s2'],
      after: ['j0123456789a'],
    });
  });

  test('are named as the place of their problems', async () => {
    const job = fromFile('command: x\ninputs: [gone]\nwalltime: x\n');
    const input = flags({
      memory: '1',
      input: ['lost'],
      env: ['1=2'],
      licence: ['m=x'],
      rank: 'site.x',
    });
    await expect(checkJobs([withFlags(job, input, CONTEXT)])).rejects.toMatchObject({
      problems: expect.arrayContaining([
        { where: 'job.yaml:2:10', message: `there is no file 'gone' in ${base}` },
        { where: '--input', message: `there is no file 'lost' in ${base}` },
        expect.objectContaining({ where: '--memory' }),
        expect.objectContaining({ where: '--env' }),
        expect.objectContaining({ where: '--licence' }),
        expect.objectContaining({ where: '--rank:6' }),
        expect.objectContaining({ where: 'job.yaml:3:11' }),
      ]),
    });
  });

  test('have paths from the current directory, also where the file is elsewhere', () => {
    const job = fromFile('command: x\n');
    const context = { ...CONTEXT, cwd: join(base, '..') };
    const input = flags({
      input: [
        join(base, 'a.txt').slice(context.cwd.length + 1),
        'outside',
        '/data/x=y',
        'job:j0123456789a=parts',
      ],
    });
    expect(withFlags(job, input, context).raw).toMatchObject({
      inputs: [
        { from: 'a.txt', to: expect.stringContaining('a.txt') },
        { from: '../outside', to: 'outside' },
        { from: '/data/x', to: 'y' },
        { from: 'job:j0123456789a', to: 'parts' },
      ],
    });
  });

  test('have globs and paths upwards stay what they are', () => {
    const context = { ...CONTEXT, cwd: join(base, 'sub') };
    const input = flags({ input: ['../a.txt', '../*.txt', 'x'] });
    expect(withFlags(fromFile('command: x\n'), input, context).raw).toMatchObject({
      inputs: ['a.txt', '*.txt', { from: 'sub/x', to: 'x' }],
    });
  });

  test('refuse a variable that is not there', () => {
    expect(() => withFlags(emptyJob(base), flags({ env: ['NOPE'] }), CONTEXT)).toThrow(
      '--env NOPE: there is no such variable here',
    );
  });
});
