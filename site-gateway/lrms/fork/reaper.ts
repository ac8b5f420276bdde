import { pause } from '../../../service/background.ts';
import type { Log } from '../../../service/log.ts';
import { isKeeper, type ProcessInfo, type ProcessTable, sendSignal } from '../process-tree.ts';
import type { TaskGroups } from '../sandbox/cgroups.ts';
import { type ForkTask, restOf } from './fork-task.ts';

/** Ends what ended tasks left behind. */
export interface Reaper {
  /** Kills all that is left of a task whose wrapper has ended; gives the names of what it had to kill. */
  reap(entry: ForkTask): Promise<readonly string[]>;
}

interface Request {
  readonly entry: ForkTask;
  readonly found: Map<number, string>;
  readonly resolve: (names: readonly string[]) => void;
}

/** Tasks that end within this time share one look at /proc. */
const BATCH_MS = 25;
const BETWEEN_ROUNDS_MS = 5;
/** About two seconds; what is still there then is stuck in the kernel. */
const MAX_ROUNDS = 400;

export function openReaper(scan: ProcessTable, groups: TaskGroups, log: Log): Reaper {
  let waiting: Request[] = [];
  const run = async (): Promise<void> => {
    await pause(BATCH_MS);
    let batch = waiting;
    waiting = [];
    for (let round = 0; batch.length > 0; round += 1) {
      if (round > 0) await pause(BETWEEN_ROUNDS_MS);
      const processes = scan(batch.map(({ entry }) => entry.youngerThan));
      batch = killRound(batch, processes, groups, round >= MAX_ROUNDS ? log : undefined);
    }
  };
  return {
    reap: (entry) =>
      new Promise((resolve, reject) => {
        waiting.push({ entry, found: new Map(), resolve });
        if (waiting.length === 1) run().catch(reject);
      }),
  };
}

/** Kills what is there; gives the requests for which something was. With `giveUp` they are answered all the same. */
function killRound(
  batch: readonly Request[],
  processes: readonly ProcessInfo[],
  groups: TaskGroups,
  giveUp: Log | undefined,
): Request[] {
  const again: Request[] = [];
  for (const request of batch) {
    // The wrapper itself goes, or waits for its next task, and is not counted as left behind.
    const tree = restOf(request.entry, groups, processes);
    for (const one of tree) if (!isKeeper(one)) request.found.set(one.pid, one.name);
    groups.kill(request.entry.task.id);
    sendSignal(tree, 'SIGKILL');
    if (tree.length > 0 && giveUp === undefined) again.push(request);
    else request.resolve([...request.found.values()]);
    if (tree.length > 0)
      giveUp?.error({ id: request.entry.task.id, tree }, 'processes cannot be ended');
  }
  return again;
}
