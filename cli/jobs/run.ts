import { GridError } from '../../core/errors.ts';
import { taskValue } from '../../core/job/spec.ts';
import { isFinal, type JobState } from '../../core/job/state.ts';
import { counted } from '../../core/units.ts';
import type { BrokerService } from '../../proto/gen/grid/v1/broker.ts';
import type { Connection } from '../../service/rpc/grpc-client.ts';
import type { Context } from '../context.ts';
import type { Input } from '../input.ts';
import { awayNote, followJob } from './follow.ts';
import { fetchJob } from './get.ts';
import { type JobDetail, readJob } from './job-detail.ts';
import { noteIfNowhere } from './nowhere.ts';
import { readJobs } from './read-jobs.ts';
import { type SubmittedJob, submitJobs } from './submit.ts';
import { tailTask } from './tail.ts';

/** `grid run`. */
export async function runJob(context: Context, input: Input): Promise<number> {
  const jobs = await readJobs(context, input);
  if (jobs.length !== 1)
    throw new GridError(
      'USAGE',
      `\`run\` takes one job, the file has ${jobs.length}: use \`submit\``,
    );
  using broker = await context.openBroker();
  const [job] = await submitJobs(context, broker.call, jobs, input.text('submit-key'));
  if (job === undefined) throw new GridError('INTERNAL', 'the broker answered without a job id');
  context.terminal.note(`job ${job.id}`);
  try {
    await noteIfNowhere(context, broker.call, job.id);
    const show = { context, broker, job, onAway: awayNote(context.terminal.note) };
    await Promise.all([showEvents(show), ...showOutput(show)]);
    const detail = await readJob(context, broker, job.id);
    await getWhatItMade(context, broker, detail, input);
    if (context.json)
      context.terminal.out(JSON.stringify({ ...detail.job, taskList: detail.tasks }));
    return exitCodeOf(context, detail);
  } catch (error) {
    context.terminal.note(
      context.signal.aborted
        ? `job ${job.id} goes on: \`grid logs -f ${job.id}\` shows it, \`grid cancel ${job.id}\` ends it`
        : `nothing of job ${job.id} is lost: \`grid status ${job.id}\` shows it, \`grid get ${job.id}\` fetches its results`,
    );
    throw error;
  }
}

interface Show {
  readonly context: Context;
  readonly broker: Connection<BrokerService>;
  readonly job: SubmittedJob;
  readonly onAway: (away: boolean) => void;
}

/** What happens on the way; how it ends is told at the end. */
async function showEvents({ context, broker, job, onAway }: Show): Promise<void> {
  const { signal, terminal } = context;
  const options = { broker: broker.call, jobId: job.id, signal, onAway };
  for await (const { state, ordinal, site, reason, detail } of followJob(options)) {
    if (ordinal < 0 || isFinal(state) || (!TOLD.has(state) && reason === '')) continue;
    const task = job.spec.array === undefined ? '' : `task ${taskValue(job.spec, ordinal)} `;
    const where = site === '' ? '' : ` at ${site}`;
    terminal.note(`${task}${state}${where}${reason === '' ? '' : `: ${reason} ${detail}`}`);
  }
}

/** States worth a line; the others pass too quickly to be read. */
const TOLD: ReadonlySet<JobState> = new Set(['running', 'held', 'suspended']);

/** Both streams of the only task; those of an array would run into one another. */
function showOutput({ context, broker, job, onAway }: Show): readonly Promise<void>[] {
  if (job.spec.array !== undefined || context.json) return [];
  return (['stdout', 'stderr'] as const).map(async (stream) => {
    const bytes = tailTask(context, {
      broker: broker.call,
      jobId: job.id,
      ordinal: 0,
      stream,
      vo: job.spec.vo,
      follow: true,
      onAway,
      isSilent: stream === 'stderr',
    });
    for await (const part of bytes) await context.terminal.write(stream, part);
  });
}

async function getWhatItMade(
  context: Context,
  broker: Connection<BrokerService>,
  detail: JobDetail,
  input: Input,
): Promise<void> {
  const to = input.text('to');
  const hasResults = [...detail.outputs.values()].some(({ digest }) => digest !== '');
  const wanted = to !== undefined || detail.spec.outputs.length > 0;
  if (input.on('leave') || !wanted || !hasResults) return;
  const options = { to, task: undefined, force: input.on('force'), live: false };
  const { dir, files } = await fetchJob(context, broker, detail, options);
  context.terminal.note(`${counted(files, 'file')} in ${dir}`);
}

/** The program's own; 1 where it has none to show. */
function exitCodeOf({ terminal }: Context, { job, spec, tasks }: JobDetail): number {
  if (job.state === 'done') return 0;
  const why = [job.reason, job.detail].filter((text) => text !== '').join(': ');
  terminal.note(`job ${job.id} ${job.state}${why === '' ? '' : ` (${why})`}`);
  const code = spec.array === undefined ? (tasks[0]?.exitCode ?? 0) : 0;
  return code === 0 ? 1 : code;
}
