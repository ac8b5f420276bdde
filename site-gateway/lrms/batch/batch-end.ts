import { boundedWords } from '../../../core/words.ts';
import type { TaskEnd, TaskUsage } from '../lrms.ts';
import type { LimitFile, MeterFile, StatusFile } from '../task-files.ts';
import type { StepUsage } from './batch-steps.ts';
import type { BatchEnd } from './batch-system.ts';

/** All that is known of a task that the batch system does not list any more, or whose script has come to its end. */
export interface Evidence {
  /** Name of the batch system. */
  readonly system: string;
  /** The job as the batch system calls it; '' where that is not known. */
  readonly job: string;
  readonly nodes: number;
  readonly memoryBytes: number;
  /** 0 for no limit. */
  readonly walltimeMs: number;
  /** Whether the program was begun; where not, it never will be. */
  readonly began: boolean;
  readonly status: StatusFile | undefined;
  readonly meter: MeterFile | undefined;
  /** What the batch system's launcher started for it, on all of its nodes. */
  readonly steps: StepUsage;
  /** The gateway has had it killed, with its script. */
  readonly isKilled: boolean;
  readonly limit: LimitFile | undefined;
  /** What the batch system says; undefined where it has forgotten the job. */
  readonly end: BatchEnd | undefined;
  /** What the batch system and the script left in the job's log. */
  readonly log: string;
  readonly wallMs: number;
}

export const CANCELLED: TaskEnd = {
  kind: 'not-started',
  fault: 'job',
  reason: 'CANCELLED',
  detail: 'it was cancelled before it started',
};

/** Its files are of one account by now, and it is to run as another. */
export const ANOTHER_ACCOUNT: TaskEnd = {
  kind: 'not-started',
  fault: 'site',
  reason: 'START_FAILED',
  detail: 'the site has changed the account of its owner while it waited',
};

/** The batch system will not have it, and says why. */
export const refusal = (system: string, words: string): TaskEnd => ({
  kind: 'not-started',
  fault: 'site',
  reason: 'SITE_REFUSED',
  detail: boundedWords(`${system} did not take it: ${words}`),
});

/** What the batch system needs of it could not be written. */
export const unwritten = (spool: string, error: unknown): TaskEnd => ({
  kind: 'not-started',
  fault: 'site',
  reason: 'SPOOL_UNWRITABLE',
  detail: `${spool} could not be written: ${error instanceof Error ? error.message : String(error)}`,
});

/** 128 + SIGKILL, and + SIGTERM. */
const KILLED = 137;
const TERMINATED = 143;
/** Whether somebody ended it from outside, which the batch system may know more about. */
export const isKill = (exitCode: number): boolean => exitCode === KILLED || exitCode === TERMINATED;

/** How it ended, in the words of the port. */
export function endOfTask(evidence: Evidence): TaskEnd {
  const { began, status, limit, end } = evidence;
  if (!began) return neverBegan(evidence);
  const exitCode = status?.exitCode ?? KILLED;
  const common = { exitCode, usage: usageOf(evidence), leftBehind: [] };
  const exceeded = limit ?? limitOf(evidence, exitCode);
  if (exceeded !== undefined) return { kind: 'limit', ...exceeded, ...common };
  if (evidence.isKilled || isOwnEnd(evidence)) return { kind: 'exited', ...common };
  const reason = end?.kind === 'cancelled' ? 'SITE_CANCELLED' : 'TASK_VANISHED';
  const detail = `${nameOf(evidence)} ${wordsOf(evidence)}`;
  return { kind: 'vanished', reason, detail, usage: common.usage };
}

/** It has said how it ended, and the site had no hand in that. */
const isOwnEnd = ({ status, end }: Evidence): boolean =>
  status !== undefined && !(isKill(status.exitCode) && BY_SITE.includes(end?.kind));

