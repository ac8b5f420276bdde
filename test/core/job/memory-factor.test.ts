import { expect, test } from 'vitest';
import { parseSpec } from '../../../core/job/parse-spec.ts';

test('a factor of memory is written with an x', () => {
  expect(parseSpec({ command: 'x', 'retry-memory': 'x1.5' })).toMatchObject({
    spec: { retryMemory: 1.5 },
  });
  expect(parseSpec({ command: 'x', 'retry-memory': 1.5 })).toMatchObject({
    problems: [{ message: "retry-memory must be a factor such as x1.5, not '1.5'" }],
  });
});
