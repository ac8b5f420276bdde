import { isFinal } from '../../core/job/state.ts';
import { pause } from '../../service/background.ts';
import type { Context } from '../context.ts';
import { openBar } from '../progress.ts';
import { type FollowOptions, summaryOf } from './follow.ts';

const LOOK_MS = 2_000;

/**
 * Says on a terminal how far a job is until `signal` aborts: a bar of its tasks, or each new state of a single one. What
 * is asked in vain is not told: whoever waits for the job tells that.
 */
export async function showWaiting(
  context: Context,
  options: FollowOptions,
  lookMs = LOOK_MS,
): Promise<void> {
  if (!context.terminal.showsProgress) return;
  const { jobId, signal } = options;
  const bar = await openBar(context, jobId, String);
  let told = '';
  try {
    for (;;) {
      await pause(lookMs, signal);
      const { tasks, counts, state, sites } = await summaryOf(options);
      if (isFinal(state)) return;
      const where = sites.length === 0 ? '' : ` at ${sites.join(', ')}`;
      if (tasks > 1) bar.update(counts.done + counts.failed + counts.cancelled, tasks);
      else if (state !== told) context.terminal.note(`${jobId} is ${state}${where}`);
      told = state;
    }
  } catch {
    // Aborted, or the broker is away.
  } finally {
    bar.stop();
  }
}
