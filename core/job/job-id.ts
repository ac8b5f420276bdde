import { type AttemptId, attemptId, type JobId, jobId } from '../ids.ts';

/** Digits and letters without i, l, o and u, ascending by code unit, so that ids sort by time and are easy to type. */
const DIGITS = '0123456789abcdefghjkmnpqrstvwxyz';
/** 2025-01-01T00:00:00Z; eight digits of milliseconds last until 2059. */
const FIRST_MS = 1_735_689_600_000;
const TIME_DIGITS = 8;
const LOW_DIGITS = 3;
const LOW_LIMIT = 32 ** LOW_DIGITS;

const JOB_ID = new RegExp(`^j[${DIGITS}]{${TIME_DIGITS + LOW_DIGITS}}$`);

/** Whether `text` has the form of a job id. */
export const isJobId = (text: string): text is JobId => JOB_ID.test(text);

function format(value: number, digits: number): string {
  let text = '';
  let rest = value;
  for (let position = 0; position < digits; position += 1) {
    text = (DIGITS[rest % 32] ?? '0') + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

function parse(text: string): number {
  return text.split('').reduce((value, digit) => value * 32 + DIGITS.indexOf(digit), 0);
}

/**
 * The id of the next job, 12 characters: `j`, the time, and three digits that begin at `chance` (0 up to 1) in each
 * millisecond. Always above `last` ('' for none), also when the clock has gone back.
 */
export function nextJobId(last: string, nowMs: number, chance: number): JobId {
  const lastMs = isJobId(last) ? parse(last.slice(1, 1 + TIME_DIGITS)) : -1;
  const lastLow = isJobId(last) ? parse(last.slice(1 + TIME_DIGITS)) : -1;
  let ms = Math.max(0, Math.floor(nowMs - FIRST_MS));
  let low = Math.floor((chance * LOW_LIMIT) / 2);
  if (ms <= lastMs) {
    ms = lastMs;
    low = lastLow + 1;
  }
  if (low >= LOW_LIMIT) {
    ms += 1;
    low = 0;
  }
  return jobId(`j${format(ms, TIME_DIGITS)}${format(low, LOW_DIGITS)}`);
}

/** The id of a task's n-th attempt (from 1); it names the attempt in journals, directories and batch systems. */
export const attemptIdOf = (job: JobId, ordinal: number, number: number): AttemptId =>
  attemptId(`${job}.${ordinal}.${number}`);

/** What an attempt id says; undefined if it is none. */
export function parseAttemptId(
  text: string,
): { readonly job: JobId; readonly ordinal: number; readonly number: number } | undefined {
  const [job = '', ordinal = '', number = ''] = text.split('.');
  if (!isJobId(job) || !/^\d{1,7}$/.test(ordinal) || !/^\d{1,9}$/.test(number)) return undefined;
  return { job, ordinal: Number(ordinal), number: Number(number) };
}
