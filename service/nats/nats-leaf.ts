import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { GridError } from '../../core/errors.ts';
import { writeAtomic } from '../write-atomic.ts';
import { bracketed, MAX_PAYLOAD, quote } from './nats-config.ts';
import { publicHost } from './public-host.ts';

const MANIFEST = z.object({
  servers: z.array(z.string()).min(1),
  accounts: z.array(z.object({ vo: z.string(), id: z.string(), token: z.string() })).min(1),
});

/** What the broker says of the VOs that a leaf node serves; beside it lie `VO.creds`, `operator.jwt` and `system.jwt`. */
export type LeafManifest = z.output<typeof MANIFEST>;

interface LeafServerOptions {
  /** Holds what the broker made, and gets the configuration. */
  readonly dir: string;
  readonly host: string;
  readonly port: number;
  readonly certFile: string;
  readonly keyFile: string;
  /** PEM file of the authorities that certify the nats-servers of the grid. */
  readonly caFile: string;
}

/**
 * Writes the configuration of a nats-server that keeps nothing: it carries what its clients do to the servers of the
 * grid, over one connection for each VO. Throws CONFIG_INVALID where `dir` is not what the broker made.
 */
export async function writeLeafServer(
  options: LeafServerOptions,
): Promise<{ readonly configFile: string; readonly url: string }> {
  const { dir, host, port, certFile } = options;
  const manifest = await readManifest(join(dir, 'leaf.json'));
  const systemToken = (await readFile(join(dir, 'system.jwt'), 'utf8')).trim();
  const configFile = join(dir, 'nats-server.conf');
  await writeAtomic(configFile, leafText(options, manifest, systemToken), 0o600);
  const name = publicHost(await readFile(certFile, 'utf8'), host);
  return { configFile, url: `tls://${bracketed(name)}:${port}` };
}

async function readManifest(file: string): Promise<LeafManifest> {
  try {
    return MANIFEST.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    const message = `${file} is not what \`grid broker leaf\` makes`;
    throw new GridError('CONFIG_INVALID', message, { cause: error });
  }
}

function leafText(
  { dir, host, port, certFile, keyFile, caFile }: LeafServerOptions,
  { servers, accounts }: LeafManifest,
  systemToken: string,
): string {
  const systemId = subjectOf(systemToken);
  const urls = servers.map((server) => quote(server)).join(', ');
  const remotes = accounts.map(
    ({ vo, id }) => `  {
    urls: [${urls}]
    account: ${quote(id)}
    credentials: ${quote(join(dir, `${vo}.creds`))}
    tls { ca_file: ${quote(caFile)}, timeout: 10 }
  }`,
  );
  const known = accounts.map(({ id, token }) => `  ${id}: ${quote(token)}`);
  return `# Written by grid.
listen: ${quote(`${bracketed(host)}:${port}`)}
max_payload: ${MAX_PAYLOAD}
write_deadline: "30s"
# A server of the grid that has lost its power is given up after a minute, and not after six.
ping_interval: "20s"
ping_max: 2
tls {
  cert_file: ${quote(certFile)}
  key_file: ${quote(keyFile)}
  timeout: 10
}
operator: ${quote(join(dir, 'operator.jwt'))}
system_account: ${quote(systemId)}
resolver: MEMORY
resolver_preload {
  ${systemId}: ${quote(systemToken)}
${known.join('\n')}
}
leafnodes {
reconnect: "2s"
remotes: [
${remotes.join('\n')}
]
}
`;
}

/** The account that a token is about. */
function subjectOf(token: string): string {
  const body = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();
  return (JSON.parse(body) as { readonly sub: string }).sub;
}
