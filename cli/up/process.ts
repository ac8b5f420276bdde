import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { GridError } from '../../core/errors.ts';
import { pause } from '../../service/background.ts';
import type { Env } from '../config.ts';

/** A program of the grid, to be started. */
export interface ProgramSpec {
  /** For messages and for the names of its log files. */
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** Its stdout and stderr go to `<logStem>.out` and `<logStem>.log`. */
  readonly logStem: string;
  /** Whether it answers; called about every 50 ms until it gives true. */
  readonly isReady: (output: string) => Promise<boolean>;
  readonly env: Env;
  /** Ends when this process does, because its stdin closes then. */
  readonly endsWithParent: boolean;
}

/** A program that runs. */
export interface Program {
  readonly name: string;
  readonly pid: number;
  /** Resolves with words for how it ended. */
  readonly ended: Promise<string>;
}

/** Most of a start is reading the programs, which a machine that does much else is slow at; one that ends is told of at once. */
const READY_TIMEOUT_MS = 120_000;
const LOG_LINES_SHOWN = 8;

/** Starts a program in a process group of its own and waits until it answers; throws UNAVAILABLE with the end of its log. */
export async function startProgram(spec: ProgramSpec, signal: AbortSignal): Promise<Program> {
  signal.throwIfAborted();
  const [program, ...args] = spec.command;
  const [out, log] = [openSync(`${spec.logStem}.out`, 'w'), openSync(`${spec.logStem}.log`, 'a')];
  const child = spawn(program, args, {
    detached: true,
    stdio: [spec.endsWithParent ? 'pipe' : 'ignore', out, log],
    env: { ...spec.env, ...(spec.endsWithParent ? { GRID_PARENT_PIPE: '1' } : {}) },
  });
  closeSync(out);
  closeSync(log);
  child.stdin?.on('error', () => undefined);
  const ended = howItEnded(child);
  const { pid } = child;
  if (pid === undefined) throw new GridError('TOOL_MISSING', `${spec.name}: ${await ended}`);
  child.unref();
  await untilReady(spec, pid, ended, signal);
  return { name: spec.name, pid, ended };
}

function howItEnded(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(`cannot be started: ${error.message}`));
    child.once('exit', (code, signal) =>
      resolve(signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`),
    );
  });
}

async function untilReady(
  spec: ProgramSpec,
  pid: number,
  ended: Promise<string>,
  signal: AbortSignal,
): Promise<void> {
  let end: string | undefined;
  ended.then(
    (how) => {
      end = how;
    },
    () => undefined,
  );
  const deadline = performance.now() + READY_TIMEOUT_MS;
  const giveUp = (why: string): GridError =>
    new GridError(
      'UNAVAILABLE',
      `${spec.name} ${why}; its log ends:\n${tailOf(`${spec.logStem}.log`)}`,
    );
  while (!(await spec.isReady(readFileSync(`${spec.logStem}.out`, 'utf8')))) {
    if (end !== undefined) throw giveUp(end);
    if (signal.aborted || performance.now() > deadline) {
      // It has served nobody yet, and every service survives a crash.
      await stopPid(pid, 1_000);
      signal.throwIfAborted();
      throw giveUp(`does not answer after ${READY_TIMEOUT_MS / 1000} s`);
    }
    await pause(50, signal);
  }
}

function tailOf(file: string): string {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  return lines
    .slice(-LOG_LINES_SHOWN)
    .map((line) => `  ${line}`)
    .join('\n');
}

/** Whether a process with this id runs; one that has ended and that nobody has asked about yet (a zombie) does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !stat.slice(stat.lastIndexOf(')')).startsWith(') Z');
  } catch {
    return false;
  }
}

/** How long the kernel may take over what it was told to kill. */
const KILLED_MS = 10_000;

/** Asks a process to stop, and ends it after `graceMs` if it has not. Does nothing if it is gone already. */
export async function stopPid(pid: number, graceMs = 6_000): Promise<void> {
  send(pid, 'SIGTERM');
  if (await isGone(pid, graceMs)) return;
  send(pid, 'SIGKILL');
  await isGone(pid, KILLED_MS);
}

/** Whether it has ended before so much time is over. */
async function isGone(pid: number, mostMs: number): Promise<boolean> {
  const deadline = performance.now() + mostMs;
  while (isAlive(pid)) {
    if (performance.now() > deadline) return false;
    await pause(20);
  }
  return true;
}

/** A process may go by itself at any moment. */
function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** The line that a service prints once it serves (service/shutdown.ts). */
export async function saysReady(output: string): Promise<boolean> {
  return output.includes('"ready":true');
}

/** Waits for the first of several programs to end. */
export async function firstEnd(programs: readonly Program[]): Promise<string> {
  return Promise.race(programs.map(async ({ name, ended }) => `${name} ${await ended}`));
}

/** Whether the command line of a process has a word that is a path below `dir`: pids are used again, and so are beginnings of paths. */
export function namesBelow(pid: number, dir: string): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return words.some((word) => word.startsWith(`${dir}/`));
  } catch {
    return false;
  }
}

/** Processes whose command line or working directory lies in `dir`, but for this one. */
export function processesBelow(dir: string): readonly number[] {
  const attempt = (read: () => string): string => {
    try {
      return read();
    } catch {
      return '';
    }
  };
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter(
      (pid) =>
        attempt(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')).includes(dir) ||
        attempt(() => readlinkSync(`/proc/${pid}/cwd`)).startsWith(dir),
    )
    .map(Number);
}

/** Ends whatever still runs in a directory that is about to go, with what that starts meanwhile, and waits for its end. */
export async function endProcessesBelow(dir: string): Promise<void> {
  const deadline = performance.now() + KILLED_MS;
  while (processesBelow(dir).filter(kill).length > 0 && performance.now() < deadline)
    await pause(20);
}

/** Whether it was there, and ours to end. */
function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}

/** The launcher of this very installation, which finds the right Node. */
export function gridProgram(): string {
  const places = ['../../bin/grid.js', '../../../bin/grid.js'];
  const found = places
    .map((place) => fileURLToPath(new URL(place, import.meta.url)))
    .find(existsSync);
  if (found === undefined)
    throw new GridError('INTERNAL', 'bin/grid.js of this installation is gone');
  return found;
}
