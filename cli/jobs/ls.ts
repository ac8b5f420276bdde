import { JOB_STATES } from '../../core/job/state.ts';
import { stateToWire } from '../../service/rpc/wire.ts';
import type { Context } from '../context.ts';
import type { Input } from '../input.ts';
import type { Palette } from '../palette.ts';
import { agoText, countsText, shorten, stateText, table } from '../render.ts';
import { type JobView, jobView } from './job-view.ts';

const PAGE = 1_000;

/** `grid ls`. */
export async function listJobs(context: Context, input: Input): Promise<number> {
  using broker = await context.openBroker();
  const wanted = input.list('state');
  const limit = input.whole('limit') ?? 20;
  const jobs: JobView[] = [];
  let pageToken = '';
  while (jobs.length < limit) {
    const page = await broker.call.listJobs(
      {
        states: JOB_STATES.filter((state) => wanted.includes(state)).map(stateToWire),
        everyone: input.on('all'),
        limit: Math.min(PAGE, limit - jobs.length),
        pageToken,
        name: input.text('name') ?? '',
      },
      { signal: context.signal },
    );
    jobs.push(...page.jobs.map(jobView));
    pageToken = page.nextPageToken;
    if (pageToken === '') break;
  }
  show(context, jobs, input.on('all'));
  if (pageToken !== '' && !context.json)
    context.terminal.note(`there are more: --limit ${limit * 5} shows them`);
  return 0;
}

/** Nothing where it would say the state once more (`cancelled CANCELLED`). */
const reasonText = ({ reason, state }: JobView, colours: Palette): string =>
  reason === '' || reason === state.toUpperCase() ? '' : colours.dim(` ${reason}`);

function show(context: Context, jobs: readonly JobView[], everyone: boolean): void {
  const { terminal, colours } = context;
  if (context.json) return terminal.out(JSON.stringify(jobs));
  if (jobs.length === 0) return terminal.note('no jobs');
  const nowMs = Date.now();
  const headings = [
    'id',
    'name',
    'state',
    'tasks',
    'site',
    'submitted',
    ...(everyone ? ['owner'] : []),
  ];
  const rows = jobs.map((job) => [
    job.id,
    shorten(job.name, 32),
    stateText(job.state, colours) + reasonText(job, colours),
    job.tasks === 1 ? '' : countsText(job.counts, job.tasks),
    shorten(job.sites.join(','), 24),
    agoText(job.submittedAtMs, nowMs),
    ...(everyone ? [job.owner] : []),
  ]);
  terminal.out(table(headings, rows, colours, terminal.columns));
}
