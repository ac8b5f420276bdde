import { counted } from '../../../core/units.ts';
import type { Needs } from '../batch/batch-system.ts';
import type { ParallelEnvironment } from './qconf.ts';

/** Where a job gets its slots: a parallel environment, or nothing for a single slot. */
export interface Slots {
  readonly environment: string;
  /** Of each host; more than was asked for where only such an environment is there. */
  readonly perHost: number;
}

const ALL_ON_ONE = '$pe_slots';
/** Slots that an environment gives on each host; undefined where it promises nothing. */
const fixed = ({ rule }: ParallelEnvironment): number | undefined =>
  /^[1-9]\d*$/.test(rule) ? Number(rule) : undefined;

/** The environment that gives each node of a job its CPUs, wasting as few as possible; undefined where there is none. */
export function slotsFor(
  { nodes, cpus }: Pick<Needs, 'nodes' | 'cpus'>,
  environments: readonly ParallelEnvironment[],
): Slots | undefined {
  if (nodes === 1 && cpus === 1) return { environment: '', perHost: 1 };
  const onOne = environments.find(({ rule, slots }) => rule === ALL_ON_ONE && slots >= cpus);
  if (nodes === 1 && onOne !== undefined) return { environment: onOne.name, perHost: cpus };
  const fits = environments.flatMap((one) => {
    const perHost = fixed(one) ?? 0;
    return perHost >= cpus && one.slots >= perHost * nodes
      ? [{ environment: one.name, perHost }]
      : [];
  });
  return fits.toSorted((a, b) => a.perHost - b.perHost)[0];
}

/** Most CPUs of one node, and most nodes, of jobs on hosts with so many slots each. */
export function reachOf(
  environments: readonly ParallelEnvironment[],
  slotsOfHosts: readonly number[],
): { readonly cpusPerNode: number; readonly maxNodes: number } {
  const largest = Math.max(0, ...slotsOfHosts);
  const onOne = environments.filter(({ rule }) => rule === ALL_ON_ONE);
  const spread = environments.flatMap((one) => {
    const perHost = fixed(one) ?? 0;
    return perHost > 0 && perHost <= largest ? [{ perHost, most: one.slots }] : [];
  });
  const cpus = [
    Math.min(1, largest),
    ...onOne.map(({ slots }) => Math.min(slots, largest)),
    ...spread.map(({ perHost }) => perHost),
  ];
  const nodes = spread.map(({ perHost, most }) =>
    Math.min(Math.floor(most / perHost), slotsOfHosts.filter((slots) => slots >= perHost).length),
  );
  return { cpusPerNode: Math.max(...cpus), maxNodes: Math.max(1, ...nodes) };
}

/** What is said of needs for which there is none. */
export function withoutEnvironment(
  { nodes, cpus }: Pick<Needs, 'nodes' | 'cpus'>,
  environments: readonly ParallelEnvironment[],
): string {
  const there = environments.map(({ name, rule }) => `${name} (${rule})`).join(', ');
  const wanted =
    nodes === 1
      ? `${counted(cpus, 'slot')} on one host`
      : `${counted(cpus, 'slot')} on ${nodes} hosts each`;
  return `no parallel environment of its queues gives ${wanted}: it has ${there || 'none'}`;
}
