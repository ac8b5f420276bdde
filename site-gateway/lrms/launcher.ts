import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GridError } from '../../core/errors.ts';
import { pause } from '../../service/background.ts';
import type { Log } from '../../service/log.ts';
import { wordsAs } from '../accounts/account.ts';
import type { LrmsTask } from './lrms.ts';
import { MARK_VARIABLE } from './process-tree.ts';
import { quote } from './shell-word.ts';
import { keyOfStat, type ProcessKey } from './task-files.ts';
import { TASK_WRAPPER } from './task-wrapper.ts';

/**
 * Starts tasks by way of small shells that wait for orders on their standard input. To fork a gateway of 150 MB costs
 * it four milliseconds in which it does nothing else; to fork a shell costs a tenth of that, elsewhere. One shell per
 * set of CPUs: it is bound to them once and its tasks inherit that. A shell has no state: at the end of its input it
 * goes, and the tasks, which are in sessions of their own, stay.
 */
export interface Launcher extends Disposable {
  /** Gives the order; `onStarted` and `onEnded` follow. */
  launch(task: LrmsTask, bounds: TaskBounds): void;
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
  /** Directory for the wrapper's text. */
  readonly spool: string;
  readonly log: Log;
  /** The task is about to run. */
  readonly onStarted: (id: string, wrapper: ProcessKey | undefined) => void;
  /** Its wrapper has come to its end. */
  readonly onEnded: (id: string) => void;
}

/** Shells that are kept for sets of CPUs; beyond, the one that was used longest ago goes. */
const MAX_SHELLS = 64;
const SHELL = '/bin/sh';
const NAME = 'grid-launcher';
/** The whole of what a shell knows; programs that a launch needs are named by path, PATH is the task's own. */
const SHELL_ENV = { PATH: '/usr/bin:/bin' };

export async function openLauncher(options: LauncherOptions): Promise<Launcher> {
  const setsid = findTool('setsid');
  const wrapper = join(options.spool, 'task-wrapper');
  await launchersGone(options.spool, wrapper);
  // A running shell reads its text bit by bit: never write into the old file.
  await writeFile(`${wrapper}.new`, TASK_WRAPPER);
  await rename(`${wrapper}.new`, wrapper);
  const prefix = `${setsid} ${SHELL} ${quote(wrapper)}`;
  const shells = new Map<string, ChildProcess>();
  const shellFor = (cpuSet: string): ChildProcess => {
    const known = shells.get(cpuSet);
    shells.delete(cpuSet);
    const shell =
      known ?? openShell(cpuSet, options, (gone) => drop(shells, cpuSet, gone, options.log));
    shells.set(cpuSet, shell);
    const oldest = [...shells][0];
    if (shells.size > MAX_SHELLS && oldest !== undefined) {
      shells.delete(oldest[0]);
      oldest[1].stdin?.end();
    }
    return shell;
  };
  return {
    launch: (task, bounds) => {
      shellFor(bounds.cpuSet ?? '').stdin?.write(orderFor(task, bounds, prefix));
    },
    [Symbol.dispose]: () => {
      for (const shell of shells.values()) shell.stdin?.end();
      shells.clear();
    },
  };
}

/** One command of the shell; a second fork makes init the parent, so that the shell keeps no list of children. */
function orderFor(task: LrmsTask, { groups, words: before }: TaskBounds, prefix: string): string {
  const variables = { ...task.env, [MARK_VARIABLE]: task.directory };
  const env = Object.entries(variables).map(([name, value]) => `${name}=${quote(value)}`);
  const { account } = task;
  // The account opens standard input itself, with its own rights.
  const stdin = account === undefined ? task.stdin : '/dev/null';
  const asAccount = account === undefined ? [] : wordsAs(account, task.stdin);
  const all = [task.directory, stdin, groups.join(' '), ...before, ...asAccount, ...task.command];
  const words = all.map(quote);
  return `( ${env.join(' ')} ${prefix} ${words.join(' ')} </dev/null & )\n`;
}

function openShell(
  cpuSet: string,
  options: LauncherOptions,
  onGone: (shell: ChildProcess) => void,
): ChildProcess {
  const words = ['-s', NAME, options.spool];
  const [program, ...argv] =
    cpuSet === '' ? [SHELL, ...words] : [findTool('taskset'), '-c', cpuSet, SHELL, ...words];
  const shell = spawn(program, argv, {
    cwd: '/',
    detached: true,
    env: SHELL_ENV,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  let rest = '';
  shell.stdout?.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const [what, id = '', ...stat] = line.split(' ');
      if (what === 's') options.onStarted(id, keyOfStat(stat.join(' ')));
      else if (what === 'e') options.onEnded(id);
    }
  });
  shell.stdin?.on('error', (error) => options.log.warn({ err: error }, 'launcher went away'));
  shell.once('error', (error) => {
    options.log.error({ err: error }, 'launcher could not be started');
    onGone(shell);
  });
  shell.once('exit', () => onGone(shell));
  return shell;
}

/** The next launch makes a new one; a launch that was lost is found by the sweep of the one who ordered it. */
function drop(
  shells: Map<string, ChildProcess>,
  cpuSet: string,
  gone: ChildProcess,
  log: Log,
): void {
  if (shells.get(cpuSet) !== gone) return;
  log.warn({ cpuSet }, 'launcher ended on its own');
  shells.delete(cpuSet);
}

/** Full path of a program that every Linux has; throws TOOL_MISSING. */
function findTool(name: 'setsid' | 'taskset'): string {
  const found = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'].find((folder) =>
    existsSync(join(folder, name)),
  );
  if (found === undefined)
    throw new GridError('TOOL_MISSING', `${name} is not installed (package util-linux)`);
  return join(found, name);
}

/**
 * Waits until the shells of an earlier run have carried out what they were told, and what they started has passed its
 * fence: until then a task that nobody has begun may still begin by itself.
 */
async function launchersGone(spool: string, wrapper: string): Promise<void> {
  const isBusy = (pid: string): boolean => {
    const words = commandLine(pid);
    if (words.includes(NAME) && words.includes(spool)) return true;
    const at = words.indexOf(wrapper);
    return at >= 0 && !existsSync(join(words[at + 1] ?? '', 'started'));
  };
  const isAnyBusy = (): boolean =>
    readdirSync('/proc').some((name) => /^\d+$/.test(name) && isBusy(name));
  for (let tries = 0; isAnyBusy() && tries < 200; tries += 1) await pause(50);
}

function commandLine(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
