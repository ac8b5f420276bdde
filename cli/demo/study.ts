import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GridError } from '../../core/errors.ts';
import { isFinal } from '../../core/job/state.ts';
import { checkJobs } from '../../service/documents/check-jobs.ts';
import { readJobText } from '../../service/documents/job-file.ts';
import type { Context } from '../context.ts';
import { followJob, waitForJob } from '../jobs/follow.ts';
import { type JobDetail, readJob } from '../jobs/job-detail.ts';
import { submitJobs } from '../jobs/submit.ts';
import { countsText } from '../render.ts';
import type { Steps } from '../up/steps.ts';

/** What the study came to: the array, and the job that merged what it made. */
export interface StudyResult {
  readonly array: JobDetail;
  readonly merge: JobDetail;
}

/** Runs examples/lambda-gc through the grid of `context`; throws when a task is not done or a site had none. */
export async function runStudy(
  context: Context,
  steps: Steps,
  siteNames: readonly string[],
): Promise<StudyResult> {
  const dir = studyDir();
  using broker = await context.openBroker();
  const ids = await steps.run('study of phage lambda, 48,502 bases', async (say) => {
    say('sending inputs');
    const [array] = await submitJobs(context, broker.call, await jobFrom(dir, 'gc.yaml', {}));
    const input = { inputs: ['merge.sh', 'plot.awk', { from: `job:${array?.id}`, to: 'parts' }] };
    const [merge] = await submitJobs(context, broker.call, await jobFrom(dir, 'merge.yaml', input));
    if (array === undefined || merge === undefined)
      throw new GridError('INTERNAL', 'the broker answered without a job id');
    say(`submitted as ${array.id}, merged by ${merge.id}`);
    return { array: array.id, merge: merge.id };
  });
  const { signal } = context;
  const array = await steps.run('tasks', async (say) => {
    let ended = 0;
    for await (const event of followJob({ broker: broker.call, jobId: ids.array, signal })) {
      if (!isFinal(event.state) || event.ordinal < 0) continue;
      ended += 1;
      say(`${ended} ended`);
    }
    const detail = await readJob(context, broker, ids.array);
    say(countsText(detail.job.counts, detail.job.tasks));
    return detail;
  });
  checkArray(array, siteNames);
  const merge = await steps.run('merging', async () => {
    await waitForJob({ broker: broker.call, jobId: ids.merge, signal });
    return readJob(context, broker, ids.merge);
  });
  if (merge.job.state !== 'done')
    throw new GridError('STUDY_FAILED', `merging ended ${merge.job.state}: ${merge.job.detail}`);
  return { array, merge };
}

function checkArray({ job, tasks }: JobDetail, siteNames: readonly string[]): void {
  if (job.state !== 'done') {
    const first = tasks.find(({ state }) => state !== 'done');
    throw new GridError(
      'STUDY_FAILED',
      `${job.counts.done} of ${job.tasks} tasks are done; task ${first?.value}: ${first?.reason} ${first?.detail}`,
    );
  }
  const idle = siteNames.filter((site) => !tasks.some((task) => task.site === site));
  if (idle.length > 0) throw new GridError('STUDY_FAILED', `no task ran at ${idle.join(', ')}`);
}

async function jobFrom(
  dir: string,
  name: string,
  changes: Readonly<Record<string, unknown>>,
): ReturnType<typeof checkJobs> {
  const text = readFileSync(join(dir, name), 'utf8');
  const written = readJobText({ name, text, base: dir });
  return checkJobs(
    written.map((job) => ({
      ...job,
      raw: { ...(job.raw as Record<string, unknown>), ...changes },
    })),
  );
}

/** In a checkout, and in an installed package one folder further up. */
function studyDir(): string {
  const places = ['../../examples/lambda-gc', '../../../examples/lambda-gc'];
  const found = places
    .map((place) => fileURLToPath(new URL(place, import.meta.url)))
    .find(existsSync);
  if (found === undefined)
    throw new GridError('INTERNAL', 'examples/lambda-gc of this installation is gone');
  return found;
}
