import { formatBytes, formatDuration } from '../../core/units.ts';

/** What one task says about the site where it ran. */
export interface TaskFacts {
  readonly site: string;
  readonly submittedAtMs: number;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** One line of the table "what happened where". */
export interface SiteLine {
  readonly site: string;
  readonly tasks: number;
  readonly waited: string;
  readonly ran: string;
  readonly stagedIn: string;
  readonly stagedOut: string;
}

/** Sums tasks up by site, sites by name: medians of times, sums of bytes that crossed the network. */
export function linesBySite(tasks: readonly TaskFacts[]): readonly SiteLine[] {
  const bySite = Map.groupBy(tasks, (task) => task.site);
  return [...bySite.entries()]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([site, here]) => ({
      site,
      tasks: here.length,
      waited: formatDuration(median(here.map((task) => task.startedAtMs - task.submittedAtMs))),
      ran: formatDuration(median(here.map((task) => task.endedAtMs - task.startedAtMs))),
      stagedIn: formatBytes(sum(here.map((task) => task.bytesIn))),
      stagedOut: formatBytes(sum(here.map((task) => task.bytesOut))),
    }));
}

const sum = (values: readonly number[]): number =>
  values.reduce((total, value) => total + value, 0);

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return Math.max(0, sorted[Math.floor(sorted.length / 2)] ?? 0);
}
