import { formatDependency } from '../../core/job/dependency.ts';
import { formatRanges, type TaskRange } from '../../core/job/ranges.ts';
import { REMEDIES } from '../../core/job/reasons.ts';
import { datasetInputs } from '../../core/job/spec.ts';
import { JOB_STATES } from '../../core/job/state.ts';
import { counted, formatBytes, formatDuration } from '../../core/units.ts';
import type { BrokerService } from '../../proto/gen/grid/v1/broker.ts';
import type { Connection } from '../../service/rpc/grpc-client.ts';
import { specFromWire, stateFromWire } from '../../service/rpc/wire.ts';
import type { Context } from '../context.ts';
import { argument, type Input } from '../input.ts';
import type { Palette } from '../palette.ts';
import { agoText, countsText, facts, instantText, shorten, stateText, table } from '../render.ts';
import { type JobDetail, readJob, removalIn, removedText } from './job-detail.ts';
import { type JobView, jobView, type TaskView, taskView } from './job-view.ts';
import { writeSpec } from './write-spec.ts';

/** The same with its ranges, where it is an array. */
interface StatusDetail extends JobDetail {
  readonly ranges?: readonly TaskRange[];
}

const NO_TREES: Pick<JobDetail, 'outputs' | 'live'> = { outputs: new Map(), live: new Map() };
/** Tasks of an array that are shown without `--tasks`, and ranges in one state. */
const MOST = { tasks: 10, ranges: 8 };

/** `grid status`. */
export async function showStatus(context: Context, input: Input): Promise<number> {
  if (input.on('snakemake'))
    return (await import('../snakemake/status.ts')).tellSnakemake(context, argument(input, 0));
  using broker = await context.openBroker();
  const detail = await readStatus(context, broker, argument(input, 0), input.on('tasks'));
  const { job, spec, tasks, ranges, resultsRemoved } = detail;
  if (context.json) {
    const gone = resultsRemoved === undefined ? {} : { resultsRemoved };
    const view = { ...job, spec: writeSpec(spec), taskList: tasks, ...gone };
    context.terminal.out(JSON.stringify(ranges === undefined ? view : { ...view, ranges }));
    return 0;
  }
  context.terminal.out(factsOf(context, detail));
  if (ranges !== undefined && tasks.length > 0)
    context.terminal.out(`\n${tasksTable(context, tasks)}`);
  return 0;
}

/** A job with its ranges where it is an array, and with the telling ones of its tasks or with all. */
async function readStatus(
  context: Context,
  broker: Connection<BrokerService>,
  jobId: string,
  all: boolean,
): Promise<StatusDetail> {
  const { signal } = context;
  const first = { jobId, summaryOnly: false, firstTask: 0, maxTasks: 1 };
  const page = await broker.call.getJob(first, { signal });
  const spec = specFromWire(page.spec);
  const job = jobView(page.summary);
  const known = { job, spec, ...NO_TREES, ...removalIn(page) };
  if (spec.array === undefined) return { ...known, tasks: page.tasks.map(taskView) };
  const wish = { jobId, maxTelling: all ? 0 : MOST.tasks };
  const { ranges, telling } = await broker.call.listTaskRanges(wish, { signal });
  const tasks = all ? (await readJob(context, broker, jobId)).tasks : telling.map(taskView);
  return {
    ...known,
    tasks,
    ranges: ranges.map(({ state, ...range }) => ({ state: stateFromWire(state), ...range })),
  };
}

function factsOf(context: Context, detail: StatusDetail): string {
  const { job, spec, tasks } = detail;
  const { colours } = context;
  const nowMs = Date.now();
  const { cpus, memoryBytes, gpus, gpuModel, nodes, walltimeMs, diskBytes, licences } =
    spec.resources;
  const needs = [
    counted(cpus, 'core'),
    formatBytes(memoryBytes),
    ...(gpus > 0 ? [`${gpus} GPUs${gpuModel === '' ? '' : ` (${gpuModel})`}`] : []),
    ...(diskBytes > 0 ? [`${formatBytes(diskBytes)} of disk`] : []),
    ...Object.entries(licences).map(([name, count]) => `${count} of licence ${name}`),
    ...(nodes > 1 ? [`${nodes} nodes`] : []),
    `${formatDuration(walltimeMs)} at most`,
  ].join(', ');
  const why = [job.reason, job.detail].filter((text) => text !== '').join(': ');
  return facts(
    [
      ['job', `${colours.strong(job.id)} ${job.name}`],
      ['state', stateText(job.state, colours) + (why === '' ? '' : ` (${why})`)],
      ['to do', toDo(job)],
      ['tasks', tasksText(detail, colours)],
      ['command', shorten(spec.command.join(' '), Math.max(40, context.terminal.columns - 12))],
      ['needs', needs],
      ['datasets', datasetsText(spec)],
      ['owner', `${job.owner}${job.vo === '' ? '' : ` (${job.vo})`}`],
      ['submitted', `${instantText(job.submittedAtMs)} (${agoText(job.submittedAtMs, nowMs)})`],
      ['ended', instantText(job.endedAtMs)],
      ['sites', job.sites.join(', ')],
      ['results', removedText(detail)],
      ...(spec.array === undefined && tasks[0] !== undefined
        ? taskFacts(job.id, tasks[0], nowMs)
        : []),
      ['flow', job.flowId === '' ? '' : `${job.flowId} (${job.flowNode})`],
      ['after', spec.after.map(formatDependency).join(', ')],
    ],
    colours,
  );
}

