import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { uptime } from 'node:os';
import { type ProcessKey, TICKS_PER_SECOND } from './task-files.ts';

/** A live process as /proc shows it; zombies are left out. */
export interface ProcessInfo extends ProcessKey {
  readonly ppid: number;
  readonly group: number;
  readonly session: number;
  /** The device of the terminal of its session; 0 for none. */
  readonly terminal: number;
  readonly name: string;
  readonly rssBytes: number;
  /** Of its own, and of its children that it has waited for. */
  readonly cpuMs: number;
  /** The mark in its environment: the directory of its attempt; '' for none. */
  readonly mark: string;
}

/**
 * The variable by which a process is known to belong to an attempt, wherever it has gone. It holds the attempt's directory
 * and not its id: nothing else on the machine has that.
 */
export const MARK_VARIABLE = 'GRID_ATTEMPT_DIR';
const MARK = Buffer.from(`${MARK_VARIABLE}=`);
const PAGE_BYTES = 4_096;
const MS_PER_TICK = 1_000 / TICKS_PER_SECOND;
/** A process younger than this may be about to `exec` and to get another environment. */
const SETTLED_TICKS = 5 * TICKS_PER_SECOND;

/**
 * Looks at processes; one look serves all attempts. With `since` it may leave out those that are older than these, which
 * makes looking after short tasks cheap on a machine with many processes.
 */
export type ProcessTable = (since?: readonly (ProcessKey | undefined)[]) => readonly ProcessInfo[];

/** A process keeps the mark that it was first seen with: `env -i` does not hide it. */
export function openProcessTable(): ProcessTable {
  const marks = new Map<number, { readonly startTicks: number; readonly mark: string }>();
  return (since) => {
    const nowTicks = uptime() * TICKS_PER_SECOND;
    const isWanted = since === undefined ? () => true : youngerThan(since, nowTicks);
    const pids = readdirSync('/proc').filter(isPid).map(Number);
    const processes: ProcessInfo[] = [];
    for (const pid of pids.filter(isWanted)) {
      const facts = readStat(pid);
      if (facts === undefined) continue;
      const known = marks.get(pid);
      const same = known?.startTicks === facts.startTicks ? known.mark : '';
      const settled = known !== undefined && nowTicks - facts.startTicks > SETTLED_TICKS;
      const mark = same !== '' || settled ? same : markOf(pid);
      marks.set(pid, { startTicks: facts.startTicks, mark });
      processes.push({ ...facts, mark });
    }
    const there = new Set(pids);
    for (const pid of marks.keys()) if (!there.has(pid)) marks.delete(pid);
    return processes;
  };
}

const isPid = (name: string): boolean => name.charCodeAt(0) >= 48 && name.charCodeAt(0) <= 57;

/** The process that was made last; what is made from now on is younger. */
export const latestProcess = (): ProcessKey => ({
  pid: latestPid(),
  startTicks: Math.floor(uptime() * TICKS_PER_SECOND),
});

const latestPid = (): number =>
  Number(readFileSync('/proc/loadavg', 'utf8').trim().split(' ').at(-1));

/** Pids are given in rising order and begin anew at the end: within these seconds they cannot have come round twice. */
const ORDERED_TICKS = 10 * TICKS_PER_SECOND;

/** Whether a pid may belong to a process that is younger than one of `since`. */
function youngerThan(
  since: readonly (ProcessKey | undefined)[],
  nowTicks: number,
): (pid: number) => boolean {
  const isRecent = (key: ProcessKey | undefined): boolean =>
    key !== undefined && nowTicks - key.startTicks < ORDERED_TICKS;
  if (!since.every(isRecent)) return () => true;
  const last = latestPid();
  const ranges = since.map((key) => key?.pid ?? 0);
  const rounded = ranges.filter((first) => first > last);
  const lowest = Math.min(...ranges.filter((first) => first <= last));
  const lowestRounded = Math.min(...rounded);
  return (pid) =>
    (pid >= lowest && pid <= last) || (rounded.length > 0 && (pid <= last || pid >= lowestRounded));
}

/** Undefined where the process has just gone, or is a zombie. */
export function readStat(pid: number): Omit<ProcessInfo, 'mark'> | undefined {
  const text = readProc(`/proc/${pid}/stat`)?.toString('latin1');
  if (text === undefined) return undefined;
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  const fields = text.slice(close + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
  return {
    pid,
    name: text.slice(open + 1, close),
    ppid: Number(fields[1]),
    group: Number(fields[2]),
    session: Number(fields[3]),
    terminal: Number(fields[4]),
    startTicks: Number(fields[19]),
    rssBytes: Number(fields[21]) * PAGE_BYTES,
    cpuMs: fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks) * MS_PER_TICK, 0),
  };
}

