import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeUser, type Permissions } from '@nats-io/jwt';
import { createUser, fromPublic, fromSeed, type KeyPair } from '@nats-io/nkeys';
import {
  type Authenticator,
  credsAuthenticator,
  jwtAuthenticator,
  type NatsConnection,
} from '@nats-io/transport-node';
import { GridError } from '../../core/errors.ts';
import { aborted, background, pause } from '../../service/background.ts';
import type { Clock } from '../../service/clock.ts';
import { ensureDirectory } from '../../service/directories.ts';
import { privacyFault } from '../../service/private-file.ts';
import {
  type ChunkKeeper,
  keeperSubjects,
  natsChunkKeeper,
} from '../../service/staging/chunk-keeper.ts';
import type { ChunkStore } from '../../service/staging/chunk-store.ts';
import { newNkey } from '../../service/staging/connect-staging.ts';
import {
  chunkSubjects,
  directGetSubject,
  inboxPrefix,
  STREAM,
  type StagingTicket,
} from '../../service/staging/names.ts';
import { connectNats } from '../../service/staging/nats-connect.ts';
import { openNatsLink } from '../../service/staging/nats-link.ts';
import { natsChunkStore } from '../../service/staging/nats-store.ts';
import { DENIED, keepVoKeys, membersToken, storeToken, type VoKeys } from './account-tokens.ts';
import { keepStream, type StreamOptions } from './chunk-stream.ts';
import { versionsOfCluster, warningOfCluster } from './cluster-versions.ts';

interface AccountsOptions extends StreamOptions {
  /** `tls://host:port` of the nats-servers. */
  readonly servers: readonly string[];
  /** What `writeNatsServer` put into its `brokerDir`: `operator.seed` and `system.creds`. */
  readonly operatorDir: string;
  /** Where the keys of the accounts are kept. */
  readonly stateDir: string;
  readonly caPem: string;
  readonly vos: readonly string[];
  /** Most bytes that the chunks of one VO may take; no limit by default. */
  readonly bytesPerVo?: number;
  readonly clock: Clock;
}

/** For whom a ticket is. */
interface TicketRequest {
  readonly vo: string;
  /** Public user NKEY of the one who asked. */
  readonly nkey: string;
  readonly lifetimeMs: number;
  /** Of these only the broker itself may list chunks and take them out. */
  readonly purpose: 'user' | 'gateway' | 'broker';
}

/** The broker's own way to the chunks of a VO. */
export interface OpenKeeper extends ChunkKeeper, AsyncDisposable {
  readonly store: ChunkStore;
}

/** The NATS accounts of the VOs: only the broker holds their keys. */
export interface StagingAccounts extends AsyncDisposable {
  /** Signs a ticket; needs no nats-server. Throws VO_NOT_FOUND, or REQUEST_INVALID for a bad NKEY. */
  issueTicket(request: TicketRequest): Promise<StagingTicket>;
  /** Connects at the first use. */
  openKeeper(vo: string): OpenKeeper;
  /** Resolves when every account and its stream stand; before that clients wait. */
  settled(): Promise<void>;
}

const BROKER_TICKET_MS = 60_000;
const KEEPER = { ticketMs: 600_000, patienceMs: 10_000 };
const LOOK_AGAIN_MS = 1_000;
const CLOCK_SKEW_S = 60;

/**
 * Loads or makes the account keys and returns at once; the accounts and streams are then made on the server, and looked
 * at again after each loss of it, so that a server with an empty store gets them anew.
 */
