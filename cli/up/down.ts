import { GridError } from '../../core/errors.ts';
import { State } from '../../proto/gen/grid/v1/common.ts';
import { pause } from '../../service/background.ts';
import type { Context } from '../context.ts';
import type { Input } from '../input.ts';
import { openBroker } from './bring-up.ts';
import { type Layout, layoutOf, readPlan } from './layout.ts';
import { isRunning, stopRecorded } from './start-grid.ts';
import { openSteps } from './steps.ts';
import { gridDir } from './up.ts';

const OPEN_STATES = [
  State.STATE_QUEUED,
  State.STATE_MATCHED,
  State.STATE_STAGING_IN,
  State.STATE_SUBMITTED,
  State.STATE_RUNNING,
  State.STATE_STAGING_OUT,
  State.STATE_HELD,
  State.STATE_SUSPENDED,
];
const CANCEL_TIMEOUT_MS = 15_000;

/** `grid down`. */
export async function down(context: Context, input: Input): Promise<number> {
  const layout = layoutOf(gridDir(context, input));
  if (readPlan(layout) === undefined)
    throw new GridError('NOT_CONFIGURED', `there is no grid in ${layout.dir}`);
  if (!isRunning(layout)) {
    context.terminal.note(`the grid in ${layout.dir} does not run`);
    return 0;
  }
  const steps = openSteps(context);
  if (input.on('end-tasks'))
    await steps.run('cancelling all jobs', () => cancelAll(layout, context.signal));
  const ended = await steps.run('ending the grid', () => stopRecorded(layout));
  if (context.json) context.terminal.out(JSON.stringify({ ended }));
  return 0;
}

/** Cancels every open job and waits until no task is at a site any more, for at most 15 s. */
export async function cancelAll(layout: Layout, signal?: AbortSignal): Promise<void> {
  using broker = await openBroker({ layout });
  const options = signal === undefined ? {} : { signal };
  const deadline = performance.now() + CANCEL_TIMEOUT_MS;
  const asked = new Set<string>();
  while (performance.now() < deadline) {
    const { jobs } = await broker.call.listJobs(
      { states: OPEN_STATES, everyone: true, limit: 1_000, pageToken: '', name: '' },
      options,
    );
    if (jobs.length === 0) return;
    const fresh = jobs.map(({ id }) => id).filter((id) => !asked.has(id));
    for (const id of fresh) asked.add(id);
    if (fresh.length > 0)
      await broker.call.cancelJobs({ jobIds: fresh, reason: 'the grid is being ended' }, options);
    await pause(100, signal);
  }
}
