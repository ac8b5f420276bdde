import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { attemptId } from '../../core/ids.ts';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import type { Account } from '../../site-gateway/accounts/account.ts';
import { openBatchLrms } from '../../site-gateway/lrms/batch/batch.ts';
import type { BatchSystem } from '../../site-gateway/lrms/batch/batch-system.ts';
import type { Lrms, LrmsTask, TaskEnd } from '../../site-gateway/lrms/lrms.ts';
import { until } from './daemons.ts';

export const SOON = { timeout: 120_000, interval: 100 };

/** The LRMS port on a batch system, as a gateway has it, in a directory that is its spool. */
export interface Port extends AsyncDisposable {
  readonly lrms: Lrms;
  readonly ends: ReadonlyMap<string, TaskEnd>;
  /** `ID: WHY` for each task that stands still since, `ID: ` where it goes on. */
  readonly suspensions: readonly string[];
  /** Why it took no tasks, each time that this changed; '' where it took them. */
  readonly closedReasons: readonly string[];
  /** Queues a task of one CPU; its script appends its id to `ran` first. */
  submit(id: string, script: string, part?: Partial<LrmsTask>): LrmsTask;
  begun(id: string): Promise<void>;
  endOf(id: string): Promise<TaskEnd | undefined>;
}

export async function openPort(
  system: BatchSystem,
  dir: string,
  accounts: readonly Account[] = [],
  pollMs = 500,
): Promise<Port> {
  const started: string[] = [];
  const ends = new Map<string, TaskEnd>();
  const suspensions: string[] = [];
  const closedReasons: string[] = [];
  const opened: { lrms?: Lrms } = {};
  const lrms = await openBatchLrms({
    system,
    spool: dir,
    accounts,
    clock: systemClock,
    log: openLog('test', 'silent'),
    listener: {
      started: (id) => started.push(id),
      ended: (id, end) => ends.set(id, end),
      suspended: (id, _, why) => suspensions.push(`${id}: ${why}`),
      changed: () => closedReasons.push(opened.lrms?.state().closedReason ?? ''),
    },
    pollMs,
  });
  opened.lrms = lrms;
  return {
    lrms,
    ends,
    suspensions,
    closedReasons,
    submit: (id, script, part) => {
      const task = taskIn(dir, id, script, part);
      lrms.submit(task);
      return task;
    },
    begun: (id) => until(`${id} has begun`, async () => started.includes(id), SOON.timeout),
    endOf: async (id) => {
      await until(`${id} has ended`, async () => ends.has(id), SOON.timeout);
      return ends.get(id);
    },
    [Symbol.asyncDispose]: () => lrms[Symbol.asyncDispose](),
  };
}

function taskIn(dir: string, id: string, script: string, part: Partial<LrmsTask> = {}): LrmsTask {
  const directory = join(dir, 'attempts', id);
  for (const own of ['work', 'tmp']) mkdirSync(join(directory, own), { recursive: true });
  return {
    id: attemptId(id),
    directory,
    command: ['sh', '-c', `echo ${id} >>${dir}/ran; ${script}`],
    env: { PATH: '/usr/bin:/bin' },
    stdin: '/dev/null',
    nodes: 1,
    gpus: 0,
    cpus: 1,
    memoryBytes: 2 ** 26,
    walltimeMs: 300_000,
    sandbox: 'account',
    network: 'any',
    ...part,
  };
}
