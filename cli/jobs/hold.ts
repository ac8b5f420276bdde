import type { Context } from '../context.ts';
import type { Input } from '../input.ts';
import { giveS3 } from './s3-credentials.ts';

/** `grid hold`. */
export async function holdJobs(context: Context, input: Input): Promise<number> {
  using broker = await context.openBroker();
  const request = { jobIds: [...input.args], reason: input.text('reason') ?? '' };
  const { held } = await broker.call.holdJobs(request, { signal: context.signal });
  if (context.json) context.terminal.out(JSON.stringify({ held }));
  else
    for (const id of held)
      context.terminal.out(`${id} is held: nothing more of it starts, what is at a site runs on`);
  return 0;
}

/** `grid release`. */
export async function releaseJobs(context: Context, input: Input): Promise<number> {
  using broker = await context.openBroker();
  const request = { jobIds: [...input.args] };
  if (input.on('s3')) await giveS3(context, broker.call, request.jobIds);
  const { released } = await broker.call.releaseJobs(request, { signal: context.signal });
  if (context.json) context.terminal.out(JSON.stringify({ released }));
  else
    for (const id of released)
      context.terminal.out(`${id} is released: what waits of it may start again`);
  return 0;
}
