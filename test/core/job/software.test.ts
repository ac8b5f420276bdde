import { expect, test } from 'vitest';
import { missingModule, modulesLike } from '../../../core/job/software.ts';

const THERE = ['gcc/12', 'gcc/13.2', 'openmpi', 'bio/samtools/1.19'];

test('a name without a version is met by any version, a version only by itself', () => {
  expect(missingModule(['gcc', 'gcc/13.2', 'openmpi', 'bio/samtools'], THERE)).toBeUndefined();
  expect(missingModule(['gcc', 'gcc/13'], THERE)).toBe('gcc/13');
  expect(missingModule(['gc'], THERE)).toBe('gc');
  expect(missingModule(['openmpi/4.1'], THERE)).toBe('openmpi/4.1');
  expect(missingModule(['gcc'], [])).toBe('gcc');
});

test('the message shows the versions that are there', () => {
  expect(modulesLike('gcc/13', THERE)).toBe('gcc/12, gcc/13.2');
  expect(modulesLike('bio/samtools/2', THERE)).toBe('bio/samtools/1.19');
  expect(modulesLike('root', THERE)).toBe('no module of that name');
  expect(modulesLike('root', [])).toBe('no modules');
  const many = ['1', '2', '3', '4', '5', '6', '7'].map((version) => `R/${version}`);
  expect(modulesLike('R/8', many)).toBe('R/1, R/2, R/3, R/4, R/5 and 2 more');
});
