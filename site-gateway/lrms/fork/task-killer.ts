import { pause } from '../../../service/background.ts';
import type { Clock } from '../../../service/clock.ts';
import {
  isAlive,
  isKeeper,
  type ProcessInfo,
  type ProcessTable,
  sendSignal,
} from '../process-tree.ts';
import type { TaskGroups } from '../sandbox/cgroups.ts';
import { fenceOff } from '../task-files.ts';
import { type ForkTask, restOf } from './fork-task.ts';

export interface TaskKillerOptions {
  readonly scan: ProcessTable;
  readonly groups: TaskGroups;
  readonly clock: Clock;
  readonly isClosed: () => boolean;
}

/**
 * Ends a task: TERM, and KILL after `graceMs`, until its wrapper has come to its end. One that has not begun never will, and
 * `onNever` says so.
 */
export type TaskKiller = (entry: ForkTask, graceMs: number, onNever: () => void) => Promise<void>;

const LAUNCH_POLL_MS = 10;
const ROUND_MS = 50;
/** Rounds of KILL after which the wrapper, which is spared so that it can write the status, is ended too. */
const SPARED_ROUNDS = 20;

export function openTaskKiller({ scan, groups, clock, isClosed }: TaskKillerOptions): TaskKiller {
  return async (entry, graceMs, onNever) => {
    // A wrapper that is just starting does not yet know what to do about a signal; it says in a moment that it has begun.
    while (entry.state === 'launched' && !isClosed()) {
      if (await fenceOff(entry.task.directory)) return onNever();
      await pause(LAUNCH_POLL_MS);
    }
    const begunAtMs = clock.monotonicMs();
    const over = (): boolean => entry.state === 'ending' || isClosed();
    let heard = false;
    while (!over() && clock.monotonicMs() - begunAtMs < graceMs) {
      // A sandbox that is being set up has nobody in it yet who could hear.
      if (!heard) heard = askToEnd(restOf(entry, groups, scan()).filter((one) => !isKeeper(one)));
      await pause(ROUND_MS);
    }
    for (let round = 0; !over(); round += 1) {
      groups.kill(entry.task.id);
      sendSignal(restOf(entry, groups, scan()), 'SIGKILL');
      if (round >= SPARED_ROUNDS && entry.wrapper !== undefined && isAlive(entry.wrapper))
        sendSignal([entry.wrapper], 'SIGKILL');
      await pause(ROUND_MS);
    }
  };
}

function askToEnd(tree: readonly ProcessInfo[]): boolean {
  sendSignal(tree, 'SIGTERM');
  sendSignal(tree, 'SIGCONT');
  return tree.length > 0;
}
