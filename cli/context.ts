import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { GridError } from '../core/errors.ts';
import type { BrokerService } from '../proto/gen/grid/v1/broker.ts';
import type { ClientCredentials, Connection } from '../service/rpc/grpc-client.ts';
import type { Env, Settings } from './config.ts';
import type { Palette } from './palette.ts';

/** What every command gets: the grid that it talks to, and the terminal. Nothing in it is loaded before it is used. */
export interface Context {
  readonly env: Env;
  readonly cwd: string;
  /** Aborts at Ctrl-C and SIGTERM. Hand it to every call that waits. */
  readonly signal: AbortSignal;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly terminal: Terminal;
  /** Colours for stdout; plain unless it is a terminal. */
  readonly colours: Palette;
  settings(): Promise<Settings>;
  /** A connection to the broker as the user; dispose of it (`using broker = await ...`). */
  openBroker(): Promise<Connection<BrokerService>>;
}

/** The way to the person. */
export interface Terminal {
  /** A line of the answer, on stdout. */
  readonly out: (text: string) => void;
  /** Bytes of a job's own output; resolves when there is room for more. */
  readonly write: (stream: 'stdout' | 'stderr', bytes: Uint8Array) => Promise<void>;
  /** A remark for people, on stderr; silent with `--quiet`. */
  readonly note: (text: string) => void;
  /** Names the way to take a line away that is drawn over and over: it is gone before anything else is written. */
  readonly drawn: (hide: () => void) => void;
  readonly columns: number;
  /** Whether stderr is a terminal that may show progress. */
  readonly showsProgress: boolean;
  readonly readStdin: () => Promise<string>;
}

/** The broker's main service, as the user. Throws NOT_CONFIGURED without a broker's address. */
export async function connectBroker(
  settings: Settings,
  env: Env,
): Promise<Connection<BrokerService>> {
  const { BrokerService } = await import('../proto/gen/grid/v1/broker.ts');
  return connectService(BrokerService, settings, env);
}

/** A user's PEM certificates, key and trust, made into a connection to a service of the broker. Throws NOT_CONFIGURED. */
export async function connectService<D extends object>(
  service: D,
  settings: Settings,
  env: Env,
): Promise<Connection<D>> {
  const broker = brokerOf(settings);
  const [{ openClient }, credentials] = await Promise.all([
    import('../service/rpc/grpc-client.ts'),
    userCredentials(settings, env),
  ]);
  return openClient(service, 'broker', broker, credentials);
}

/** The broker's address. Throws NOT_CONFIGURED without one, and says where the grid is that `grid up` has made here. */
export function brokerOf({ broker, home }: Settings): string {
  if (broker !== undefined) return broker;
  const local = join(home, 'grid', 'user');
  const here = existsSync(local)
    ? `; for the grid on this machine: export HANSE_HOME='${local}'`
    : '';
  throw new GridError('NOT_CONFIGURED', `no broker is named in ${home}/config.yaml${here}`);
}

/** What the user shows to services and trusts; throws CREDENTIAL_MISSING, and KEY_LOCKED for a key that nobody has decrypted. */
export async function userCredentials(settings: Settings, env: Env): Promise<ClientCredentials> {
  const [{ loadCredential }, { readTrust }] = await Promise.all([
    import('../service/pki/credential.ts'),
    import('../service/trust/read-trust.ts'),
  ]);
  const { certPem, keyPem, certFile, expiresAtMs } = loadCredential({ home: settings.home, env });
  if (keyPem.includes('ENCRYPTED'))
    throw new GridError('KEY_LOCKED', `the key of ${certFile} is encrypted: log in first`);
  return { ...readTrust(settings.trust), certPem, keyPem, expiresAtMs };
}
