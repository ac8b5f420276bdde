import { createHmac, randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { encodeAccount, encodeOperator, encodeUser, fmtCreds } from '@nats-io/jwt';
import { createAccount, createOperator, createUser, fromSeed, type KeyPair } from '@nats-io/nkeys';
import { CHUNK_BYTES } from '../../core/data/manifest.ts';
import { ensureDirectory } from '../directories.ts';
import { JS_DOMAIN } from '../staging/names.ts';
import { writeAtomic } from '../write-atomic.ts';
import { clusterWarning } from './nats-server.ts';
import { publicHost } from './public-host.ts';

interface NatsServerOptions {
  /** Holds keys, configuration and data of this nats-server; kept from run to run. */
  readonly dir: string;
  readonly host: string;
  /** 0 takes one that is free now. */
  readonly port: number;
  /** PEM file: the server's certificate, then its chain. */
  readonly certFile: string;
  readonly keyFile: string;
  /** Most bytes that all chunks together may take; three quarters of the disk if unset. */
  readonly storeBytes?: number;
  /** Where the keys are; `dir` by default. The servers of a cluster have the same keys. */
  readonly keysDir?: string;
  readonly cluster?: NatsCluster;
  /** `host:port` at which leaf nodes of sites may connect. */
  readonly leafListen?: string;
  /** A chunk is on the disk before it is acknowledged, and not two minutes later; needs nats-server 2.10. */
  readonly syncAlways?: boolean;
}

/** Being one of several servers that keep the chunks together. */
export interface NatsCluster {
  /** Unique in the cluster, and the same from run to run: JetStream knows the server by it. */
  readonly name: string;
  /** `host:port` for the other servers. */
  readonly listen: string;
  /** `host:port` of the other servers; naming itself does no harm. */
  readonly peers: readonly string[];
  /** PEM file of the authorities that certify the other servers. */
  readonly caFile: string;
  /** Of the nats-server that is to run, where that is known: an old one refuses to start with a setting that it does not know. */
  readonly version?: string;
}

/** What `writeNatsServer` made. */
export interface NatsServerFiles {
  readonly configFile: string;
  readonly port: number;
  /** `tls://host:port`, a host that is in the certificate. */
  readonly url: string;
  /** Secrets with which the broker makes accounts, and what leaf nodes need. Copy it to the broker's machine. */
  readonly brokerDir: string;
}

/** A chunk and its headers must fit into one message. */
export const MAX_PAYLOAD = CHUNK_BYTES + 256 * 1024;

/** Of clients, at a server. */
export const MAX_CONNECTIONS = 10_000;

/**
 * Writes the configuration of a nats-server in operator mode: TLS, JetStream, and an account resolver to which only the
 * holder of `operator.seed` can add accounts. Keys that are in `dir` already are kept, so it may run before each start.
 */
export async function writeNatsServer(options: NatsServerOptions): Promise<NatsServerFiles> {
  const { dir, host, keysDir = dir } = options;
  const brokerDir = join(keysDir, 'broker');
  ensureDirectory(join(dir, 'accounts'), 0o700);
  ensureDirectory(brokerDir, 0o700);
  const operator = await keepKey(join(keysDir, 'operator.seed'), createOperator);
  // The broker signs accounts with a key of its own, which the operator can replace.
  const signing = await keepKey(join(brokerDir, 'operator.seed'), createOperator);
  const system = await keepKey(join(keysDir, 'system.seed'), createAccount);
  const systemId = system.getPublicKey();
  const operatorJwt = await encodeOperator('grid', operator, {
    system_account: systemId,
    signing_keys: [signing.getPublicKey()],
  });
  const systemJwt = await encodeAccount(
    'SYS',
    system,
    { limits: SYSTEM_LIMITS },
    { signer: operator },
  );
  await writeAtomic(join(dir, 'operator.jwt'), operatorJwt, 0o600);
  await writeAtomic(join(dir, 'accounts', `${systemId}.jwt`), systemJwt, 0o600);
  await writeAtomic(join(brokerDir, 'system.creds'), await systemCreds(system), 0o600);
  await writeAtomic(join(brokerDir, 'operator.jwt'), operatorJwt, 0o600);
  await writeAtomic(join(brokerDir, 'system.jwt'), systemJwt, 0o600);
  const port = options.port === 0 ? await freePort(host) : options.port;
  const configFile = join(dir, 'nats-server.conf');
  const secret = createHmac('sha256', operator.getSeed()).update('cluster').digest('hex');
  const certPem = await readFile(options.certFile, 'utf8');
  const text = configText({ ...options, port, systemId, secret, certPem });
  await writeAtomic(configFile, text, 0o600);
  const url = `tls://${bracketed(publicHost(certPem, host))}:${port}`;
  return { configFile, port, brokerDir, url };
}

/** As it stands in a URL. */
export const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);

/** Below the ports that Linux gives to outgoing connections, which could take one between its choice and its use. */
const [FIRST_PORT, LAST_PORT] = [20_000, 32_000] as const;
const PORTS_TRIED = 50;
/** Ports that were given and may not be in use yet, or not just now: a grid takes up to thirty before it starts anything. */
const given: Socket[] = [];
const MOST_GIVEN = 1_000;

/**
 * A TCP port that nobody listens on at this moment. While this process runs, nobody who asks here for one is given it again, in
 * no process of this machine: its number is taken as a UDP port, which says so and is in nobody's way. Rejects with the error of
 * `listen`, as for a host not of ours.
 */
