import { describe, expect, test } from 'vitest';
import { parseSwf } from '../../../core/simulate/swf.ts';
import { madeTrace } from '../../setup/made-trace.ts';

/** A line with some fields changed, counted from 1 as the format's own page does. */
const line = (changes: Readonly<Record<number, string | number>> = {}): string =>
  [7, 120, 5, 600, 4, -1, 2_048, 8, 3_600, 1_024, 1, 3, 2, -1, 1, -1, -1, -1]
    .map((value, index) => changes[index + 1] ?? value)
    .join(' ');

const jobOf = (text: string) => {
  const { jobs, problems } = parseSwf(text, 't.swf');
  expect(problems).toEqual([]);
  return jobs[0];
};

describe('a trace in the Standard Workload Format', () => {
  test('gives jobs with times in ms and memory of all processors', () => {
    expect(jobOf(line())).toEqual({
      number: 7,
      submitAtMs: 120_000,
      runMs: 600_000,
      cpus: 8,
      walltimeMs: 3_600_000,
      memoryBytes: 8 * 2 ** 20,
      user: 3,
      group: 2,
    });
  });

  test('falls back on what was used where nothing was requested', () => {
    expect(jobOf(line({ 8: -1, 9: -1, 10: -1 }))).toMatchObject({
      cpus: 4,
      walltimeMs: undefined,
      memoryBytes: undefined,
    });
  });

  test('reads comments of the header, the first of a name', () => {
    const { header } = parseSwf('; MaxProcs: 128\n;MaxProcs: 9\n;; Note: a: b\n; just words', 't');
    expect([...header]).toEqual([
      ['MaxProcs', '128'],
      ['Note', 'a: b'],
    ]);
  });

  test('may have blank lines, tabs, returns and decimals', () => {
    const text = `\n\t${line({ 6: '12.50' }).replaceAll(' ', '\t')}\r\n\n`;
    expect(jobOf(text)?.number).toBe(7);
  });

  test.for<[string, Readonly<Record<number, number>>]>([
    ['cancelled before they ran', { 4: -1, 11: 5 }],
    ['without a run time', { 4: 0 }],
    ['without a run time', { 4: -1, 11: 0 }],
    ['without processors', { 5: -1, 8: -1 }],
    ['parts of jobs that were checkpointed', { 11: 3 }],
  ])('counts jobs %s and leaves them out', ([why, changes]) => {
    const { jobs, skipped } = parseSwf(`${line(changes)}\n${line()}`, 't');
    expect(jobs).toHaveLength(1);
    expect([...skipped]).toEqual([[why, 1]]);
  });

  test('keeps failed jobs: they took their time', () => {
    expect(jobOf(line({ 11: 0 }))?.runMs).toBe(600_000);
  });

  test.for<[string, string]>([
    [line({ 4: 'abc' }), "field 4 (run time) 'abc' is no number"],
    [line({ 12: '0x10' }), "field 12 (user) '0x10' is no number"],
    [line({ 4: 'NaN' }), "field 4 (run time) 'NaN' is no number"],
    [line({ 2: -1 }), "field 2 (submit time) '-1' is negative"],
    ['1 2 3', 'a job has 18 fields, this line has 3'],
    [`${line()} 19`, 'a job has 18 fields, this line has 19'],
    [line({ 4: 'x'.repeat(99) }), `field 4 (run time) '${'x'.repeat(20)}…' is no number`],
  ])('refuses %s with its line', ([bad, message]) => {
    const { problems } = parseSwf(`; header\n${line()}\n${bad}\n`, 't.swf');
    expect(problems).toEqual([{ where: 't.swf:3', message }]);
  });

  test('of another kind of file is given up after twenty lines', () => {
    expect(parseSwf('{"json": true}\n'.repeat(1_000), 't').problems).toHaveLength(20);
  });

  test('of the examples is whole, and says that it is synthetic', () => {
    const { header, jobs, skipped, problems } = parseSwf(madeTrace(), 'synthetic.swf');
    expect(problems).toEqual([]);
    expect(header.get('Installation')).toContain('SYNTHETIC');
    expect(jobs.length + (skipped.get('cancelled before they ran') ?? 0)).toBe(400);
    expect(Math.max(...jobs.map(({ cpus }) => cpus))).toBeLessThanOrEqual(128);
  });
});
