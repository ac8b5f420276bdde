import { describe, expect, test } from 'vitest';
import { normalPath, outsidePath, placeOfOutside } from '../../../core/job/outside.ts';
import { parseSpec } from '../../../core/job/parse-spec.ts';

const problemsOf = (raw: object): readonly string[] => {
  const parsed = parseSpec({ command: ['x'], ...raw });
  return parsed.ok ? [] : parsed.problems.map((p) => `${p.path.join('.')}: ${p.message}`);
};

describe('inputs from outside the submit directory are refused', () => {
  const WITHOUT_NAME =
    "has no name in the job's directory: write {from: DIR, to: NAME}, or `-i DIR=NAME`";
  test.for<[object, string]>([
    [{ inputs: ['/'] }, "inputs.0: '/' is the whole machine: name what the job needs of it"],
    [{ inputs: ['../..'] }, `inputs.0: '../..' ${WITHOUT_NAME}`],
    [
      { inputs: [{ from: '/', to: 'x' }] },
      "inputs.0.from: '/' is the whole machine: name what the job needs of it",
    ],
    [
      { inputs: [{ from: '/data/x', to: '../x' }] },
      "inputs.0.to: '../x' may leave the directory: write no '..'",
    ],
    [
      { inputs: [{ from: '/data/x', to: '/x' }] },
      "inputs.0.to: '/x' is absolute: write a relative path",
    ],
    [{ inputs: [{ from: 'x', to: 'a\\b' }] }, "inputs.0.to: 'a\\b' has a backslash"],
    [{ inputs: ['/data/x', '../x'] }, "inputs.1: '../x' and '/data/x' would both be 'x'"],
    [{ inputs: ['/data/\0'] }, 'inputs.0: the path has a NUL in it'],
    [
      { inputs: [{ from: '.grid/outside/x', to: 'x' }] },
      "inputs.0.from: '.grid/outside/x' is in .grid/outside, which is the grid's own",
    ],
  ])('%j', ([raw, problem]) => expect(problemsOf(raw)).toEqual([problem]));
});

test('a place in the tree of inputs stands for one path', () => {
  expect(placeOfOutside('/data/x')).toBe('.grid/outside/data/x');
  expect(outsidePath('.grid/outside/data/x')).toBe('/data/x');
  expect(outsidePath('data/x')).toBeUndefined();
});

test.for([
  ['a/./b//c/', 'a/b/c'],
  ['a/../b', 'b'],
  ['a/../../b', '../b'],
  ['../../b/..', '../..'],
  ['/../a//b/../c', '/a/c'],
  ['a/..', '.'],
  ['', '.'],
  ['//', '/'],
])('%j is %j', ([path, normal]) => expect(normalPath(path ?? '')).toBe(normal));
