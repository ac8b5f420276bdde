import { resolve } from 'node:path';
import { GridError } from '../core/errors.ts';
import { parseBytes } from '../core/units.ts';
import { writeNatsServer } from '../service/nats-config.ts';
import type { Context } from './context.ts';
import { argument, type Input } from './input.ts';
import { facts } from './render.ts';

/** `grid nats init`. */
export async function initNats(context: Context, input: Input): Promise<number> {
  const listen = input.text('listen') ?? '127.0.0.1:4222';
  const [, host = '', port = ''] = /^(.+):(\d{1,5})$/.exec(listen) ?? [];
  if (host === '') throw new GridError('USAGE', `--listen '${listen}' is not host:port`);
  const maxStore = input.text('max-store');
  const storeBytes = maxStore === undefined ? undefined : parseBytes(maxStore);
  if (maxStore !== undefined && storeBytes === undefined)
    throw new GridError('USAGE', `--max-store '${maxStore}' is no size: write for instance 500G`);
  const files = await writeNatsServer({
    dir: resolve(context.cwd, argument(input, 0)),
    host,
    port: Number(port),
    certFile: resolve(context.cwd, input.text('certificate') ?? ''),
    keyFile: resolve(context.cwd, input.text('key') ?? ''),
    ...(storeBytes === undefined ? {} : { storeBytes }),
  });
  if (context.json) context.terminal.out(JSON.stringify(files));
  else
    context.terminal.out(
      facts(
        [
          ['start it', `nats-server -c ${files.configFile}`],
          ['for the broker', files.brokerDir],
        ],
        context.colours,
      ),
    );
  return 0;
}
