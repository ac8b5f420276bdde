import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { commandLine } from '../../support/command-line.ts';
import { testDirs } from '../../support/test-dirs.ts';

const dir = testDirs('read-jobs')();

test('a file with more jobs than go at a time is refused before anything is sent', async () => {
  const jobs = Array.from({ length: 1_001 }, (_, n) => `command: [echo, ${n}]\n`);
  await writeFile(join(dir, 'jobs.yaml'), jobs.join('---\n'));
  expect(await commandLine(['submit', 'jobs.yaml'], dir)).toEqual({
    code: 2,
    stdout: '',
    stderr:
      'grid: SPEC_INVALID: jobs.yaml has 1001 jobs, at most 1000 go at a time: split it, or make tasks of an array of them\n  -> mend the listed problems and submit again\n',
  });
  await writeFile(join(dir, 'jobs.yaml'), jobs.slice(1).join('---\n'));
  expect((await commandLine(['submit', 'jobs.yaml'], dir)).stderr).toContain('NOT_CONFIGURED');
});

test('a program in the place of a job file, and a file of garbage, are refused in a few lines', async () => {
  await writeFile(join(dir, 'a.out'), 'ELF\0\0\u0001: [');
  expect((await commandLine(['submit', 'a.out'], dir)).stderr).toContain(
    '  a.out it is no text: a program goes after `--`, a job file is YAML\n',
  );
  await writeFile(join(dir, 'long.yaml'), `a: b\n${'x'.repeat(10_000)} "\n`);
  expect((await commandLine(['submit', 'long.yaml'], dir)).stderr.length).toBeLessThan(1_000);
  await writeFile(join(dir, 'many.yaml'), 'command: x\ncpus: 0\n---\n'.repeat(100));
  const { stderr } = await commandLine(['submit', 'many.yaml'], dir);
  expect(stderr.split('\n')).toHaveLength(44);
  expect(stderr).toContain('\n  and 60 more\n');
});
