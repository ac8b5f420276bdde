import type { Context } from './context.ts';

/** `grid whoami`. */
export async function showCaller(context: Context): Promise<number> {
  using broker = await context.openBroker();
  const me = await broker.call.whoAmI({}, { signal: context.signal });
  context.terminal.out(JSON.stringify(me));
  return 0;
}
