import { resolve } from 'node:path';
import { GridError } from '../core/errors.ts';
import { parseBytes } from '../core/units.ts';
import { type NatsCluster, writeNatsServer } from '../service/nats/nats-config.ts';
import { writeLeafServer } from '../service/nats/nats-leaf.ts';
import type { Context } from './context.ts';
import { argument, type Input } from './input.ts';
import { facts } from './render.ts';

/** `grid nats init`. */
export async function initNats(context: Context, input: Input): Promise<number> {
  const { host, port } = addressOf(input.text('listen') ?? '127.0.0.1:4222');
  const cluster = clusterOf(context, input);
  const leafListen = input.text('leaf-listen');
  if (leafListen !== undefined) addressOf(leafListen);
  const storeBytes = sizeOf(input.text('max-store'));
  const files = await writeNatsServer({
    dir: resolve(context.cwd, argument(input, 0)),
    host,
    port,
    certFile: resolve(context.cwd, input.text('certificate') ?? ''),
    keyFile: resolve(context.cwd, input.text('key') ?? ''),
    ...(storeBytes === undefined ? {} : { storeBytes }),
    ...(leafListen === undefined ? {} : { leafListen }),
    ...(cluster === undefined ? { syncAlways: true } : { cluster }),
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

/** `grid nats leaf`. */
export async function initLeaf(context: Context, input: Input): Promise<number> {
  const { host, port } = addressOf(input.text('listen') ?? '127.0.0.1:4222');
  const fileOf = (option: string): string => resolve(context.cwd, input.text(option) ?? '');
  const dir = resolve(context.cwd, argument(input, 0));
  const [certFile, keyFile, caFile] = [fileOf('certificate'), fileOf('key'), fileOf('ca')];
  const files = await writeLeafServer({ dir, host, port, certFile, keyFile, caFile });
  const { terminal, json, colours } = context;
  const shown: [string, string][] = [
    ['start it', `nats-server -c ${files.configFile}`],
    ['for site.yaml', `nats-servers: ['${files.url}']`],
  ];
  terminal.out(json ? JSON.stringify(files) : facts(shown, colours));
  return 0;
}

/** `grid broker leaf`: the broker's own keys sign. */
export async function makeLeaf(context: Context, input: Input): Promise<number> {
  const { writeLeaf } = await import('../broker/main.ts');
  const dir = resolve(context.cwd, argument(input, 0));
  const lifetimeMs = input.lifetime('for') ?? YEAR_MS;
  const file = resolve(context.cwd, input.text('config') ?? '');
  const made = await writeLeaf(file, { dir, vos: input.list('vo'), lifetimeMs });
  const until = new Date(made.expiresAtMs).toISOString();
  if (context.json) context.terminal.out(JSON.stringify({ dir, ...made }));
  else context.terminal.out(`${dir}: a leaf node for ${made.vos.join(', ')}, until ${until}`);
  return 0;
}

const YEAR_MS = 365 * 86_400_000;

/** All four options or none. */
function clusterOf(context: Context, input: Input): NatsCluster | undefined {
  const [listen, name, caFile] = [input.text('cluster'), input.text('name'), input.text('ca')];
  const peers = input.list('peer');
  if (listen === undefined && name === undefined && caFile === undefined && peers.length === 0)
    return undefined;
  if (listen === undefined || name === undefined || caFile === undefined || peers.length === 0)
    throw new GridError('USAGE', 'a cluster needs --cluster, --name, --ca and --peer');
  for (const address of [listen, ...peers]) addressOf(address);
  return { name, listen, peers, caFile: resolve(context.cwd, caFile) };
}

function addressOf(listen: string): { readonly host: string; readonly port: number } {
  const [, host, port] = /^(.+):(\d{1,5})$/.exec(listen) ?? [];
  if (host === undefined) throw new GridError('USAGE', `'${listen}' is not host:port`);
  return { host, port: Number(port) };
}

function sizeOf(text: string | undefined): number | undefined {
  const bytes = text === undefined ? undefined : parseBytes(text);
  if (text !== undefined && bytes === undefined)
    throw new GridError('USAGE', `--max-store '${text}' is no size: write for instance 500G`);
  return bytes;
}