/** A limit at which the batch system itself struck. */
function limitOf(evidence: Evidence, exitCode: number): LimitFile | undefined {
  const { memoryBytes, walltimeMs, end } = evidence;
  if (isMemory(evidence, exitCode)) {
    const measured = Math.max(usageOf(evidence).peakMemoryBytes, memoryBytes);
    return { limit: 'memory', measured, allowed: memoryBytes };
  }
  return end?.kind === 'walltime' && isKill(exitCode)
    ? { limit: 'walltime', measured: walltimeMs, allowed: walltimeMs }
    : undefined;
}

function neverBegan(evidence: Evidence): TaskEnd {
  const reason = evidence.end?.kind === 'cancelled' ? 'SITE_CANCELLED' : 'START_FAILED';
  const detail = `${nameOf(evidence)} never began: it ${wordsOf(evidence)}`;
  return { kind: 'not-started', fault: 'site', reason, detail };
}

/**
 * Where the limit of the batch system's own watch struck, it says so in the log only. The kernel ends one process, and what
 * becomes of the task is up to the others.
 */
const isMemory = ({ end, log, meter }: Evidence, exitCode: number): boolean =>
  (end?.kind === 'memory' && isKill(exitCode)) ||
  (meter?.isOverMemory === true && exitCode !== 0 && !BY_SITE.includes(end?.kind)) ||
  (exitCode === KILLED && /exceeded (job )?memory limit|oom[-_ ]kill/i.test(log));

const BY_SITE: readonly (BatchEnd['kind'] | undefined)[] = ['cancelled', 'node-failed', 'requeued'];

const nameOf = ({ system, job }: Evidence): string =>
  job === '' ? `the job in ${system}` : `${system}'s job ${job}`;

function wordsOf({ end, log, system }: Evidence): string {
  const said = end === undefined ? `is not known to ${system} any more` : END_WORDS[end.kind];
  const words = [end?.words ?? '', log].filter((text) => text !== '').join('; ');
  return words === '' ? said : `${said} (${words})`;
}

const END_WORDS: Readonly<Record<BatchEnd['kind'], string>> = {
  ended: 'ended without a word from its script',
  'not-begun': 'could not be started',
  cancelled: 'was ended at the site',
  walltime: 'overstayed its time',
  memory: 'used too much memory',
  'node-failed': 'was lost with its node',
  requeued: 'was ended and put back into the queue',
};

/** Beyond these a task has lied about itself: no share of others is to suffer for it. */
const MOST_WALL_MS = 100 * 86_400_000;
const WALL_MARGIN_MS = 3_600_000;
const MOST_CORES = 1_024;
const MOST_MEMORY_BYTES = 2 ** 45;

const NO_USAGE: TaskUsage = { cpuMs: 0, wallMs: 0, peakMemoryBytes: 0 };

/**
 * The most that anybody knows of: the shell counts what has ended, its meter what still ran when all was killed; steps come on
 * top of both, and the batch system counts all.
 */
function usageOf(evidence: Evidence): TaskUsage {
  const { status, meter, steps, end, wallMs, walltimeMs, nodes } = evidence;
  const seen = meter ?? NO_USAGE;
  const said = end?.usage ?? NO_USAGE;
  const ownMs = Math.max(status?.cpuMs ?? 0, seen.cpuMs);
  const peakBytes = Math.max(seen.peakMemoryBytes, steps.peakMemoryBytes, said.peakMemoryBytes);
  const longestMs = walltimeMs > 0 ? walltimeMs + WALL_MARGIN_MS : MOST_WALL_MS;
  return {
    cpuMs: upTo(longestMs * nodes * MOST_CORES, Math.max(ownMs + steps.cpuMs, said.cpuMs)),
    wallMs: upTo(longestMs, said.wallMs || wallMs),
    peakMemoryBytes: upTo(MOST_MEMORY_BYTES, peakBytes),
  };
}

const upTo = (most: number, amount: number): number =>
  Math.min(most, Math.max(0, Math.round(amount) || 0));
