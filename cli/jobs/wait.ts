import { timeLimit } from '../../service/long-timer.ts';
import type { Context } from '../context.ts';
import type { Input } from '../input.ts';
import { countsText, stateText } from '../render.ts';
import { awayNote, type FollowOptions, summaryOf, waitForJob } from './follow.ts';
import type { JobView } from './job-view.ts';
import { showWaiting } from './wait-progress.ts';

/** Exit code of coreutils' `timeout`. */
export const TIMED_OUT = 124;

/** `grid wait`. One job after the other: the last to end decides in any order, and a job that has ended answers at once. */
export async function waitForJobs(context: Context, input: Input): Promise<number> {
  using broker = await context.openBroker();
  const timeoutMs = input.duration('timeout');
  const timeout = timeoutMs === undefined ? undefined : timeLimit(timeoutMs);
  const signal =
    timeout === undefined ? context.signal : AbortSignal.any([context.signal, timeout]);
  const onAway = awayNote(context.terminal.note);
  const ended: JobView[] = [];
  for (const jobId of input.args) {
    const options = { broker: broker.call, jobId, onAway };
    try {
      const job = await waitAndShow(context, { ...options, signal });
      ended.push(job);
      if (!context.json) context.terminal.out(lineOf(context, job));
    } catch (error) {
      if (timeout?.aborted !== true || context.signal.aborted) throw error;
      const job = await summaryOf({ ...options, signal: context.signal });
      context.terminal.note(`${jobId} is still ${job.state}: the time is over`);
      if (context.json) context.terminal.out(JSON.stringify([...ended, job]));
      return TIMED_OUT;
    }
  }
  if (context.json) context.terminal.out(JSON.stringify(ended));
  return ended.every(({ state }) => state === 'done') ? 0 : 1;
}

async function waitAndShow(context: Context, options: FollowOptions): Promise<JobView> {
  const over = new AbortController();
  const signal = AbortSignal.any([options.signal, over.signal]);
  const shown = showWaiting(context, { ...options, signal });
  try {
    return await waitForJob(options);
  } finally {
    over.abort();
    await shown;
  }
}

function lineOf({ colours }: Context, job: JobView): string {
  const counts = job.tasks === 1 ? '' : ` ${countsText(job.counts, job.tasks)}`;
  const why = [job.reason, job.detail].filter((text) => text !== '').join(': ');
  return `${job.id} ${stateText(job.state, colours)}${counts}${why === '' ? '' : ` (${why})`}`;
}
