import { specFromWire } from '../../service/rpc/wire.ts';
import type { Context } from '../context.ts';
import { argument, type Input } from '../input.ts';
import { giveS3 } from './s3-credentials.ts';
import { taskOrdinal } from './task-ordinal.ts';

/** `grid retry`. */
export async function retryJob(context: Context, input: Input): Promise<number> {
  using broker = await context.openBroker();
  const { terminal, signal } = context;
  const jobId = argument(input, 0);
  const values = input.list('task');
  const ordinals: number[] = [];
  if (values.length > 0) {
    const whole = { jobId, summaryOnly: true, firstTask: 0, maxTasks: 0 };
    const { spec } = await broker.call.getJob(whole, { signal });
    ordinals.push(...values.map((value) => taskOrdinal(specFromWire(spec), value)));
  }
  if (input.on('s3')) await giveS3(context, broker.call, [jobId]);
  const request = { jobId, failedOnly: input.on('failed'), ordinals };
  const { tasks } = await broker.call.retryJob(request, { signal });
  if (context.json) terminal.out(JSON.stringify({ id: jobId, tasks }));
  else terminal.out(`${jobId}: ${tasks === 1 ? '1 task waits' : `${tasks} tasks wait`} again`);
  return 0;
}
