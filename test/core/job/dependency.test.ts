import { expect, test } from 'vitest';
import { jobId } from '../../../core/ids.ts';
import { dependenciesOf, settle } from '../../../core/job/dependency.ts';
import { isKnownJob, parseAfter } from '../../../core/job/parse-after.ts';
import type { Path } from '../../../core/job/parse-value.ts';

const A = 'j0123456789a';
const B = 'j0123456789b';

test.each([
  ['ok', 'go', 'never', 'never'],
  ['any', 'go', 'go', 'go'],
  ['not-ok', 'never', 'go', 'go'],
] as const)('after %s: done %s, failed %s, cancelled %s', (when, done, failed, cancelled) => {
  expect(settle(when, 'done')).toBe(done);
  expect(settle(when, 'failed')).toBe(failed);
  expect(settle(when, 'cancelled')).toBe(cancelled);
  expect(settle(when, 'running')).toBe('wait');
  expect(settle(when, 'held')).toBe('wait');
});

test('an input that is the results of a job waits for it to be done, unless `after` says otherwise', () => {
  const inputs = [
    { from: `job:${A}`, to: 'a' },
    { from: `job:${B}`, to: 'b' },
    { from: 'file', to: 'file' },
  ];
  expect(dependenciesOf({ after: [{ job: jobId(B), when: 'any' }], inputs })).toEqual([
    { job: B, when: 'any' },
    { job: A, when: 'ok' },
  ]);
});

const parse = (value: unknown) => {
  const problems: string[] = [];
  const collect = (path: Path, message: string) => problems.push(`${path.join('.')}: ${message}`);
  return { after: parseAfter(value, collect, isKnownJob), problems };
};

test.each([
  [A, [[A, 'ok']]],
  [`${A}:any`, [[A, 'any']]],
  [
    [A, `${B}:not-ok`],
    [
      [A, 'ok'],
      [B, 'not-ok'],
    ],
  ],
  [
    { [A]: 'any', [B]: '' },
    [
      [A, 'any'],
      [B, 'ok'],
    ],
  ],
  [
    [{ job: A, when: 'not-ok' }, { job: B }],
    [
      [A, 'not-ok'],
      [B, 'ok'],
    ],
  ],
  [
    [A, { [B]: 'any' }],
    [
      [A, 'ok'],
      [B, 'any'],
    ],
  ],
  [[A, `${A}:ok`], [[A, 'ok']]],
  [undefined, []],
] as const)('%j is read', (value, expected) => {
  const { after, problems } = parse(value);
  expect(problems).toEqual([]);
  expect(after.map(({ job, when }) => [job, when])).toEqual(expected);
});

test.each([
  [`${A}:never`, "after: 'never' is no condition: ok, any, not-ok"],
  [{ [A]: 'an' }, `after.${A}: 'an' is no condition: ok, any, not-ok; did you mean 'any'?`],
  [[A, `${A}:any`], `after.1: '${A}:any' and '${A}' do not agree`],
  [['yesterday'], "after.0: 'yesterday' is no job id: `grid ls` shows them"],
  [[{ job: A, wen: 'any' }], "after.0.wen: there is no key 'wen' here; did you mean 'when'?"],
  [[[A]], "after.0: after must hold job ids, such as 'ID', 'ID: any' or '{job: ID, when: any}'"],
])('%j is refused', (value, problem) => {
  expect(parse(value).problems).toEqual([problem]);
});
