import { Kysely, PostgresDialect, type PostgresPoolClient } from 'kysely';
import { Client, type ClientConfig, Pool, type PoolClient, types } from 'pg';
import { pause } from '../background.ts';
import type { Log } from '../log.ts';

/** Where a PostgreSQL database is. */
export interface PostgresPlace {
  /** `postgres://user@host:5432/database`; without a password. */
  readonly url: string;
  /** Never logged. */
  readonly password?: string | undefined;
}

const MAX_CONNECTIONS = 8;
const CONNECT_MS = 4_000;
const LOCK_RETRY_MS = 1_000;

/** A server that does not hear of its client any more lets go of what the client holds within half a minute. */
const SESSION = [
  'synchronous_commit=on',
  'tcp_keepalives_idle=10',
  'tcp_keepalives_interval=5',
  'tcp_keepalives_count=4',
];

/**
 * Opens a PostgreSQL database behind Kysely. As with SQLite a commit is on the disk before its promise resolves,
 * integers (and sums of them) come back as numbers, and bytes as Uint8Array. Connections are made when they are needed.
 */
export function openPostgres<Schema>(place: PostgresPlace, log: Log): Kysely<Schema> {
  const pool = new Pool({ ...clientConfig(place), max: MAX_CONNECTIONS });
  pool.on('error', (error) => log.warn({ err: error }, 'an idle connection to the database ended'));
  const connect = async (): Promise<PostgresPoolClient> => guard(await pool.connect());
  return new Kysely<Schema>({
    dialect: new PostgresDialect({ pool: { connect, end: () => pool.end() } }),
  });
}

function clientConfig({ url, password }: PostgresPlace): ClientConfig {
  const withPassword = new URL(url);
  if (password !== undefined) withPassword.searchParams.set('password', password);
  return {
    connectionString: withPassword.href,
    application_name: 'hanse',
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    options: SESSION.map((setting) => `-c ${setting}`).join(' '),
    types: { getTypeParser },
  };
}

const INTEGERS: ReadonlySet<number> = new Set([types.builtins.INT8, types.builtins.NUMERIC]);

type Oid = Parameters<typeof types.getTypeParser>[0];

function getTypeParser(oid: Oid, format?: 'text' | 'binary'): (text: string) => unknown {
  return INTEGERS.has(oid) ? safeNumber : types.getTypeParser(oid, format);
}

function safeNumber(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && !Number.isSafeInteger(value))
    throw new RangeError(`the database holds ${text}, which is more than a number here can be`);
  return value;
}

const guarded = new WeakMap<PoolClient, PostgresPoolClient>();

/** PostgreSQL has no text with NUL in it, and would refuse all that is written together with it. */
function guard(client: PoolClient): PostgresPoolClient {
  const known = guarded.get(client);
  if (known !== undefined) return known;
  const query = (text: string, values: readonly unknown[]): Promise<unknown> =>
    client.query(text, values.map(withoutNul));
  const made = {
    query: query as PostgresPoolClient['query'],
    release: () => client.release(),
  };
  guarded.set(client, made);
  return made;
}

const withoutNul = (value: unknown): unknown =>
  typeof value === 'string' && value.includes('\0') ? value.replaceAll('\0', '\uFFFD') : value;

/** A lock that one session at a time holds. Disposing of it gives it up. */
export interface PostgresLock extends AsyncDisposable {
  /** Rejects when the session has ended, unless by disposing: somebody else may have the lock by now. */
  readonly lost: Promise<never>;
}

/**
 * Waits for the lock `key` of the database; the server gives it to the next one when this session ends, however that
 * happens. `onWait` is called once if somebody else holds it.
 */
export async function takeLock(
  place: PostgresPlace,
  key: number,
  onWait: () => void,
  signal?: AbortSignal,
): Promise<PostgresLock> {
  const client = new Client(clientConfig(place));
  const lost = Promise.withResolvers<never>();
  lost.promise.catch(() => undefined);
  const onEnd = (): void => lost.reject(new Error('the session with the database has ended'));
  client.on('error', lost.reject);
  client.on('end', onEnd);
  const dispose = async (): Promise<void> => {
    client.off('end', onEnd);
    await client.end().catch(() => undefined);
  };
  try {
    await client.connect();
    for (let tries = 0; !(await tryLock(client, key)); tries += 1) {
      if (tries === 0) onWait();
      await pause(LOCK_RETRY_MS, signal);
      signal?.throwIfAborted();
    }
  } catch (error) {
    await dispose();
    throw error;
  }
  return { lost: lost.promise, [Symbol.asyncDispose]: dispose };
}

async function tryLock(client: Client, key: number): Promise<boolean> {
  const { rows } = await client.query<{ taken: boolean }>(
    'select pg_try_advisory_lock($1) as taken',
    [key],
  );
  return rows[0]?.taken === true;
}
