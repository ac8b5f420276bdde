import { type ChildProcess, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { GridError } from '../../../core/errors.ts';
import { background } from '../../../service/background.ts';
import type { Log } from '../../../service/log.ts';
import { wordsAs } from '../../accounts/account.ts';
import type { LrmsTask } from '../lrms.ts';
import { MARK_VARIABLE } from '../process-tree.ts';
import { quote } from '../shell-word.ts';
import { becoming, becomingBehind } from '../task-environment.ts';
import { type StatusFile, startOf, statusOf, type TaskStart } from '../task-files.ts';
import { TASK_WRAPPER } from '../task-wrapper.ts';
import { LAUNCHER_NAME } from './left-launchers.ts';
import { setLowest } from './lowest-priority.ts';
import { subreaperWords, systemProgram } from './subreaper.ts';

/**
 * Starts tasks by way of shells that wait for orders on their standard input: to fork a gateway of 150 MB costs it some
 * milliseconds in which it does nothing else, and each program that is executed one more. A shell has one task at a time and
 * is used again for the next that is bound to the same CPUs, if the one before left nothing behind. At the end of its input
 * it goes, but not before its task has ended: it is in a session of its own.
 */
export interface Launcher extends Disposable {
  /** Gives the order; `onStarted` and `onEnded` follow. */
  launch(task: LrmsTask, bounds: TaskBounds): void;
  /** The task is over; its shell is used again only if `isClean`: it came to its end, and no other process was left. */
  release(id: string, isClean: boolean): void;
}

/** What holds a task. */
interface TaskBounds {
  /** As taskset reads it, or undefined for all. */
  readonly cpuSet: string | undefined;
  /** Files by which it joins its control group. */
  readonly groups: readonly string[];
  /** Go before its own. */
  readonly words: readonly string[];
}

export interface LauncherOptions {
  readonly spool: string;
  /** Whether tasks get the lowest priority. */
  readonly isLowest: boolean;
  readonly log: Log;
  /** The task is about to run. */
  readonly onStarted: (id: string, start: TaskStart | undefined) => void;
  /** The shell with this pid has come to the end of it; `status` is what it also wrote down, if the task ran. */
  readonly onEnded: (id: string, pid: number, status: StatusFile | undefined) => void;
}

interface TaskShell {
  readonly process: ChildProcess;
  readonly cpuSet: string;
  /** The task that it was given last has come to its end. */
  rests: boolean;
  idleSinceMs: number;
  /** What its tasks have used so far. */
  cpuMs: number;
}

/** Shells that are kept for later tasks, and for how long. */
const MAX_IDLE = 64;
const IDLE_MS = 60_000;
const SHELL = '/bin/sh';
/** The whole of what a shell knows; programs that a launch needs are named by path, PATH is the task's own. */
const SHELL_ENV = { PATH: '/usr/bin:/bin' };

export async function openLauncher(options: LauncherOptions): Promise<Launcher> {
  const subreaper = await subreaperWords(options.log);
  const busy = new Map<string, TaskShell>();
  let idle: TaskShell[] = [];
  const dismiss = (shell: TaskShell | undefined): void => {
    shell?.process.stdin?.end();
  };
  const open = (cpuSet: string): TaskShell => {
    const shell = openShell(cpuSet, subreaper, options, () => {
      idle = idle.filter((one) => one !== shell);
    });
    return shell;
  };
  const trim = setInterval(() => {
    const before = performance.now() - IDLE_MS;
    for (const shell of idle) if (shell.idleSinceMs < before) dismiss(shell);
    idle = idle.filter(({ idleSinceMs }) => idleSinceMs >= before);
  }, IDLE_MS / 2).unref();
  return {
    launch: (task, bounds) => {
      // Of an order that was lost.
      dismiss(busy.get(task.id));
      const cpuSet = bounds.cpuSet ?? '';
      const at = idle.findLastIndex((one) => one.cpuSet === cpuSet);
      const shell = at < 0 ? open(cpuSet) : (idle.splice(at, 1)[0] ?? open(cpuSet));
      shell.rests = false;
      busy.set(task.id, shell);
      shell.process.stdin?.write(orderFor(task, bounds, shell.cpuMs));
    },
    release: (id, isClean) => {
      const shell = busy.get(id);
      if (shell === undefined) return;
      busy.delete(id);
      if (!isClean || !shell.rests || hasEnded(shell)) dismiss(shell);
      else {
        shell.idleSinceMs = performance.now();
        idle.push(shell);
        if (idle.length > MAX_IDLE) dismiss(idle.shift());
      }
    },
    [Symbol.dispose]: () => {
      clearInterval(trim);
      for (const shell of [...busy.values(), ...idle]) {
        dismiss(shell);
        letGo(shell);
      }
      busy.clear();
      idle = [];
    },
  };
}

/** Its task outlives the gateway, which does not wait for it. */
function letGo({ process: child }: TaskShell): void {
  child.unref();
  for (const pipe of [child.stdin, child.stdout]) if (pipe instanceof Socket) pipe.unref();
}

const hasEnded = ({ process: { exitCode, signalCode } }: TaskShell): boolean =>
  exitCode !== null || signalCode !== null;

/** Commands of the shell; all of a task's own is in single quotes. */
function orderFor(
  task: LrmsTask,
  { groups, words: before }: TaskBounds,
  earlierCpuMs: number,
): string {
  const { account, directory } = task;
  const mark = { [MARK_VARIABLE]: directory };
  const program = { command: task.command, env: { ...task.env, ...mark } };
  const own = quote(directory);
  // The account opens standard input itself, with its own rights.
  const stdin = account === undefined ? task.stdin : '/dev/null';
  const asAccount = account === undefined ? [] : wordsAs(account, task.stdin);
  const first = [...before, ...asAccount];
  const become = first.length === 0 ? becoming(program) : becomingBehind(first, program, mark);
  // Bubblewrap says there whether it began.
  const confined = before.length > 0 ? ` 5>${own}/confined` : '';
  const enter = `_grid_enter ${own} ${quote(stdin)} ${quote(groups.join(' '))}`;
  const run = `( ${enter}; ${become}${confined} )`;
  return `{ _grid_open ${own} ${earlierCpuMs} && { ${run}; _grid_code=$?; }; } 3>>${own}/stdout 4>>${own}/stderr
_grid_close ${own}\n`;
}

/** `subreaper` are words that go before the shell's. */
function openShell(
  cpuSet: string,
  subreaper: readonly string[],
  options: LauncherOptions,
  onGone: () => void,
): TaskShell {
  const bound = cpuSet === '' ? [] : [findTaskset(), '-c', cpuSet];
  const words = [...bound, ...subreaper, SHELL, '-s', LAUNCHER_NAME, options.spool];
  const [program = SHELL, ...argv] = words;
  const child = spawn(program, argv, {
    cwd: '/',
    detached: true,
    env: SHELL_ENV,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  if (options.isLowest && child.pid !== undefined)
    background('lower the priority of tasks', setLowest(child.pid), options.log);
  const shell: TaskShell = { process: child, cpuSet, rests: true, idleSinceMs: 0, cpuMs: 0 };
  const hear = readReports({
    onStarted: options.onStarted,
    onEnded: (id, status) => {
      shell.rests = true;
      shell.cpuMs = status?.cpuMs ?? shell.cpuMs;
      options.onEnded(id, child.pid ?? 0, status);
    },
  });
  child.stdout?.setEncoding('utf8').on('data', hear);
  child.stdin?.on('error', (error) => options.log.debug({ err: error }, 'a task shell is gone'));
  child.once('error', (error) => {
    options.log.error({ err: error }, 'a task shell could not be started');
    onGone();
  });
  // Its task, if it had one, is found by the sweep of the one who ordered it.
  child.once('exit', onGone);
  child.stdin?.write(TASK_WRAPPER);
  return shell;
}

interface Reports extends Pick<LauncherOptions, 'onStarted'> {
  readonly onEnded: (id: string, status: StatusFile | undefined) => void;
}

/** Reads what a shell says, in whatever pieces it comes (task-wrapper.ts). */
function readReports({ onStarted, onEnded }: Reports): (text: string) => void {
  let rest = '';
  let times = '';
  return (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const [what, id = '', ...words] = line.split(' ');
      const said = words.join(' ');
      if (what === 's') onStarted(id, startOf(said));
      else if (what === 'e') onEnded(id, said === '' ? undefined : statusOf(said, times));
      else times = line;
    }
  };
}

/** Throws TOOL_MISSING: every Linux has it. */
function findTaskset(): string {
  const found = systemProgram('taskset');
  if (found === undefined)
    throw new GridError('TOOL_MISSING', 'taskset is not installed (package util-linux)');
  return found;
}
