import { expect, test } from 'vitest';
import { GridError } from '../../core/errors.ts';
import { shownError } from '../../service/log.ts';

test('what is expected to happen is told once, without a stack', () => {
  const details = 'No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1.';
  const cause = new Error(`14 UNAVAILABLE: ${details} Resolution note: `);
  const message = 'site campus at a:1: nothing listens at 127.0.0.1:1 (ECONNREFUSED)';
  expect(shownError(new GridError('UNAVAILABLE', message, { cause }))).toEqual({
    code: 'UNAVAILABLE',
    message,
  });
});

test('a cause that says more is told, too', () => {
  const cause = new Error('EACCES: permission denied');
  expect(shownError(new GridError('CONFIG_INVALID', 'cannot read it', { cause }))).toEqual({
    code: 'CONFIG_INVALID',
    message: 'cannot read it',
    cause: 'EACCES: permission denied',
  });
});

test('what is a fault of ours comes with its stack', () => {
  expect(shownError(new TypeError('no ship'))).toMatchObject({
    type: 'TypeError',
    message: 'no ship',
    stack: expect.stringContaining('log.test.ts'),
  });
});
