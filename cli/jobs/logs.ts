import { specFromWire } from '../../service/rpc/wire.ts';
import type { Context } from '../context.ts';
import { argument, type Input } from '../input.ts';
import { tailTask } from './tail.ts';
import { taskOrdinal } from './task-ordinal.ts';

/** `grid logs`. */
export async function showLogs(context: Context, input: Input): Promise<number> {
  using broker = await context.openBroker();
  const jobId = argument(input, 0);
  const request = { jobId, summaryOnly: true, firstTask: 0, maxTasks: 0 };
  const job = await broker.call.getJob(request, { signal: context.signal });
  const spec = specFromWire(job.spec);
  const bytes = tailTask(context, {
    broker: broker.call,
    jobId,
    ordinal: taskOrdinal(spec, input.text('task')),
    stream: input.on('stderr') ? 'stderr' : 'stdout',
    vo: spec.vo,
    file: input.text('file') ?? '',
    follow: input.on('follow'),
  });
  // What the job wrote, as it wrote it: on stdout, whichever of its streams or files it is.
  for await (const part of bytes) await context.terminal.write('stdout', part);
  return 0;
}
