import { appendFileSync } from 'node:fs';
import { appendFile, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { readPlain } from '../read-plain.ts';

/** A process and when it started, in clock ticks since boot: a pid alone may have been given away again. */
export interface ProcessKey {
  readonly pid: number;
  readonly startTicks: number;
}

/** The wrapper as it began a task; it may have had others before. */
export interface TaskStart {
  readonly wrapper: ProcessKey;
  /** Uptime of the machine, ms. */
  readonly uptimeMs: number;
  /** What its earlier tasks have used. */
  readonly earlierCpuMs: number;
}

/** What the wrapper left when it began. */
export interface StartedFile {
  /** Undefined where the wrapper was cut off between making the file and writing it. */
  readonly start: TaskStart | undefined;
  readonly atMs: number;
  /** The start of the machine that it began in; '' where it was cut off. */
  readonly bootId: string;
}

/** What the wrapper left when the task had ended. */
export interface StatusFile {
  readonly exitCode: number;
  readonly cpuMs: number;
  /** Uptime of the machine at the end, ms. */
  readonly endedUptimeMs: number;
}

/** What the batch script has seen of its processes while they ran. */
export interface MeterFile {
  readonly cpuMs: number;
  readonly peakMemoryBytes: number;
  /** Uptime of the machine at the last look, ms. */
  readonly atUptimeMs: number;
  /** It has ended the task for that. */
  readonly limit: LimitFile | undefined;
  /** The kernel has ended one of its processes, because they had all the memory that the batch system allows them. */
  readonly isOverMemory: boolean;
}

/** How long a task has stood still. */
export interface Suspensions {
  /** In all, those that are over. */
  readonly overMs: number;
  /** Wall clock; undefined while it does not. */
  readonly sinceMs: number | undefined;
}

/** Why the batch system itself ended a task; written before it does, so that it outlives the gateway. */
export interface LimitFile {
  readonly limit: 'walltime' | 'memory' | 'disk';
  readonly measured: number;
  readonly allowed: number;
}

/** Clock ticks per second, the same on every Linux that Node runs on. */
export const TICKS_PER_SECOND = 100;

/** More than any of these files has, unless somebody made it larger. */
const MOST_BYTES = 64 * 2 ** 10;

const readIfThere = (file: string): Promise<string | undefined> =>
  readPlain(file, { most: MOST_BYTES });

/** Names each node of the task once for each of its cores, a line each; the batch system makes it before the task begins. */
export const hostfileOf = (directory: string): string => join(directory, 'tmp', 'grid-hosts');

/**
 * What is known of a task's container, for those who run it: a folder of the task's account that is not seen in the container.
 * `pid` in it is the first process of that, which is no child of the task's command; made by the runtime.
 */
export const containerFolderOf = (directory: string): string => join(directory, 'container');

const startedOf = (directory: string): string => join(directory, 'started');

/** In place of a wrapper's line: no wrapper may begin the task any more. */
const FENCE = 'never\n';

/**
 * Sees to it that a task that was ordered never begins, however late its wrapper comes to it. False where it has begun, and
 * where that cannot be written down.
 */
export async function fenceOff(directory: string): Promise<boolean> {
  if ((await readStarted(directory)) !== undefined) return false;
  const file = startedOf(directory);
  // In one piece, as the wrapper does: whose line is the first has decided.
  await appendFile(file, FENCE).catch(() => undefined);
  return (await readIfThere(file))?.startsWith(FENCE) === true;
}

/** Undefined when the task was never started. */
export async function readStarted(directory: string): Promise<StartedFile | undefined> {
  const file = startedOf(directory);
  const text = await readIfThere(file);
  // It may be there before any wrapper is.
  if (text === undefined || text === '' || text.startsWith(FENCE)) return undefined;
  const [line = '', ...rest] = text.split('\n');
  const isOfStat = line.includes(')');
  const start = isOfStat ? startOfStat(line, rest[0] ?? '') : startOf(line);
  const bootId = (isOfStat ? rest[1] : rest[0]) ?? '';
  return { start, atMs: Math.round((await stat(file)).mtimeMs), bootId };
}

/** A line `PID TICKS UPTIME CPU`: the wrapper, the machine's uptime in seconds, ms of earlier tasks. Undefined where it is cut short. */
export function startOf(line: string): TaskStart | undefined {
  const [, pid, startTicks, uptime, earlier] = /^(\d+) (\d+) ([\d.]+) (\d+)$/.exec(line) ?? [];
  if (pid === undefined) return undefined;
  return {
    wrapper: { pid: Number(pid), startTicks: Number(startTicks) },
    uptimeMs: Math.round(Number(uptime) * 1_000),
    earlierCpuMs: Number(earlier),
  };
}

/** The same of a wrapper of an earlier version, out of its line of /proc/self/stat. */
function startOfStat(line: string, uptime: string): TaskStart | undefined {
  const wrapper = keyOfStat(line);
  const [user, system] = fieldsOfStat(line).slice(13, 15).map(Number);
  if (wrapper === undefined || user === undefined || system === undefined) return undefined;
  const msOf = (ticks: number): number => (ticks * 1_000) / TICKS_PER_SECOND;
  // The first ones have one task each, and write one line.
  const uptimeMs = uptime === '' ? msOf(wrapper.startTicks) : Math.round(Number(uptime) * 1_000);
  return { wrapper, uptimeMs, earlierCpuMs: msOf(user + system) };
}

const fieldsOfStat = (line: string): readonly string[] =>
  line.slice(line.lastIndexOf(')') + 2).split(' ');

/** Pid and start time out of a line of /proc/PID/stat; the name in brackets may hold anything, even brackets. */
export function keyOfStat(line: string): ProcessKey | undefined {
  const pid = Number.parseInt(line, 10);
  const startTicks = Number(fieldsOfStat(line)[19]);
  return Number.isSafeInteger(pid) && Number.isSafeInteger(startTicks)
    ? { pid, startTicks }
    : undefined;
}

const MAX_EXIT = 255;

/** Undefined while the task runs, and where the file was cut short. */
export async function readStatus(directory: string): Promise<StatusFile | undefined> {
  const lines = (await readIfThere(join(directory, 'status')))?.split('\n') ?? [];
  // The wrapper's are the last, whatever a task has put before them.
  const [head = '', , children = '', last] = lines.slice(-5);
  // Batch scripts, and wrappers of earlier versions, do not say whose end it is.
  if (last !== 'end' && last !== `end ${basename(directory)}`) return undefined;
  return statusOf(head, children);
}

/** Out of the exit code with the machine's uptime in seconds, and the second line of `times`; undefined where the first is none. */
export function statusOf(head: string, children: string): StatusFile | undefined {
  const [exitCode = Number.NaN, uptime = Number.NaN] = head.split(' ').map(Number);
  if (!(Number.isSafeInteger(exitCode) && exitCode >= 0 && exitCode <= MAX_EXIT)) return undefined;
  return { exitCode, cpuMs: cpuMsOf(children), endedUptimeMs: Math.round(uptime * 1_000) };
}

/** Undefined where the task ended before it was looked at, and where nobody looks. */
export async function readMeter(directory: string): Promise<MeterFile | undefined> {
  const lines = ((await readIfThere(join(directory, 'usage'))) ?? '').split('\n').slice(0, -1);
  const limit = lines.map(limitOfLine).find((found) => found !== undefined);
  const looks = lines.map((line) => line.split(' ').map(Number)).filter(isLook);
  const [kib = 0, ticks = 0, uptime = 0] = looks.at(-1) ?? [];
  const isOverMemory = lines.includes('oom');
  if (looks.length === 0 && limit === undefined && !isOverMemory) return undefined;
  const [, counted] = lines.findLast((line) => line.startsWith('kernel '))?.split(' ') ?? [];
  return {
    cpuMs: (ticks * 1_000) / TICKS_PER_SECOND,
    peakMemoryBytes: Number(counted ?? kib) * 1_024,
    atUptimeMs: Math.round(uptime * 1_000),
    limit,
    isOverMemory,
  };
}

/** A line `limit KIND MEASURED ALLOWED`, in bytes. */
function limitOfLine(line: string): LimitFile | undefined {
  const [, limit, measured, allowed] = /^limit (\w+) (\d{1,15}) (\d{1,15})$/.exec(line) ?? [];
  return limitFileOf(limit, measured, allowed);
}

const LIMITS: readonly unknown[] = ['walltime', 'memory', 'disk'] satisfies LimitFile['limit'][];
const isLimit = (word: unknown): word is LimitFile['limit'] => LIMITS.includes(word);

function limitFileOf(limit: unknown, ...amounts: readonly unknown[]): LimitFile | undefined {
  const [measured = Number.NaN, allowed = Number.NaN] = amounts.map(Number);
  const isWhole = isLimit(limit) && Number.isFinite(measured) && Number.isFinite(allowed);
  return isWhole ? { limit, measured, allowed } : undefined;
}

const isLook = (numbers: readonly number[]): boolean =>
  numbers.length === 3 && numbers.every(Number.isFinite);

/** A line of the shell's `times`: `0m1.50s 0m0.25s`. */
function cpuMsOf(line: string): number {
  const seconds = [...line.matchAll(/(\d+)m([\d.]+)s/g)].map(
    ([, minutes, rest]) => Number(minutes) * 60 + Number(rest),
  );
  return Math.round(seconds.reduce((sum, part) => sum + part, 0) * 1_000);
}

/** The task could not be put where it was to run, and did not run. */
export async function isUnconfined(directory: string): Promise<boolean> {
  if ((await readIfThere(join(directory, 'unconfined'))) !== undefined) return true;
  const bubble = await readIfThere(join(directory, 'confined'));
  return bubble !== undefined && !bubble.includes('"exit-code"');
}

/** Undefined where the task reached no limit, and where the file was cut short because the disk is full. */
export async function readLimit(directory: string): Promise<LimitFile | undefined> {
  const text = await readIfThere(join(directory, 'limit'));
  try {
    const found = JSON.parse(text ?? 'null') as Partial<Record<keyof LimitFile, unknown>> | null;
    return found === null ? undefined : limitFileOf(found.limit, found.measured, found.allowed);
  } catch {
    return undefined;
  }
}

/** Why the gateway, or the batch script by itself, ended a task; undefined where neither did. */
export const limitOf = async (directory: string): Promise<LimitFile | undefined> =>
  (await readLimit(directory)) ?? (await readMeter(directory))?.limit;

export const writeLimit = (directory: string, limit: LimitFile): Promise<void> =>
  writeFile(join(directory, 'limit'), `${JSON.stringify(limit)}\n`);

const suspensionsOf = (directory: string): string => join(directory, 'suspensions');

/** Takes down that a task stands still from now on, or goes on. */
export const noteSuspension = (directory: string, isSuspended: boolean, atMs: number): void =>
  appendFileSync(
    suspensionsOf(directory),
    `${isSuspended ? 'suspended' : 'resumed'} ${Math.round(atMs)}\n`,
  );

export async function readSuspensions(directory: string): Promise<Suspensions> {
  let overMs = 0;
  let sinceMs: number | undefined;
  for (const line of ((await readIfThere(suspensionsOf(directory))) ?? '').split('\n')) {
    const [, word, at] = /^(suspended|resumed) (\d{1,15})$/.exec(line) ?? [];
    if (word === undefined) continue;
    if (word === 'suspended') sinceMs ??= Number(at);
    else {
      overMs += Math.max(0, Number(at) - (sinceMs ?? Number(at)));
      sinceMs = undefined;
    }
  }
  return { overMs, sinceMs };
}
