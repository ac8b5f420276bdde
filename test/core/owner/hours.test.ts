import { expect, test } from 'vitest';
import { isWithin, minuteOfWeek, parseHours } from '../../../core/owner/hours.ts';

const DAY = 24 * 60;
/** Minutes since Monday 00:00; Monday is 0. */
const at = (day: number, hour: number, minute = 0): number => day * DAY + hour * 60 + minute;
const lent = (text: string, minute: number): boolean => isWithin(parseHours(text) ?? [], minute);

test.each([
  ['Mon-Fri 18:00-07:00, Sat-Sun', at(0, 18), true],
  ['Mon-Fri 18:00-07:00, Sat-Sun', at(1, 6, 59), true],
  ['Mon-Fri 18:00-07:00, Sat-Sun', at(1, 7), false],
  ['Mon-Fri 18:00-07:00, Sat-Sun', at(4, 12), false],
  ['Mon-Fri 18:00-07:00, Sat-Sun', at(5, 12), true],
  ['Mon-Fri 18:00-07:00, Sat-Sun', at(6, 23, 59), true],
  ['Mon-Fri 18:00-07:00, Sat-Sun', at(0, 6), false],
  ['Sun 22:00-06:00', at(0, 5, 59), true],
  ['Sun 22:00-06:00', at(0, 6), false],
  ['18:00-24:00', at(3, 23, 59), true],
  ['18:00-24:00', at(3, 0), false],
  ['fri-mon', at(0, 12), true],
  ['fri-mon', at(1, 12), false],
  ['Mon - Tue 8:00 - 9:30', at(1, 9, 29), true],
])('%s at minute %i of the week: %s', (text, minute, expected) => {
  expect(lent(text, minute)).toBe(expected);
});

test.each([
  '',
  'Mon-Fri 18-7',
  'Mo-Fr',
  'Mon 25:00-26:00',
  '18:00',
  '18:00-18:00',
  'Mon,,Tue',
  'Mon 9:60-10:00',
])("'%s' is no hours", (text) => {
  expect(parseHours(text)).toBeUndefined();
});

test('the minute of the week is that of the machine', () => {
  // 2026-11-29 was a Sunday.
  const noon = Date.UTC(2026, 10, 29, 12);
  expect(minuteOfWeek(noon, 0)).toBe(at(6, 12));
  expect(minuteOfWeek(noon, 13 * 3_600_000)).toBe(at(0, 1));
  expect(minuteOfWeek(noon, -13 * 3_600_000)).toBe(at(5, 23));
});
