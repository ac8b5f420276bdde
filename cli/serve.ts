import { GridError } from '../core/errors.ts';
import type { ServeOptions } from '../service/shutdown.ts';
import type { Context } from './context.ts';
import type { Input } from './input.ts';

/** `grid broker serve`: the service's own main, in this process. */
export async function serveTheBroker(context: Context, input: Input): Promise<number> {
  const { serveBroker } = await import('../broker/main.ts');
  await serveBroker(configFile(input), serveOptions(context, input));
  return 0;
}

/** `grid site serve`. */
export async function serveSiteGateway(context: Context, input: Input): Promise<number> {
  const { serveSite } = await import('../site-gateway/main.ts');
  await serveSite(configFile(input), serveOptions(context, input));
  return 0;
}

/** For the main of a service. */
export const serveOptions = ({ signal }: Context, input: Input): ServeOptions => ({
  printConfig: input.on('print-config'),
  asked: signal,
});

/** The file that `--config` names; commander has made sure of it. */
export function configFile(input: Input): string {
  const file = input.text('config');
  if (file === undefined) throw new GridError('USAGE', 'name the configuration with --config FILE');
  return file;
}
