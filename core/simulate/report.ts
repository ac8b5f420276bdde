import { sum } from '../sum.ts';
import { counted, formatDuration } from '../units.ts';
import type { Part } from './balance.ts';
import type { Measures } from './measure.ts';
import type { World } from './world.ts';

/** A table: headings, then rows of as many cells. */
export interface ReportTable {
  readonly headings: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
const figure = (value: number): string =>
  value >= 100 ? String(Math.round(value)) : value.toFixed(2);

/** Figures by how they read; one that is nowhere above nothing may be left out. */
const LINES: readonly {
  readonly what: string;
  readonly of: (measures: Measures) => string;
  readonly unless?: (measures: Measures) => boolean;
}[] = [
  { what: 'tasks done', of: ({ done }) => String(done) },
  { what: 'killed', of: ({ killed }) => String(killed), unless: ({ killed }) => killed === 0 },
  { what: 'failed', of: ({ failed }) => String(failed), unless: ({ failed }) => failed === 0 },
  {
    what: 'unfinished',
    of: ({ unfinished }) => String(unfinished),
    unless: ({ unfinished }) => unfinished === 0,
  },
  { what: 'wait, mean', of: ({ waitMs }) => formatDuration(waitMs.mean) },
  { what: 'wait, median', of: ({ waitMs }) => formatDuration(waitMs.median) },
  { what: 'wait, 95 %', of: ({ waitMs }) => formatDuration(waitMs.p95) },
  { what: 'wait, longest', of: ({ waitMs }) => formatDuration(waitMs.max) },
  { what: 'slowdown, mean', of: ({ slowdown }) => figure(slowdown.mean) },
  { what: 'slowdown, 95 %', of: ({ slowdown }) => figure(slowdown.p95) },
  { what: 'utilisation', of: ({ utilisation }) => percent(utilisation) },
  { what: 'wasted', of: ({ wasted }) => percent(wasted), unless: ({ wasted }) => wasted === 0 },
  { what: 'share error, VOs', of: ({ balance }) => percent(balance.voError) },
  { what: 'share error, users', of: ({ balance }) => percent(balance.userError) },
  { what: 'tasks an hour', of: ({ doneTasksPerHour }) => figure(doneTasksPerHour) },
  { what: 'makespan', of: ({ makespanMs }) => formatDuration(makespanMs) },
  { what: 'rounds', of: ({ rounds }) => String(rounds) },
];

/** The figures, a policy a column. */
export const figuresTable = (all: readonly Measures[]): ReportTable => ({
  headings: ['', ...all.map(({ policy }) => policy)],
  rows: LINES.filter(({ unless }) => unless === undefined || !all.every(unless)).map(
    ({ what, of }) => [what, ...all.map(of)],
  ),
});

/**
 * What VOs and users received, of what target, and how long their tasks waited on average; `most` users, those that
 * received most.
 */
export function sharesTable(all: readonly Measures[], most: number): ReportTable {
  const first = all[0]?.balance;
  const users = [...(first?.users ?? [])].toSorted((a, b) => b.received - a.received);
  const names = [
    ...(first?.vos ?? []).map(({ name }) => name),
    ...users.slice(0, most).map(({ name }) => name),
  ];
  const parts = all.map(
    ({ balance }) => new Map([...balance.vos, ...balance.users].map((part) => [part.name, part])),
  );
  const cell = (part: Part | undefined): string =>
    part === undefined
      ? '-'
      : `${percent(part.received)} of ${percent(part.target)}, ${formatDuration(part.meanWaitMs)}`;
  return {
    headings: ['received of target, mean wait', ...all.map(({ policy }) => policy)],
    rows: names.map((name) => [name, ...parts.map((byName) => cell(byName.get(name)))]),
  };
}

/** One line on what was simulated. */
export function worldLine({ seed, sites, jobs }: World): string {
  const cpus = sum(sites.map(({ offer }) => offer.totalCpus));
  const tasks = sum(jobs.map(({ runtimesMs }) => runtimesMs.length));
  return `${counted(jobs.length, 'job')} with ${counted(tasks, 'task')}, ${counted(sites.length, 'site')} with ${counted(cpus, 'cpu')}, seed ${seed}`;
}

/** The figures as data: the same bytes for the same scenario. */
export const reportData = (world: World, all: readonly Measures[]): object => ({
  seed: world.seed,
  sites: world.sites.length,
  cpus: sum(world.sites.map(({ offer }) => offer.totalCpus)),
  policies: all.map(({ balance, ...measures }) => ({
    ...measures,
    voShareError: balance.voError,
    userShareError: balance.userError,
    vos: balance.vos.map(withoutCourse),
    users: balance.users.map(withoutCourse),
  })),
});

const withoutCourse = ({ name, target, received, meanWaitMs }: Part): object => ({
  name,
  target,
  received,
  meanWaitMs,
});

/** The page of a report; `plots` are the names of files beside it. */
export function reportPage(
  title: string,
  world: World,
  all: readonly Measures[],
  extra: { readonly remarks: readonly string[]; readonly plots: readonly string[] },
): string {
  const sections = [
    `# Simulation of ${title}`,
    [worldLine(world), ...extra.remarks].map((line) => `- ${line}`).join('\n'),
    markdown(figuresTable(all)),
    'Waits are from submission to the start of the last attempt, of tasks that ended. Slowdown is bounded:\n(wait + run) / max(run, 10 s), at least 1. A share error is the part of all cpu time that somebody else received\nthan weights alone would give it to.',
    markdown(sharesTable(all, 20)),
    ...extra.plots.map((name) => `![${name.replace('.svg', '')}](${name})`),
  ];
  return `${sections.join('\n\n')}\n`;
}

const markdown = ({ headings, rows }: ReportTable): string =>
  [headings, headings.map((_, index) => (index === 0 ? '---' : '---:')), ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
