import { pause } from '../../../service/background.ts';
import { submitJobs, wireSpec } from '../../support/jobs.ts';
import { eventually } from '../../support/local-grid.ts';
import type { Measurement } from '../figure.ts';
import { rounded } from '../statistics.ts';
import { type SlurmGrid, startSlurmGrid } from './slurm-grid.ts';

const TASKS = 1_000;
const FEW = 10;
/** Of the cluster; what is more waits in its queue. A thousand at once are more than this machine runs. */
const CPUS = 100;
const MINUTE_MS = 60_000;

/** Commands that the gateway runs in a minute in which so many tasks run or wait in Slurm's queue. */
export async function lrmsLoad(): Promise<Measurement> {
  const size = { nodes: 2, cpus: CPUS / 2, memoryMb: 100_000 };
  await using world = await startSlurmGrid(size, TASKS);
  const few = await commandsInAMinute(world, FEW);
  const many = await commandsInAMinute(world, TASKS);
  return {
    value: rounded(many / (MINUTE_MS / 1_000)),
    unit: '/s',
    context: {
      cpus: CPUS,
      [`in a minute with ${FEW} tasks`]: few,
      [`in a minute with ${TASKS} tasks`]: many,
    },
  };
}

async function commandsInAMinute(world: SlurmGrid, tasks: number): Promise<number> {
  using connection = await world.grid.broker();
  const broker = connection.call;
  const array = { first: 1, last: tasks, step: 1, values: [] };
  const [jobId = ''] = await submitJobs(broker, [wireSpec(['sleep', '600'], { array })]);
  const queued = async (): Promise<number> => {
    const ids = await world.cluster.run('squeue', '-h', '-r', '-o', '%i');
    return ids.split('\n').length - 1;
  };
  await eventually(`${tasks} tasks in the queue`, 120_000, async () =>
    (await queued().catch(() => 0)) === tasks ? true : undefined,
  );
  const before = world.commands().length;
  await pause(MINUTE_MS);
  const ran = world.commands().length - before;
  if ((await queued()) !== tasks) throw new Error(`not all ${tasks} tasks stayed for a minute`);
  await broker.cancelJobs({ jobIds: [jobId], reason: '' });
  await eventually('an empty queue', 120_000, async () =>
    (await world.cluster.run('squeue', '-h').catch(() => '?')).trim() === '' ? true : undefined,
  );
  return ran;
}
