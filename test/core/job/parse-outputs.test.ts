import { expect, test } from 'vitest';
import { parseSpec } from '../../../core/job/parse-spec.ts';

const problemsOf = (raw: unknown): readonly string[] => {
  const parsed = parseSpec(raw);
  if (parsed.ok) return [];
  return parsed.problems.map(({ path, message }) => `${path.join('.')}: ${message}`);
};

test('outputs may be live, and one that is named twice is there once', () => {
  const outputs = [
    'a',
    { path: 'log/*.csv', live: true },
    { path: './b' },
    { path: 'a', live: 'true' },
  ];
  expect(parseSpec({ command: 'x', outputs })).toMatchObject({
    ok: true,
    spec: { outputs: ['a', 'log/*.csv', 'b'], liveOutputs: ['log/*.csv', 'a'] },
  });
  const single = parseSpec({ command: 'x', outputs: { path: 'log', live: true } });
  expect(single).toMatchObject({ spec: { outputs: ['log'], liveOutputs: ['log'] } });
  const none = parseSpec({ command: 'x', outputs: 'log' });
  expect(none.ok && 'liveOutputs' in none.spec).toBe(false);
});

test.for<[unknown, string]>([
  [[{ live: true }], "outputs.0: an output needs 'path'"],
  [[{ path: 'a', live: 'yes' }], "outputs.0.live: 'live' must be true or false"],
  [[{ path: '../a', live: true }], "outputs.0.path: '../a' may leave the directory: write no '..'"],
  [[['a']], "outputs.0: an output is a glob, or a set of 'path' and 'live'"],
  [[{ path: 'a', lve: true }], "outputs.0.lve: an output has no key 'lve'; did you mean 'live'?"],
])('outputs %j: %s', ([outputs, expected]) => {
  expect(problemsOf({ command: 'x', outputs })).toEqual([expected]);
});
