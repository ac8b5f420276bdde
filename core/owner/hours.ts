/** Hours of the week, as people write them: `Mon-Fri 18:00-07:00, Sat-Sun`. */

/** A span of the week in minutes from Monday 00:00; one that ends before it begins goes on past Sunday. */
interface Span {
  readonly from: number;
  readonly to: number;
}

export type Hours = readonly Span[];

const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const DAY = 24 * 60;
const MINUTES_OF_WEEK = 7 * DAY;

const PART =
  /^(?:([a-z]{3})(?:\s*-\s*([a-z]{3}))?)?\s*(?:(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2}))?$/;

/** Undefined where it is unclear. Hours that end before they begin, end on the next day; a day without hours is the whole day. */
export function parseHours(text: string): Hours | undefined {
  const parts = text.split(',').map((part) => spansOf(part.trim().toLowerCase()));
  return parts.includes(undefined) ? undefined : parts.flatMap((spans) => spans ?? []);
}

function spansOf(part: string): Hours | undefined {
  const found = PART.exec(part);
  if (found === null || part === '') return undefined;
  const [, first, last = first, ...numbers] = found;
  const days = daysOf(first, last);
  const hours = first !== undefined && found[3] === undefined ? [0, DAY] : hoursOf(numbers);
  const [from = 0, to = 0] = hours ?? [];
  if (days === undefined || hours === undefined) return undefined;
  return days.map((day) => ({
    from: day * DAY + from,
    to: (day * DAY + (to > from ? to : to + DAY)) % MINUTES_OF_WEEK,
  }));
}

/** Every day where none is named. */
function daysOf(
  first: string | undefined,
  last: string | undefined,
): readonly number[] | undefined {
  if (first === undefined || last === undefined) return DAYS.map((_, day) => day);
  const [from, to] = [DAYS.indexOf(first), DAYS.indexOf(last)];
  if (from < 0 || to < 0) return undefined;
  const count = ((to - from + 7) % 7) + 1;
  return Array.from({ length: count }, (_, index) => (from + index) % 7);
}

function hoursOf(numbers: readonly (string | undefined)[]): readonly number[] | undefined {
  const [h1 = 99, m1 = 99, h2 = 99, m2 = 99] = numbers.map(Number);
  const [from, to] = [h1 * 60 + m1, h2 * 60 + m2];
  const valid = m1 < 60 && m2 < 60 && from < DAY && to <= DAY && from !== to;
  return valid ? [from, to] : undefined;
}

/** `minute` is counted from Monday 00:00. */
export const isWithin = (hours: Hours, minute: number): boolean =>
  hours.some(({ from, to }) =>
    from < to ? minute >= from && minute < to : minute >= from || minute < to,
  );

/** Minutes since Monday 00:00 where clocks are `zoneMs` ahead of UTC. */
export function minuteOfWeek(nowMs: number, zoneMs: number): number {
  const minutes = Math.floor((nowMs + zoneMs) / 60_000);
  // 1 January 1970 was a Thursday.
  return (((minutes + 3 * DAY) % MINUTES_OF_WEEK) + MINUTES_OF_WEEK) % MINUTES_OF_WEEK;
}
