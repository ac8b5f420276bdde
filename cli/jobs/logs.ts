import { GridError } from '../../core/errors.ts';
import { specFromWire } from '../../service/rpc/wire.ts';
import type { Context } from '../context.ts';
import { argument, type Input } from '../input.ts';
import { type TailOptions, tailTask } from './tail.ts';
import { taskOrdinal } from './task-ordinal.ts';

/** `grid logs`. */
export async function showLogs(context: Context, input: Input): Promise<number> {
  using broker = await context.openBroker();
  const jobId = argument(input, 0);
  const request = { jobId, summaryOnly: true, firstTask: 0, maxTasks: 0 };
  const job = await broker.call.getJob(request, { signal: context.signal });
  const spec = specFromWire(job.spec);
  const options: TailOptions = {
    broker: broker.call,
    jobId,
    ordinal: taskOrdinal(spec, input.text('task')),
    stream: input.on('stderr') ? 'stderr' : 'stdout',
    vo: spec.vo,
    file: input.text('file') ?? '',
    follow: input.on('follow'),
  };
  let isEmpty = true;
  // What the job wrote, as it wrote it: on stdout, whichever of its streams or files it is.
  for await (const part of tailTask(context, options)) {
    isEmpty = false;
    await context.terminal.write('stdout', part);
  }
  if (isEmpty && options.file === '' && !context.quiet)
    await tellOfOther(context, options, input.text('task'));
  return 0;
}

/** Who sees nothing may have asked for the wrong one of the two streams. */
async function tellOfOther(
  context: Context,
  options: TailOptions,
  task: string | undefined,
): Promise<void> {
  const { stream: asked, jobId } = options;
  const stream = asked === 'stdout' ? 'stderr' : 'stdout';
  const other = { ...options, stream, follow: false, isSilent: true } as const;
  const more = task === undefined ? [] : [`--task ${task}`];
  const command = ['grid logs', jobId, ...more, ...(stream === 'stderr' ? ['--stderr'] : [])];
  if (await hasBytes(context, other))
    context.terminal.note(
      `nothing on ${NAMES[asked]}; there is text on ${NAMES[stream]}: \`${command.join(' ')}\``,
    );
}

const NAMES = { stdout: 'standard output', stderr: 'standard error' };

async function hasBytes(context: Context, options: TailOptions): Promise<boolean> {
  try {
    for await (const _part of tailTask(context, options)) return true;
  } catch (error) {
    // What was asked for has been shown.
    if (!(error instanceof GridError)) throw error;
  }
  return false;
}
