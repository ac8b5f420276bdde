import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
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

/**
 * Whether tasks of the grid have a terminal among themselves: what is typed there a program types. One that has gone since
 * it was looked at is nobody's any more.
 */
export function isOfTasks(
  terminal: Terminal,
  processes: readonly ProcessInfo[],
  tasks: ReadonlyMap<number, ProcessInfo>,
): boolean {
  const isHere = (pid: number): boolean | undefined => {
    const mount = mountOf(pid);
    return mount === undefined ? undefined : mount === terminal.mount;
  };
  const isAt = (one: ProcessInfo): boolean => one.terminal === terminal.device;
  // Those of another user, who may have a container, may not be looked at.
  const hasOthers = processes.some(
    (one) => isAt(one) && !tasks.has(one.pid) && isHere(one.pid) !== false,
  );
  if (hasOthers) return false;
  const hold = (one: ProcessInfo): boolean =>
    isHere(one.pid) === true && (isAt(one) || holdsMaster(one.pid, terminal));
  return [...tasks.values()].some(hold) || !existsSync(terminal.file);
}

/** Of the terminals that a process sees; undefined where nobody may look. */
const mountOf = (pid: number): number | undefined => {
  try {
    return statSync(`/proc/${pid}/root/dev/pts`).dev;
  } catch {
    return undefined;
  }
};

/** Whether a process has the end of a terminal at which a window, or sshd, would be. */
function holdsMaster(pid: number, { file }: Terminal): boolean {
  const folder = `/proc/${pid}/fd`;
  const number = /\d+$/.exec(file)?.[0];
  return namesIn(folder).some(
    (fd) =>
      linkOf(join(folder, fd)).endsWith('/ptmx') &&
      // Linux 5.4 and later say so.
      /^tty-index:\s*(\d+)$/m.exec(textOf(`/proc/${pid}/fdinfo/${fd}`))?.[1] === number,
  );
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    // There are no terminals of this kind, or it is another user's process.
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
