import {
  existsSync,
  opendirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import type { ProcessInfo } from '../lrms/process-tree.ts';

/** Where terminals stand below /dev, and what they are called: consoles and serial lines, and those of windows and ssh. */
const PLACES: readonly (readonly [folder: string, name: RegExp])[] = [
  ['dev', /^tty(?:S|USB)?\d+$/],
  ['dev/pts', /^\d+$/],
];

/** A terminal of the machine. */
export interface Terminal {
  readonly file: string;
  /** As a process has it that it belongs to. */
  readonly device: number;
  /** The file system that it stands in: containers have terminals of their own, under the same numbers. */
  readonly mount: number;
  readonly usedAtMs: number;
}

/**
 * Gives the terminals that somebody has typed at since it was asked last. `w` tells the same: the kernel sets the time of
 * access when a program reads what was typed, to 8 seconds, so that nobody learns how fast somebody types.
 */
export function watchTerminals(root: string): () => readonly Terminal[] {
  let before: ReadonlyMap<string, number> = new Map();
  return () => {
    const terminals = PLACES.flatMap(([folder, name]) =>
      namesIn(join(root, folder))
        .filter((one) => name.test(one))
        .flatMap((one) => terminalOf(join(root, folder, one)) ?? []),
    );
    const used = terminals.filter(({ file, usedAtMs }) => before.get(file) !== usedAtMs);
    before = new Map(terminals.map(({ file, usedAtMs }) => [file, usedAtMs]));
    return used;
  };
}

function terminalOf(file: string): Terminal | undefined {
  const facts = statSync(file, { throwIfNoEntry: false });
  return facts && { file, device: facts.rdev, mount: facts.dev, usedAtMs: facts.atimeMs };
}

/** So many open files of tasks are looked at in one look, which a task must not make last. */
export const MAX_FILES = 2_000;

/**
 * Tells in one look whether tasks of the grid have a terminal among themselves: what is typed there a program types. One
 * that has gone since it was looked at is nobody's any more; one that is not found in time is taken for people's.
 */
export function terminalsOfTasks(
  processes: readonly ProcessInfo[],
  tasks: ReadonlyMap<number, ProcessInfo>,
): (terminal: Terminal) => boolean {
  const mountOf = once(mountSeenBy);
  const mastersIn = once((mount: number) =>
    mastersOf([...tasks.keys()].filter((pid) => mountOf(pid) === mount)),
  );
  const byTerminal = Map.groupBy(processes, (one) => one.terminal);
  return ({ file, device, mount }) => {
    const there = byTerminal.get(device) ?? [];
    // Those of another user, who may have a container, may not be looked at.
    const hasOthers = there.some(
      ({ pid }) => !tasks.has(pid) && [mount, undefined].includes(mountOf(pid)),
    );
    if (hasOthers) return false;
    const hasTasks = there.some(({ pid }) => tasks.has(pid) && mountOf(pid) === mount);
    return hasTasks || mastersIn(mount).has(/\d+$/.exec(file)?.[0] ?? '') || !existsSync(file);
  };
}

/** Remembers what a function has given. */
function once<T>(ask: (about: number) => T): (about: number) => T {
  const known = new Map<number, T>();
  return (about) => {
    const told = known.has(about) ? (known.get(about) as T) : ask(about);
    known.set(about, told);
    return told;
  };
}

/** Of the terminals that a process sees; undefined where nobody may look. */
const mountSeenBy = (pid: number): number | undefined => {
  try {
    return statSync(`/proc/${pid}/root/dev/pts`).dev;
  } catch {
    return undefined;
  }
};

/** The numbers of the terminals of which processes have the end at which a window, or sshd, would be. */
function mastersOf(pids: readonly number[]): ReadonlySet<string> {
  const found = new Set<string>();
  let left = MAX_FILES;
  for (const [pid, fd] of openFiles(pids)) {
    if (left-- === 0) break;
    if (!linkOf(`/proc/${pid}/fd/${fd}`).endsWith('/ptmx')) continue;
    // Linux 5.4 and later say so.
    const number = /^tty-index:\s*(\d+)$/m.exec(textOf(`/proc/${pid}/fdinfo/${fd}`))?.[1];
    if (number !== undefined) found.add(number);
  }
  return found;
}

/** A process may have a million: they are listed as they are asked for. */
function* openFiles(pids: readonly number[]): Generator<readonly [pid: number, fd: string]> {
  for (const pid of pids)
    try {
      using folder = opendirSync(`/proc/${pid}/fd`);
      for (let one = folder.readSync(); one; one = folder.readSync()) yield [pid, one.name];
    } catch {
      // It has gone, or is another user's.
    }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    // There are no terminals of this kind.
    return [];
  }
}

function linkOf(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
