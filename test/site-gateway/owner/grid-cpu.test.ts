import { expect, test } from 'vitest';
import type { ProcessInfo } from '../../../site-gateway/lrms/process-tree.ts';
import { openGridCpu } from '../../../site-gateway/owner/grid-cpu.ts';

const GATEWAY = 10;

/** `[pid, ppid, cpuMs, mark]`; a mark is below /spool/attempts. */
type Row = readonly [pid: number, ppid: number, cpuMs: number, mark?: string];

const processes = (rows: readonly Row[]): readonly ProcessInfo[] =>
  rows.map(([pid, ppid, cpuMs, mark]) => ({
    ...{ pid, ppid, cpuMs, group: pid, session: pid, startTicks: pid },
    ...{ terminal: 0, name: 'x', rssBytes: 0 },
    mark: mark === undefined ? '' : `/spool/attempts/${mark}`,
  }));

/** What the grid has used after each look. */
function looks(...rows: readonly (readonly Row[])[]): readonly number[] {
  const used = openGridCpu('/spool', GATEWAY);
  return rows.map((one) => used(processes(one)));
}

test('the gateway, what descends from it, and marked processes count, others do not', () => {
  expect(
    looks(
      [
        [GATEWAY, 1, 500],
        [11, GATEWAY, 0],
        [12, 11, 0],
        [20, 1, 0, 'a'],
        [30, 1, 900],
      ],
      [
        [GATEWAY, 1, 510],
        [11, GATEWAY, 20],
        [12, 11, 300],
        [20, 1, 4_000, 'a'],
        [30, 1, 9_000],
      ],
    ),
  ).toEqual([0, 4_330]);
});

test('what a process has used is not lost when it ends, nor counted twice', () => {
  expect(
    looks(
      [
        [GATEWAY, 1, 0],
        [11, GATEWAY, 0],
        [12, 11, 0],
        [20, 1, 0, 'a'],
      ],
      [
        [GATEWAY, 1, 0],
        [11, GATEWAY, 0],
        [12, 11, 700],
        [20, 1, 300, 'a'],
      ],
      // 11 has waited for 12; nobody of ours has waited for 20.
      [
        [GATEWAY, 1, 0],
        [11, GATEWAY, 750],
      ],
      [[GATEWAY, 1, 760]],
    ),
  ).toEqual([0, 1_000, 1_050, 1_060]);
});

test('what tasks of an earlier run have used before the first look does not count', () => {
  expect(looks([[20, 1, 90_000, 'a']], [[20, 1, 90_500, 'a']])).toEqual([0, 500]);
});

test('another spool is another gateway’s', () => {
  const rows = (cpuMs: number): readonly ProcessInfo[] =>
    processes([[20, 1, cpuMs]]).map((one) => ({ ...one, mark: '/spool/attempts-of-others/a' }));
  const used = openGridCpu('/spool', GATEWAY);
  expect([used(rows(0)), used(rows(900))]).toEqual([0, 0]);
});