export async function openStagingAccounts(options: AccountsOptions): Promise<StagingAccounts> {
  const { vos, stateDir, servers, clock, log } = options;
  ensureDirectory(stateDir, 0o700);
  const keys = new Map<string, VoKeys>();
  for (const vo of vos) keys.set(vo, await keepVoKeys(stateDir, vo));
  const stopping = new AbortController();
  const first = Promise.withResolvers<void>();
  first.promise.catch(() => undefined);
  const keeping = keepAccounts(options, keys, stopping.signal, first.resolve);
  background('keep staging accounts', keeping, log, first.reject);
  let turn = 0;
  const issueTicket: StagingAccounts['issueTicket'] = async (request) => {
    const { vo, nkey, lifetimeMs, purpose } = request;
    const accounts = keys.get(vo);
    if (accounts === undefined) {
      throw new GridError('VO_NOT_FOUND', `this broker does not serve the VO '${vo}'`);
    }
    // A JWT ends at a whole second; its holder must not believe in a later end.
    const expiresAtMs = Math.floor((clock.nowMs() + lifetimeMs) / 1_000) * 1_000;
    const userJwt = await userToken({
      name: `${purpose}-${nkey}`,
      nkey: checkedNkey(nkey),
      account: purpose === 'broker' ? accounts.store : accounts.members,
      permissions: chunkPermissions(vo, nkey, purpose === 'broker' ? keeperSubjects() : []),
      clock,
      expiresAtMs,
    });
    turn += 1;
    return { vo, userJwt, servers: inTurn(servers, turn), expiresAtMs };
  };
  return {
    issueTicket,
    openKeeper: (vo) => {
      const nkey = newNkey();
      const wish = { vo, nkey: nkey.publicKey, lifetimeMs: KEEPER.ticketMs } as const;
      const ticket = () => issueTicket({ ...wish, purpose: 'broker' });
      const { caPem } = options;
      const link = openNatsLink({ nkey, ticket, caPem, clock, patienceMs: KEEPER.patienceMs });
      return {
        ...natsChunkKeeper(link, vo),
        store: natsChunkStore(link, vo, true),
        [Symbol.asyncDispose]: () => link[Symbol.asyncDispose](),
      };
    },
    settled: () => first.promise,
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await keeping.catch(() => undefined);
    },
  };
}

/** Clients try servers in order: each ticket begins with another one, so that all have as much to do. */
const inTurn = (servers: readonly string[], turn: number): string[] =>
  servers.map((_, at) => servers[(at + turn) % servers.length] ?? '');

async function keepAccounts(
  options: AccountsOptions,
  keys: ReadonlyMap<string, VoKeys>,
  signal: AbortSignal,
  settled: () => void,
): Promise<void> {
  const { operatorDir, caPem, log } = options;
  const operator = fromSeed(
    Buffer.from((await readSecret(join(operatorDir, 'operator.seed'))).trim()),
  );
  const creds = Buffer.from(await readSecret(join(operatorDir, 'system.creds')));
  let warned = '';
  let failures = 0;
  while (!signal.aborted) {
    // One that is cut off from the others lets us in, and does nothing.
    const servers = inTurn(options.servers, failures);
    try {
      const system = await connectNats({
        servers,
        authenticator: credsAuthenticator(creds),
        inboxPrefix: '_INBOX',
        caPem,
      });
      try {
        const copies = options.replicas ?? 1;
        const warning = copies > 1 ? warningOfCluster(await versionsOfCluster(system)) : '';
        if (warning !== '' && warning !== warned) log.warn(warning);
        warned = warning;
        for (const [vo, key] of keys)
          await makeAccount({ ...options, servers }, system, operator, vo, key);
        settled();
        log.info({ vos: [...keys.keys()] }, 'staging accounts stand');
        await Promise.race([system.closed(), aborted(signal)]);
      } finally {
        await system.close();
      }
    } catch (error) {
      failures += 1;
      log.warn({ err: error }, 'staging accounts cannot be made yet');
    }
    await pause(LOOK_AGAIN_MS, signal);
  }
}

