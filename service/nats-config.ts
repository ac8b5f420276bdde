import { mkdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { encodeAccount, encodeOperator, encodeUser, fmtCreds } from '@nats-io/jwt';
import { createAccount, createOperator, createUser, fromSeed, type KeyPair } from '@nats-io/nkeys';
import { CHUNK_BYTES } from '../core/data/manifest.ts';
import { writeAtomic } from './write-atomic.ts';

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
}

/** What `writeNatsServer` made. */
export interface NatsServerFiles {
  readonly configFile: string;
  readonly port: number;
  /** `tls://host:port`. */
  readonly url: string;
  /** `operator.seed` and `system.creds`: what the broker needs to make accounts. Copy it to the broker's machine. */
  readonly brokerDir: string;
}

/** A chunk and its headers must fit into one message. */
const MAX_PAYLOAD = CHUNK_BYTES + 256 * 1024;

/**
 * Writes the configuration of a nats-server in operator mode: TLS, JetStream, and an account resolver to which only the
 * holder of `operator.seed` can add accounts. Keys that are in `dir` already are kept, so it may run before each start.
 */
export async function writeNatsServer(options: NatsServerOptions): Promise<NatsServerFiles> {
  const { dir, host } = options;
  const brokerDir = join(dir, 'broker');
  await mkdir(join(dir, 'accounts'), { recursive: true, mode: 0o700 });
  await mkdir(brokerDir, { recursive: true, mode: 0o700 });
  const operator = await keepKey(join(dir, 'operator.seed'), createOperator);
  // The broker signs accounts with a key of its own, which the operator can replace.
  const signing = await keepKey(join(brokerDir, 'operator.seed'), createOperator);
  const system = await keepKey(join(dir, 'system.seed'), createAccount);
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
  const port = options.port === 0 ? await freePort(host) : options.port;
  const configFile = join(dir, 'nats-server.conf');
  await writeAtomic(configFile, configText({ ...options, port, systemId }), 0o600);
  return {
    configFile,
    port,
    brokerDir,
    url: `tls://${host.includes(':') ? `[${host}]` : host}:${port}`,
  };
}

/** A TCP port that nobody listens on at this moment. */
export function freePort(host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, host, () => {
      const address = probe.address();
      probe.close(() =>
        resolve(typeof address === 'object' && address !== null ? address.port : 0),
      );
    });
  });
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

/** The broker may add accounts and look them up; nothing else of the system account is open to it. */
async function systemCreds(system: KeyPair): Promise<Buffer> {
  const user = createUser();
  const jwt = await encodeUser('broker', user, system, {
    subs: -1,
    data: -1,
    payload: -1,
    pub: { allow: ['$SYS.REQ.CLAIMS.UPDATE', '$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP'] },
    sub: { allow: ['_INBOX.>'] },
  });
  return Buffer.from(fmtCreds(jwt, user));
}

/** Strings in nats-server's configuration are those of JSON. */
const quote = JSON.stringify;

function configText(options: NatsServerOptions & { readonly systemId: string }): string {
  const { dir, host, port, certFile, keyFile, storeBytes, systemId } = options;
  const store = storeBytes === undefined ? '' : `\n  max_file_store: ${storeBytes}`;
  return `# Written by grid; it is written again at each start.
listen: ${quote(`${host.includes(':') ? `[${host}]` : host}:${port}`)}
server_name: ${quote(systemId)}
max_payload: ${MAX_PAYLOAD}
max_connections: 10000
write_deadline: "30s"
tls {
  cert_file: ${quote(certFile)}
  key_file: ${quote(keyFile)}
  timeout: 10
}
jetstream {
  store_dir: ${quote(join(dir, 'jetstream'))}
  max_memory_store: 67108864${store}
}
operator: ${quote(join(dir, 'operator.jwt'))}
system_account: ${quote(systemId)}
resolver {
  type: full
  dir: ${quote(join(dir, 'accounts'))}
  allow_delete: false
  interval: "2m"
}
`;
}
