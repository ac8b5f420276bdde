import type { LrmsTask } from '../lrms.ts';
import type { BatchSignal, Element } from './batch-system.ts';

/**
 * A task here: it `gathers` with others, is `sent` once the batch system may know of it, and `runs` once its script has
 * said so. Then it is dropped.
 */
export interface BatchTask {
  readonly task: LrmsTask;
  state: 'gathers' | 'sent' | 'runs' | 'ending';
  element: Element | undefined;
  /** As `signal` wants it; '' while unknown. */
  job: string;
  /** A look has shown that the job is this task's. What a submission answers proves nothing: its account can make it up. */
  isListed: boolean;
  /** Monotonic: looks that began before this instant say nothing about it. */
  sentAtMs: number;
  /** Wall clock; 0 while it has not begun. */
  startedAtMs: number;
  /** How long it has stood still, without what goes on now. */
  suspendedMs: number;
  /** Wall clock: stands still since then. */
  suspendedAtMs: number | undefined;
  /** The listener knows whether it stands still. */
  isToldHow: boolean;
  /** Looks in succession that did not list it. */
  missed: number;
  /** Monotonic: the first of them. */
  missedAtMs: number;
  waitReason: string;
  /** An earlier run submitted it, or meant to. */
  takenUp: boolean;
  /** It was cancelled before it had an element. */
  unwanted: boolean;
  wanted: BatchSignal | undefined;
  signalled: BatchSignal | undefined;
  /** As `job` was then. */
  signalledAs: string;
  /** Monotonic: when TERM was sent; infinite before. */
  termAtMs: number;
  /** From TERM to KILL. */
  graceMs: number;
  /** Monotonic: KILL is due then, TERM or not. */
  killByMs: number;
  /** Monotonic: when it was first to end, or was sent KILL. */
  urgentFromMs: number;
  /** Its status says that it was killed: the batch system may know why. */
  unexplained: boolean;
  wallTimer: Disposable | undefined;
  killTimer: NodeJS.Timeout | undefined;
}

export const newBatchTask = (task: LrmsTask): BatchTask => ({
  task,
  state: 'gathers',
  element: undefined,
  job: '',
  isListed: false,
  sentAtMs: 0,
  startedAtMs: 0,
  suspendedMs: 0,
  suspendedAtMs: undefined,
  isToldHow: false,
  missed: 0,
  missedAtMs: 0,
  waitReason: '',
  takenUp: false,
  unwanted: false,
  wanted: undefined,
  signalled: undefined,
  signalledAs: '',
  termAtMs: Number.POSITIVE_INFINITY,
  graceMs: Number.POSITIVE_INFINITY,
  killByMs: Number.POSITIVE_INFINITY,
  urgentFromMs: 0,
  unexplained: false,
  wallTimer: undefined,
  killTimer: undefined,
});

/** An earlier run submitted it, or meant to. */
export function takeUpAs(entry: BatchTask, element: Element): void {
  entry.element = element;
  entry.state = 'sent';
  entry.takenUp = true;
}

/** As if nobody had ever tried to submit it. */
export function gatherAgain(entry: BatchTask): void {
  entry.state = 'gathers';
  entry.element = undefined;
  entry.job = '';
  entry.isListed = false;
  entry.takenUp = false;
  entry.missed = 0;
}

/** The same for tasks of one account with equal needs. */
export function kindOf({ task }: BatchTask): string {
  const { account, licences = {}, queue, cpus, memoryBytes } = task;
  const { gpus, gpuModel, nodes, walltimeMs } = task;
  const needs = [queue, cpus, memoryBytes, gpus, gpuModel, nodes, walltimeMs, licences];
  return JSON.stringify([account?.uid, account?.gid, ...needs]);
}

/** Tasks that may be one submission, of one account with equal needs, in the order in which they came, at most `most` each. */
export function groupsOf(tasks: readonly BatchTask[], most: number): readonly BatchTask[][] {
  const open = new Map<string, BatchTask[]>();
  const groups: BatchTask[][] = [];
  for (const entry of tasks) {
    const kind = kindOf(entry);
    const group = open.get(kind);
    if (group !== undefined && group.length < most) group.push(entry);
    else {
      const fresh = [entry];
      groups.push(fresh);
      open.set(kind, fresh);
    }
  }
  return groups;
}
