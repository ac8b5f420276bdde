import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { GridError } from '../core/errors.ts';
import { parseBytes } from '../core/units.ts';
import { type NatsCluster, writeNatsServer } from '../service/nats/nats-config.ts';
import { writeLeafServer } from '../service/nats/nats-leaf.ts';
import { certificatesFromPem } from '../service/pki/x509.ts';
import { readPair } from '../service/rpc/host-identity.ts';
import { readTrouble } from '../service/staging/file-errors.ts';
import type { Context } from './context.ts';
import { argument, type Input } from './input.ts';
import { facts } from './render.ts';

/** `grid nats init`. */
export async function initNats(context: Context, input: Input): Promise<number> {
  const { host, port } = addressOf('listen', input.text('listen') ?? '127.0.0.1:4222');
  const cluster = clusterOf(context, input);
  const leafListen = input.text('leaf-listen');
  if (leafListen !== undefined) addressOf('leaf-listen', leafListen);
  const storeBytes = sizeOf(input.text('max-store'));
  const files = await writeNatsServer({
    dir: resolve(context.cwd, argument(input, 0)),
    host,
    port,
    ...identityOf(context, input),
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
  const { host, port } = addressOf('listen', input.text('listen') ?? '127.0.0.1:4222');
  const dir = resolve(context.cwd, argument(input, 0));
  const caFile = authoritiesOf(context, input.text('ca') ?? '');
  const files = await writeLeafServer({ dir, host, port, ...identityOf(context, input), caFile });
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
  addressOf('cluster', listen);
  for (const peer of peers) addressOf('peer', peer);
  return { name, listen, peers, caFile: authoritiesOf(context, caFile) };
}

function addressOf(option: string, text: string): { readonly host: string; readonly port: number } {
  const [, host = '', digits = ''] = /^(.+):(\d+)$/.exec(text) ?? [];
  const port = Number(digits);
  if (host === '') throw new GridError('USAGE', `--${option} '${text}' is not host:port`);
  if (port < 1 || port > 65_535)
    throw new GridError('USAGE', `--${option} '${text}' has no TCP port: these are 1 to 65535`);
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port };
}

const NO_PAIR =
  'nats-server could not start with these files; `grid cert show FILE` tells whose a certificate is';

/** The files of --certificate and --key; throws USAGE where no server can show the one with the other. */
function identityOf(
  { cwd }: Context,
  input: Input,
): { readonly certFile: string; readonly keyFile: string } {
  const certFile = resolve(cwd, input.text('certificate') ?? '');
  const keyFile = resolve(cwd, input.text('key') ?? '');
  const { faults } = readPair({ certificate: certFile, key: keyFile });
  const problems = faults.map(({ setting, file, words }) => ({
    where: `--${setting}`,
    message: `${file}: ${words}`,
  }));
  if (problems.length > 0) throw new GridError('USAGE', NO_PAIR, { problems });
  return { certFile, keyFile };
}

/** The file of --ca; throws USAGE where it names no authority. */
function authoritiesOf({ cwd }: Context, text: string): string {
  const file = resolve(cwd, text);
  try {
    if (certificatesFromPem(readFileSync(file, 'utf8')).length > 0) return file;
  } catch (error) {
    const words = error instanceof GridError ? error.message : `it ${readTrouble(error)}`;
    throw new GridError('USAGE', `--ca ${file}: ${words}`, { cause: error });
  }
  throw new GridError('USAGE', `--ca ${file}: there is no certificate in it, PEM`);
}

function sizeOf(text: string | undefined): number | undefined {
  const bytes = text === undefined ? undefined : parseBytes(text);
  if (text !== undefined && bytes === undefined)
    throw new GridError('USAGE', `--max-store '${text}' is no size: write for instance 500G`);
  return bytes;
}