export async function freePort(host: string): Promise<number> {
  for (let tries = 1; ; tries += 1) {
    const port = randomInt(FIRST_PORT, LAST_PORT);
    try {
      const number = await takeNumber(port);
      await tryToListen(port, host).catch((error: unknown) => {
        number.close();
        throw error;
      });
      keep(number);
      return port;
    } catch (error) {
      const taken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
      if (!taken || tries === PORTS_TRIED) throw error;
    }
  }
}

async function tryToListen(port: number, host: string): Promise<void> {
  const probe = createServer().listen(port, host);
  await once(probe, 'listening');
  probe.close();
  await once(probe, 'close');
}

async function takeNumber(port: number): Promise<Socket> {
  const socket = createSocket('udp4').bind({ port, address: '127.0.0.1', exclusive: true });
  await once(socket, 'listening').catch((error: unknown) => {
    socket.close();
    throw error;
  });
  return socket.unref();
}

function keep(number: Socket): void {
  given.push(number);
  if (given.length > MOST_GIVEN) given.shift()?.close();
}

/** The key in `file`, or a new one that is written there, mode 0600. */
export async function keepKey(file: string, create: () => KeyPair): Promise<KeyPair> {
  const seed = await readFile(file).catch(() => undefined);
  if (seed !== undefined) return fromSeed(Buffer.from(seed.toString('latin1').trim()));
  const key = create();
  await writeAtomic(file, Buffer.from(key.getSeed()), 0o600);
  return key;
}

const SYSTEM_LIMITS = {
  conn: -1,
  leaf: -1,
  subs: -1,
  data: -1,
  payload: -1,
  imports: -1,
  exports: -1,
  wildcards: true,
  mem_storage: 0,
  disk_storage: 0,
  streams: 0,
  consumer: 0,
};

const SYSTEM_REQUESTS = [
  '$SYS.REQ.CLAIMS.UPDATE',
  '$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP',
  '$SYS.REQ.SERVER.PING',
];

/** The broker may add accounts and look them up, and ask servers for their versions; nothing else of the system account is open to it. */
async function systemCreds(system: KeyPair): Promise<Buffer> {
  const user = createUser();
  const jwt = await encodeUser('broker', user, system, {
    subs: -1,
    data: -1,
    payload: -1,
    pub: { allow: SYSTEM_REQUESTS },
    sub: { allow: ['_INBOX.>'] },
  });
  return Buffer.from(fmtCreds(jwt, user));
}

/** Strings in nats-server's configuration are those of JSON. */
export const quote = JSON.stringify;

interface ServerText extends NatsServerOptions {
  readonly systemId: string;
  /** What the servers of a cluster know each other by; a certificate of the grid alone is not enough. */
  readonly secret: string;
  readonly certPem: string;
}

function configText(options: ServerText): string {
  const { dir, host, port, storeBytes, systemId, cluster, syncAlways = false } = options;
  const jetstream = [
    `  store_dir: ${quote(join(dir, 'jetstream'))}`,
    '  max_memory_store: 67108864',
    ...(storeBytes === undefined ? [] : [`  max_file_store: ${storeBytes}`]),
    ...(options.leafListen === undefined ? [] : [`  domain: ${JS_DOMAIN}`]),
    ...(syncAlways ? ['  sync_interval: always'] : []),
  ];
  return `# Written by grid; \`grid nats init\`, \`grid nats leaf\` and each start of \`grid up\` write theirs again.
listen: ${quote(`${bracketed(host)}:${port}`)}
server_name: ${quote(cluster?.name ?? systemId)}
max_payload: ${MAX_PAYLOAD}
max_connections: ${MAX_CONNECTIONS}
write_deadline: "30s"
${tlsText(options)}
jetstream {
${jetstream.join('\n')}
}
operator: ${quote(join(dir, 'operator.jwt'))}
system_account: ${quote(systemId)}
resolver {
  type: full
  dir: ${quote(join(dir, 'accounts'))}
  allow_delete: false
  interval: "2m"
}
${clusterText(options)}${leafText(options)}`;
}

const tlsText = ({ certFile, keyFile }: ServerText, more = ''): string => `tls {
  cert_file: ${quote(certFile)}
  key_file: ${quote(keyFile)}
  timeout: 10${more}
}`;

function clusterText(options: ServerText): string {
  const { cluster, secret, certPem } = options;
  if (cluster === undefined) return '';
  const routes = cluster.peers.map((peer) => quote(`nats-route://grid:${secret}@${peer}`));
  const both = `\n  ca_file: ${quote(cluster.caFile)}\n  verify: true`;
  return `cluster {
name: "grid"
listen: ${quote(cluster.listen)}
advertise: ${quote(advertised(certPem, cluster.listen))}
${pingText(cluster)}authorization { user: "grid", password: ${quote(secret)}, timeout: 10 }
${tlsText(options, both)}
routes: [${routes.join(', ')}]
}
`;
}

/**
 * A machine that has lost its power closes no connection. By itself a server believes in another one for a minute and a half, and
 * lets it answer a third of what is asked.
 */
const pingText = ({ version }: NatsCluster): string =>
  version === undefined || clusterWarning(version) === ''
    ? 'ping_interval: "5s"\nping_max: 3\n'
    : '';

/**
 * What a server tells the others of itself, and they each other. By itself it tells its IP addresses; where the certificate has
 * names only, all of them try these in vain, several times a second, for ever.
 */
function advertised(certPem: string, listen: string): string {
  const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(listen) ?? [];
  return `${bracketed(publicHost(certPem, host))}:${port}`;
}

/** Leaf nodes know all servers by name; what servers tell them of each other are IP addresses. */
const leafText = (options: ServerText): string =>
  options.leafListen === undefined
    ? ''
    : `leafnodes {\nlisten: ${quote(options.leafListen)}\nno_advertise: true\n${tlsText(options)}\n}\n`;