/** Each with the version that the job has, and its place: `grid:/demo/hg38@v2=ref`. */
const datasetsText = (spec: StatusDetail['spec']): string =>
  datasetInputs(spec)
    .map(({ from, to }) => `${from}=${to}`)
    .join(', ');

const toDo = ({ state, reason, id }: JobView): string =>
  state === 'held' ? (REMEDIES[reason] ?? '').replaceAll('ID', id) : '';

const taskFacts = (
  jobId: string,
  task: TaskView,
  nowMs: number,
): readonly (readonly [string, string])[] => [
  ['ran', ranText(task, nowMs)],
  ['exit', exitText(task)],
  ['attempts', task.attempts > 1 ? `${task.attempts}: why, says grid job events ${jobId}` : ''],
  ['used', usedText(task)],
  ['so far', liveText(task, nowMs)],
];

function liveText({ live, attemptId }: TaskView, nowMs: number): string {
  if (live === undefined) return '';
  const { files, totalBytes, atMs, site, trouble } = live;
  const from = live.attemptId === attemptId ? '' : ` by ${live.attemptId} at ${site}`;
  const count = counted(files, 'file');
  const there =
    files === 0
      ? 'nothing yet'
      : `${count}, ${formatBytes(totalBytes)}, ${agoText(atMs, nowMs)}${from}: grid get --live`;
  return trouble === '' ? there : `${there}; nothing newer: ${trouble}`;
}

const ranText = ({ startedAtMs, endedAtMs }: TaskView, nowMs: number): string =>
  startedAtMs === 0 ? '' : formatDuration((endedAtMs === 0 ? nowMs : endedAtMs) - startedAtMs);

function exitText({ state, exitCode, signal }: TaskView): string {
  const hasEnded =
    state === 'done' || state === 'failed' || (state === 'cancelled' && exitCode !== 0);
  if (exitCode === undefined || !hasEnded) return '';
  return signal === 0 ? String(exitCode) : `${exitCode} (signal ${signal})`;
}

function usedText({ usage }: TaskView): string {
  if (usage === undefined) return '';
  const { cpuMs, wallMs, peakMemoryBytes, bytesIn, bytesOut } = usage;
  return [
    `${formatDuration(cpuMs)} of CPU in ${formatDuration(wallMs)}`,
    ...(peakMemoryBytes > 0 ? [`${formatBytes(peakMemoryBytes)} of memory`] : []),
    `${formatBytes(bytesIn)} in`,
    `${formatBytes(bytesOut)} out`,
  ].join(', ');
}

/** The counts, and below them the tasks in each state. */
function tasksText({ job, spec, ranges = [] }: StatusDetail, colours: Palette): string {
  if (spec.array === undefined) return '';
  const lines = JOB_STATES.map(
    (state) => [state, formatRanges(spec, ranges, state, MOST.ranges)] as const,
  )
    .filter(([, text]) => text !== '')
    .map(([state, text]) => `${stateText(state, colours)} ${text}`);
  return [countsText(job.counts, job.tasks), ...lines].join('\n');
}

export function tasksTable(
  { colours, terminal }: Pick<Context, 'colours' | 'terminal'>,
  tasks: readonly TaskView[],
): string {
  const nowMs = Date.now();
  const rows = tasks.map((task) => [
    task.value === '' ? String(task.ordinal) : task.value,
    stateText(task.state, colours),
    task.site,
    ranText(task, nowMs),
    exitText(task),
    task.attempts > 1 ? String(task.attempts) : '',
    [task.reason, task.detail].filter((text) => text !== '').join(': '),
  ]);
  const headings = ['task', 'state', 'site', 'ran', 'exit', 'tries', 'why'];
  return table(headings, rows, colours, terminal.columns);
}
