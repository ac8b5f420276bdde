import { expect, test } from 'vitest';
import { aboutImage, aboutModules } from '../../site-gateway/software/verdict.ts';

const said = (...lines: string[]): readonly string[] => lines;
const FETCHED = "grid: image 'x/y' could not be fetched on node n1";

test.for([
  [78, said('Error: manifest unknown', FETCHED), 'data', 'IMAGE_UNAVAILABLE'],
  [
    78,
    said('Error: no subuid', "grid: image 'x' could not be run on node n"),
    'site',
    'IMAGE_FAILED',
  ],
  [
    126,
    said('Error: crun: setrlimit', "grid: image 'x' could not start the program on node n"),
    'site',
    'IMAGE_FAILED',
  ],
  [
    126,
    said(
      'Error: crun: open executable: Permission denied',
      "grid: image 'x' could not start the program on node n",
    ),
    'job',
    'COMMAND_NOT_EXECUTABLE',
  ],
  [
    127,
    said('Error: crun: ...', "grid: image 'x' has no such program on node n"),
    'job',
    'COMMAND_NOT_FOUND',
  ],
  [
    1,
    said('ERROR (catatonit:2): failed to exec pid1: No such file or directory'),
    'job',
    'COMMAND_NOT_FOUND',
  ],
  [
    1,
    said('ERROR (catatonit:2): failed to exec pid1: Permission denied'),
    'job',
    'COMMAND_NOT_EXECUTABLE',
  ],
  [255, said('FATAL:   "p": executable file not found in $PATH'), 'job', 'COMMAND_NOT_FOUND'],
  [
    255,
    said('FATAL:   Unable to handle docker://x uri: manifest unknown'),
    'data',
    'IMAGE_UNAVAILABLE',
  ],
  [255, said('FATAL:   could not open image /x.sif: no such file'), 'data', 'IMAGE_UNAVAILABLE'],
  [255, said('FATAL:   container creation failed: mount'), 'site', 'IMAGE_FAILED'],
] as const)('%i after %j is of the %s: %s', ([code, lines, failure, reason]) => {
  expect(aboutImage(code, lines, 'p')).toMatchObject({ failure, reason });
});

test.for([
  [78, said('oops')],
  [78, said()],
  [78, said(FETCHED, 'and the program went on')],
  [3, said(FETCHED)],
  [255, said('fatal: not a git repository')],
] as const)('%i after %j is the end of the program', ([code, lines]) => {
  expect(aboutImage(code, lines, 'p')).toBeUndefined();
});

test('the runtime is quoted, and the node is named', () => {
  expect(aboutImage(78, said('Error: manifest unknown', FETCHED), 'p')?.detail).toBe(
    "image 'x/y' could not be fetched on node n1: Error: manifest unknown",
  );
});

test('modules that could not be loaded are told from a program that ended with that code', () => {
  const line = "grid: module 'gcc/13' could not be loaded on node n1";
  expect(aboutModules(78, said('noise', line))).toEqual({
    failure: 'site',
    reason: 'MODULE_FAILED',
    detail: "module 'gcc/13' could not be loaded on node n1",
  });
  expect(aboutModules(78, said('grid: no modules: there is no file /x on node n1'))).toMatchObject({
    reason: 'MODULE_FAILED',
  });
  expect(aboutModules(78, said('oops'))).toBeUndefined();
  expect(aboutModules(1, said(line))).toBeUndefined();
});