/** The account is sent each time: the server keeps the newest, and limits may have changed. */
async function makeAccount(
  options: AccountsOptions,
  system: NatsConnection,
  operator: KeyPair,
  vo: string,
  key: VoKeys,
): Promise<void> {
  // Who asks finds a store.
  for (const jwt of [
    await storeToken(vo, key, operator, options.bytesPerVo),
    await membersToken(vo, key, operator),
  ]) {
    const answer = await system.request('$SYS.REQ.CLAIMS.UPDATE', jwt, { timeout: 5_000 });
    const { error } = answer.json<{ error?: { description?: string } }>();
    if (error !== undefined) {
      throw new GridError(
        'STAGING_UNAVAILABLE',
        `nats-server refuses an account of '${vo}': ${error.description}`,
      );
    }
  }
  await makeStream(options, vo, key.store);
}

async function makeStream(options: AccountsOptions, vo: string, account: KeyPair): Promise<void> {
  const user = createUser();
  const nkey = user.getPublicKey();
  const own = ['CREATE', 'UPDATE', 'INFO'].map((verb) => `$JS.API.STREAM.${verb}.${STREAM}`);
  const jwt = await userToken({
    name: 'broker',
    nkey,
    account,
    permissions: permissions(own, nkey),
    clock: options.clock,
    expiresAtMs: options.clock.nowMs() + BROKER_TICKET_MS,
  });
  const nc = await connectAs(options, jwtAuthenticator(jwt, user.getSeed()), nkey);
  try {
    await keepStream(nc, vo, options);
  } finally {
    await nc.close();
  }
}

const connectAs = (options: AccountsOptions, authenticator: Authenticator, nkey: string) =>
  connectNats({
    servers: options.servers,
    authenticator,
    inboxPrefix: inboxPrefix(nkey),
    caPem: options.caPem,
  });

/**
 * Put and get of chunks; no listing, no deleting, no consumers, but for what is in `more`. nats-server gives the last chunk for `*`,
 * but only who knows its digest can read it.
 */
const chunkPermissions = (vo: string, nkey: string, more: readonly string[]): Permissions =>
  permissions([chunkSubjects(vo), ...getSubjects(chunkSubjects(vo)), ...more], nkey);

const getSubjects = (subjects: string): readonly string[] =>
  (['server', 'leaf'] as const).map((at) => directGetSubject(subjects, at));

/** A user's own permissions replace the account's default ones, so the denied subjects are named again. */
const permissions = (publish: readonly string[], nkey: string): Permissions => ({
  pub: { allow: [...publish], deny: DENIED },
  sub: { allow: [`${inboxPrefix(nkey)}.>`] },
});

async function userToken(user: {
  readonly name: string;
  readonly nkey: string;
  readonly account: KeyPair;
  readonly permissions: Permissions;
  readonly clock: Clock;
  readonly expiresAtMs: number;
}): Promise<string> {
  const limits = {
    subs: 16,
    data: -1,
    payload: -1,
    allowed_connection_types: ['STANDARD' as const],
  };
  return encodeUser(
    user.name,
    user.nkey,
    user.account,
    { ...limits, ...user.permissions },
    {
      exp: Math.floor(user.expiresAtMs / 1_000),
      nbf: Math.floor(user.clock.nowMs() / 1_000) - CLOCK_SKEW_S,
    },
  );
}

function checkedNkey(nkey: string): string {
  try {
    if (!nkey.startsWith('U')) throw new TypeError('no user key');
    return fromPublic(nkey).getPublicKey();
  } catch (error) {
    throw new GridError('REQUEST_INVALID', `'${nkey}' is no public user NKEY`, { cause: error });
  }
}

async function readSecret(file: string): Promise<string> {
  try {
    const secret = await readFile(file, 'utf8');
    const fault = privacyFault(file);
    if (fault !== '') throw new GridError('CONFIG_INVALID', `${file}: ${fault}`);
    return secret;
  } catch (error) {
    if (error instanceof GridError) throw error;
    throw new GridError('CONFIG_INVALID', `cannot read ${file}, which nats-server's setup makes`, {
      cause: error,
    });
  }
}
