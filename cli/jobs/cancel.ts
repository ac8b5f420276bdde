import type { Context } from '../context.ts';
import type { Input } from '../input.ts';

/** `grid cancel`. */
export async function cancelJobs(context: Context, input: Input): Promise<number> {
  using broker = await context.openBroker();
  const { terminal, signal } = context;
  const request = { jobIds: [...input.args], reason: input.text('reason') ?? '' };
  const { cancelling, alreadyEnded } = await broker.call.cancelJobs(request, { signal });
  if (context.json) {
    terminal.out(JSON.stringify({ cancelling, alreadyEnded }));
    return 0;
  }
  for (const id of cancelling) terminal.out(`${id} is being cancelled`);
  for (const id of alreadyEnded) terminal.out(`${id} had ended already`);
  return 0;
}
