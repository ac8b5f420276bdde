import { expect, test } from 'vitest';
import { parseArrayText, parseArrayValues } from '../../../core/job/array-text.ts';
import { taskCount, taskValue } from '../../../core/job/spec.ts';

test.for<[string, number, string, string]>([
  ['1-1000', 1000, '1', '1000'],
  ['0-99:2', 50, '0', '98'],
  ['0-100:3', 34, '0', '99'],
  ['5-5', 1, '5', '5'],
  ['red,green,blue', 3, 'red', 'blue'],
  ['3,7,10-12', 5, '3', '12'],
  ['a, b', 2, 'a', 'b'],
  ['0-999999', 1_000_000, '0', '999999'],
])('%s has %i tasks, from %s to %s', ([text, count, first, last]) => {
  const parsed = parseArrayText(text);
  expect(parsed.ok).toBe(true);
  const spec = parsed.ok ? { array: parsed.array } : {};
  expect(taskCount(spec)).toBe(count);
  expect([taskValue(spec, 0), taskValue(spec, count - 1)]).toEqual([first, last]);
});

test.for<[string, string]>([
  ['10', "'10' is one number: write a range such as 1-10"],
  ['9-1', "'9-1' runs backwards: write 1-9"],
  ['1-9:0', "the step of '1-9:0' must be at least 1"],
  ['1-', "'1-' is no range: write 1-1000, 0-99:2 or a list of values"],
  ['-3', "'-3' is no range: write 1-1000, 0-99:2 or a list of values"],
  ['1,,2', "'1,,2' has an empty value between commas"],
  ['1,2,1', "value '1' is there twice"],
  ['1-5,3', "value '3' is there twice"],
  ['0-1000000', '1000001 tasks are too many for one array: at most 1000000'],
  ['1-1000000000', '1000000000 tasks are too many for one array: at most 1000000'],
  ['', "'' is no range: write 1-1000, 0-99:2 or a list of values"],
])('%s is refused: %s', ([text, message]) =>
  expect(parseArrayText(text)).toEqual({ ok: false, message }),
);

test('a value is one short line', () => {
  expect(parseArrayValues(['a\nb'])).toMatchObject({ ok: false });
  expect(parseArrayValues([])).toEqual({ ok: false, message: 'the list of values is empty' });
});

test('a long range in a list is as good as alone', () => {
  expect(parseArrayText('1-150000,700000')).toMatchObject({
    ok: true,
    array: { values: { length: 150_001 } },
  });
});
