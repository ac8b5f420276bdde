import type { BatchOrder, Needs } from '../batch/batch-system.ts';
import { jobName } from '../batch/job-name.ts';
import type { Capacity } from '../lrms.ts';
import type { Layout } from './capacity.ts';
import { type Slots, slotsFor } from './parallel.ts';
import type { Complex } from './qconf.ts';

/** What the site's configuration adds to each submission. */
export interface RequestOptions {
  /** Queues to use; empty for all. */
  readonly queues: readonly string[];
  readonly project: string;
  readonly account: string;
  /** Further arguments of qsub. */
  readonly extraArgs: readonly string[];
}

/** The gateway ends a task that overstays, and says why; Grid Engine does only where that fails. */
const WALLTIME_MARGIN_MS = 15_000;

/** The queue that a task is for, if the site uses it. */
const queueOf = ({ queue }: Needs, limits: Capacity['queues']): string | undefined =>
  limits.find(({ name }) => name === queue)?.name;

/** How a submission is asked for. */
export interface JobRequest {
  /** Arguments of qsub. */
  readonly args: readonly string[];
  /**
   * The same without complexes that hosts measure, where `args` have some: `qsub -w e` knows only what can be used up, so
   * that it takes every job that asks for `mem_free` as a load value for one that can never run.
   */
  readonly verifiable: readonly string[] | undefined;
}

/** Undefined where no parallel environment gives such slots. */
export function requestOf(
  order: BatchOrder,
  options: RequestOptions,
  layout: Layout,
  limits: Capacity['queues'],
): JobRequest | undefined {
  const args = submitArgs(order, options, layout, limits);
  const usable = { ...layout, measures: usableOf(layout.measures) };
  const verifiable = submitArgs(order, options, usable, limits);
  if (args === undefined || verifiable === undefined) return undefined;
  if (args.join('\n') === verifiable.join('\n'))
    return { args: ['-w', 'e', ...args], verifiable: undefined };
  return { args: ['-w', 'n', ...args], verifiable: ['-w', 'v', ...verifiable] };
}

/** Those that can be used up. */
function usableOf({ memory, gpus, licences = {} }: Layout['measures']): Layout['measures'] {
  const isUsable = (complex: Complex | undefined): boolean => complex?.consumable !== 'NO';
  return {
    memory: isUsable(memory) ? memory : undefined,
    gpus: isUsable(gpus) ? gpus : undefined,
    licences: Object.fromEntries(
      Object.entries(licences).filter(([, complex]) => isUsable(complex)),
    ),
  };
}

function submitArgs(
  order: BatchOrder,
  options: RequestOptions,
  { environments, measures, queues }: Layout,
  limits: Capacity['queues'],
): readonly string[] | undefined {
  const { needs, count, directory } = order;
  const slots = slotsFor(needs, environments);
  if (slots === undefined || queues.length === 0) return undefined;
  const isArray = count > 1;
  const comment = order.comment.replaceAll(/[,=]/g, ' ');
  const values: readonly (readonly [option: string, ...values: string[]])[] = [
    // Neither a copy of the script that is searched for `#$` lines, nor a shell that reads its arguments.
    ['-b', 'y'],
    ['-shell', 'n'],
    ['-N', jobName(order.token)],
    ['-ac', `grid=${comment}`],
    ['-r', 'n'],
    ['-notify'],
    ['-v', 'GRID_NOTIFY=yes'],
    ['-wd', '/'],
    // The script keeps a log of its own: in a path Grid Engine would read `$` and `:`.
    ['-o', '/dev/null'],
    ['-j', 'y'],
    ['-l', resourcesOf(needs, slots, measures, limits).join(',')],
    ['-pe', slots.environment, String(slots.perHost * needs.nodes)],
    ['-R', needs.nodes > 1 ? 'y' : 'n'],
    ['-q', queueOf(needs, limits) ?? options.queues.join(',')],
    ['-P', options.project],
    ['-A', options.account],
  ];
  return [
    '-terse',
    ...values.filter((words) => words[1] !== '').flat(),
    ...options.extraArgs,
    ...(isArray ? ['-t', `1-${count}`] : []),
    order.script,
    directory,
    ...(isArray ? [] : ['1']),
  ];
}

function resourcesOf(
  needs: Needs,
  slots: Slots,
  { memory, gpus, licences = {} }: Layout['measures'],
  limits: Capacity['queues'],
): readonly string[] {
  const amount = (complex: Complex | undefined, ofNode: number): readonly string[] => {
    if (complex === undefined || ofNode === 0) return [];
    return [`${complex.name}=${shareOf(complex, ofNode, { slots, nodes: needs.nodes })}`];
  };
  const seconds = Math.ceil(walltimeOf(needs, limits) / 1_000);
  const time = needs.walltimeMs > 0 ? [`h_rt=${seconds}`] : [];
  const ofJob = Object.entries(needs.licences ?? {}).flatMap(([name, count]) => {
    const complex = Object.hasOwn(licences, name) ? licences[name] : undefined;
    // Counted for each slot it may come to more than was asked for.
    const isOfSlot = complex?.consumable === 'YES';
    const share = isOfSlot ? Math.ceil(count / (slots.perHost * needs.nodes)) : count;
    return complex === undefined ? [] : [`${complex.name}=${share}`];
  });
  return [...time, ...amount(memory, needs.memoryBytes), ...amount(gpus, needs.gpus), ...ofJob];
}

/** What to ask for so that each node gets so much. */
function shareOf(
  { consumable }: Complex,
  ofNode: number,
  { slots, nodes }: { readonly slots: Slots; readonly nodes: number },
): number {
  if (consumable === 'YES') return Math.ceil(ofNode / slots.perHost);
  return consumable === 'JOB' ? ofNode * nodes : ofNode;
}

/** With the margin, unless just that would take it out of a queue. */
function walltimeOf({ walltimeMs }: Needs, limits: Capacity['queues']): number {
  const generous = walltimeMs + WALLTIME_MARGIN_MS;
  const isTight = limits.some(
    ({ maxWalltimeMs: most }) => most >= walltimeMs && most > 0 && most < generous,
  );
  return isTight ? walltimeMs : generous;
}