function readProc(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    // Gone meanwhile, or another user's.
    return undefined;
  }
}

function markOf(pid: number): string {
  const environment = readProc(`/proc/${pid}/environ`);
  if (environment === undefined) return '';
  let at = environment.indexOf(MARK);
  while (at > 0 && environment[at - 1] !== 0) at = environment.indexOf(MARK, at + 1);
  if (at < 0) return '';
  const end = environment.indexOf(0, at);
  return environment.toString('utf8', at + MARK.length, end < 0 ? undefined : end);
}

/**
 * What processes hold together: memory that they share counts once. It takes the kernel much longer to tell than what each
 * of them sees, the sum of which is more.
 */
export const heldBytes = (processes: readonly ProcessInfo[]): number =>
  processes.reduce((sum, { pid, rssBytes }) => sum + (shareOf(pid) ?? rssBytes), 0);

/** Of all that it sees, with what is shared divided among those that see it; undefined where the kernel does not say. */
function shareOf(pid: number): number | undefined {
  const text = readProc(`/proc/${pid}/smaps_rollup`)?.toString('latin1') ?? '';
  const [, kib] = /^Pss: +(\d+) kB$/m.exec(text) ?? [];
  return kib === undefined ? undefined : Number(kib) * 1_024;
}

/** Whether a process has a pid namespace of its own, as those in a container do and what runs the container does not. */
export function isInside({ pid }: ProcessInfo): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`) !== readlinkSync('/proc/self/ns/pid');
  } catch {
    // Gone, or another user's.
    return true;
  }
}

/** Whether exactly this process still lives. */
export function isAlive(key: ProcessKey): boolean {
  return readStat(key.pid)?.startTicks === key.startTicks;
}

/** By what the processes of an attempt are known. */
export interface TreeSigns {
  /** The mark in their environment. */
  readonly directory: string;
  readonly wrapper: ProcessKey | undefined;
  /** Pids in its control group. */
  readonly members: ReadonlySet<number>;
}

/**
 * All processes of an attempt: in its control group, marked with its directory, in the wrapper's session or group, children
 * of the wrapper, which may have taken over those that lost their parents, or descended from one of those. The wrapper
 * itself is the first where it lives.
 */
export function treeOf(
  { directory, wrapper, members: inGroup }: TreeSigns,
  processes: readonly ProcessInfo[],
): readonly ProcessInfo[] {
  const isMember = (one: ProcessInfo): boolean =>
    inGroup.has(one.pid) ||
    one.mark === directory ||
    (wrapper !== undefined &&
      one.startTicks >= wrapper.startTicks &&
      (one.session === wrapper.pid ||
        one.group === wrapper.pid ||
        // It may be older than what was looked at.
        (one.ppid === wrapper.pid && isAlive(wrapper))));
  const members = withDescendants(processes, isMember);
  const isWrapper = (one: ProcessInfo): boolean => one.pid === wrapper?.pid;
  return [...members.values()].toSorted((a, b) => Number(isWrapper(b)) - Number(isWrapper(a)));
}

/** Those that are meant, and all that descends from them. */
export function withDescendants(
  processes: readonly ProcessInfo[],
  isMeant: (one: ProcessInfo) => boolean,
): ReadonlyMap<number, ProcessInfo> {
  const found = new Map(processes.filter(isMeant).map((one) => [one.pid, one]));
  let before = -1;
  while (before !== found.size) {
    before = found.size;
    for (const one of processes) if (found.has(one.ppid)) found.set(one.pid, one);
  }
  return found;
}

/** Keep the namespaces of a task: they end when the task has, and a signal meant for the task is not for them. */
const KEEPERS = ['bwrap', 'conmon', 'catatonit'];

export const isKeeper = ({ name }: ProcessInfo): boolean => KEEPERS.includes(name);

/** Sends a signal; a process that has gone meanwhile is no error. */
export function sendSignal(
  processes: readonly ProcessKey[],
  signal: 'SIGTERM' | 'SIGKILL' | 'SIGSTOP' | 'SIGCONT',
): void {
  for (const { pid } of processes) {
    try {
      process.kill(pid, signal);
    } catch {
      // ESRCH: gone. EPERM: it changed its user, and whoever runs the gateway may not end it.
    }
  }
}
