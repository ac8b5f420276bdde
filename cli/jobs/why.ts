import { LEAST_WAIT_MS } from '../../core/match/waits.ts';
import { formatDuration } from '../../core/units.ts';
import type { SiteVerdict, Turn, WhyJobResponse } from '../../proto/gen/grid/v1/broker.ts';
import type { Context } from '../context.ts';
import { argument, type Input } from '../input.ts';
import type { Palette } from '../palette.ts';
import { facts, instantText, stateText, table, wrap } from '../render.ts';
import { jobView } from './job-view.ts';

/** `grid why`. */
export async function showWhy(context: Context, input: Input): Promise<number> {
  using broker = await context.openBroker();
  const why = await broker.call.whyJob({ jobId: argument(input, 0) }, { signal: context.signal });
  const { terminal, colours } = context;
  const { summary, ...rest } = why;
  const job = jobView(summary);
  if (context.json) {
    const { sites: verdicts, ...said } = rest;
    terminal.out(JSON.stringify({ ...job, ...said, verdicts }));
    return 0;
  }
  terminal.out(`${colours.strong(job.id)} ${job.name}  ${stateText(job.state, colours)}`);
  terminal.out(whyText(why, { colours, columns: terminal.columns, nowMs: Date.now() }));
  return 0;
}

interface Look {
  readonly colours: Palette;
  readonly columns: number;
  readonly nowMs: number;
}

type Why = Omit<WhyJobResponse, 'summary'>;

/** Why a job waits, for people. */
export function whyText(why: Why, look: Look): string {
  const { colours, columns } = look;
  const parts = [
    wrap(why.answer, columns),
    sitesText(why.sites, look),
    turnsText(why, colours),
    facts(factsOf(why, look.nowMs), colours),
    why.advice.map((line) => `-> ${wrap(line, columns - 3).replaceAll('\n', '\n   ')}`).join('\n'),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

/** Sites that are shown one by one. */
const MAX_SITES = 20;

function sitesText(sites: readonly SiteVerdict[], { colours, columns }: Look): string {
  if (sites.length === 0) return '';
  const shown = sites.slice(0, MAX_SITES);
  const width = (cells: readonly string[]): number =>
    Math.max(...cells.map(({ length }) => length));
  const taken = width(shown.map(({ site }) => site)) + width(shown.map(verdictText)) + 4;
  const rows = shown.map((verdict) => [
    verdict.site,
    verdict.matches ? colours.good(verdictText(verdict)) : colours.warn(verdictText(verdict)),
    wrap(detailText(verdict), Math.max(24, columns - taken)),
  ]);
  const more = Map.groupBy(sites.slice(MAX_SITES), verdictText);
  const rest = [...more].map(([verdict, { length }]) => `${length} ${verdict}`).join(', ');
  const sum = rest === '' ? '' : `\nand ${sites.length - MAX_SITES} more: ${rest} (--json for all)`;
  return table(['site', 'verdict', 'why'], rows, colours, columns) + sum;
}

const verdictText = ({ matches, refusal }: SiteVerdict): string => (matches ? 'takes it' : refusal);

function detailText({ detail, expectedWaitMs }: SiteVerdict): string {
  const wait = `tasks like it wait about ${formatDuration(expectedWaitMs)} there`;
  const parts = [detail, expectedWaitMs < LEAST_WAIT_MS ? '' : wait];
  return parts.filter((part) => part !== '').join('; ');
}

/** Whose turn it is; nothing where nobody else waits. */
function turnsText({ turns, tasksAhead }: Why, colours: Palette): string {
  if (tasksAhead === 0 && turns.every(({ waiting }) => waiting === 1)) return '';
  const percent = (part: number): string => `${(100 * part).toFixed(1)} %`;
  const rows = turns.map((turn, level) => [
    '  '.repeat(level) + nameOf(turn),
    `${turn.place} of ${turn.waiting}`,
    percent(turn.usedPart),
    percent(turn.targetPart),
  ]);
  return table(['whose turn', 'place', 'used', 'target'], rows, colours);
}

/** An owner without the group that the line above names. */
const nameOf = ({ node }: Turn): string => node.slice(node.indexOf(':') + 1);

function factsOf(why: Why, nowMs: number): readonly (readonly [string, string])[] {
  const { tasksAhead, ownTasksAhead, notBeforeMs } = why;
  const tasks = tasksAhead === 1 ? '1 task has its turn' : `${tasksAhead} tasks have their turn`;
  return [
    ['ahead', tasksAhead === 0 ? '' : `${tasks} first, ${ownTasksAhead} of the same owner`],
    ['start', startText(why, nowMs)],
    ['next try', notBeforeMs === 0 ? '' : whenText(notBeforeMs, nowMs)],
    ['heard', heardText(why.sites, nowMs)],
  ];
}

const whenText = (atMs: number, nowMs: number): string =>
  `${instantText(atMs)} (in ${formatDuration(Math.max(0, atMs - nowMs))})`;

function startText({ expectedStart, sites, tasksAhead }: Why, nowMs: number): string {
  if (expectedStart === undefined) {
    const isFull = sites.some(({ refusal }) => refusal === 'no-free-slots');
    return isFull ? 'not known: nothing that the grid runs there gives back enough' : '';
  }
  const { site, byMs, reserved } = expectedStart;
  const when = `by ${whenText(byMs, nowMs)} at ${site}`;
  if (reserved) return `${when},\nwhere room is kept for it`;
  return `${when},\nif ${tasksAhead === 0 ? 'nothing comes before it' : 'what is ahead of it leaves room'}`;
}

/** How fresh all of this is. */
function heardText(sites: readonly SiteVerdict[], nowMs: number): string {
  const known = sites.filter(({ lastHeardAtMs }) => lastHeardAtMs > 0);
  const [oldest] = known.toSorted((a, b) => a.lastHeardAtMs - b.lastHeardAtMs);
  if (oldest === undefined) return '';
  const age = formatDuration(Math.max(0, nowMs - oldest.lastHeardAtMs));
  return known.length === 1 ? `${oldest.site} ${age} ago` : `all sites within the last ${age}`;
}
