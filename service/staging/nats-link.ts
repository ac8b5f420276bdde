import type { NatsConnection } from '@nats-io/transport-node';
import { GridError } from '../../core/errors.ts';
import { pause } from '../background.ts';
import type { Clock } from '../clock.ts';
import type { Again } from './flight-window.ts';
import { failureOf, isDenied, isFinal, isLeaderless, troubleOf } from './link-failures.ts';
import { inboxPrefix, type StagingTicket } from './names.ts';
import { connectNats } from './nats-connect.ts';
import { openStuckWatch, StuckStore } from './stuck-watch.ts';
import { nkeyAuthenticator } from './wire/nkey-authenticator.ts';

/** An NKEY user of the staging service; the seed never leaves the process that made it. */
export interface Nkey {
  readonly publicKey: string;
  readonly seed: Uint8Array;
}

/** `refused` is the `userJwt` with which the store did not let what is due be done: it may be of an older version of the grid. */
export type AskTicket = (refused?: string) => Promise<StagingTicket>;

interface LinkOptions {
  readonly nkey: Nkey;
  /** Gives a ticket for the NKEY; asked again when three quarters of its life are over, and for another one than was refused. */
  readonly ticket: AskTicket;
  readonly caPem: string;
  readonly clock: Clock;
  /** How long one piece of work is tried again before it fails with STAGING_UNAVAILABLE. */
  readonly patienceMs: number;
  /** Told what each try came to: '' for an answer, else why there was none and it is tried again. */
  readonly heard?: (trouble: string) => void;
  /** A question that costs nothing, to find out whether the store answers at all. */
  readonly probe?: (connection: NatsConnection) => Promise<unknown>;
}

/** A connection that comes back: work that a lost connection cut off is done again on the next one. */
export interface NatsLink extends AsyncDisposable {
  /** Connects in the background and does `first`, once; should that fail, the first `use` tries again and tells. */
  prepare(first: (connection: NatsConnection) => void): void;
  /** `work` may run more than once, so it must be idempotent; after a loss it does when `again` has resolved. */
  use<T>(
    work: (connection: NatsConnection) => Promise<T>,
    signal?: AbortSignal,
    again?: Again,
  ): Promise<T>;
}

interface Line {
  readonly connection: NatsConnection;
  readonly userJwt: string;
  /** Its ticket was asked for in the place of one that had been refused. */
  readonly isSecond: boolean;
  renewAtMs: number;
  /** Of `monotonicMs`: since when its server has said that nobody there has the chunks. */
  leaderlessSinceMs?: number | undefined;
  users: number;
  retired: boolean;
}

const FIRST_PAUSE_MS = 25;
const LONGEST_PAUSE_MS = 2_000;
const RENEW_AGAIN_MS = 5_000;
/** Longer than servers need to choose a leader: one that still has none may be cut off from the others, a leaf node from the grid. */
const LEADERLESS_MS = 4_000;

/** So long a line lasts that goes past a server: a leaf node, which comes first in its tickets, gets its gateways back. */
const DETOUR_MS = 60_000;

/** Opens nothing yet: the first `use` connects. */
export function openNatsLink(options: LinkOptions): NatsLink {
  const { clock, patienceMs, heard = () => undefined } = options;
  const lines = openLines(options);
  const watch = openStuckWatch(clock, () => whyStuck(options));
  const attempt = async <T>(work: (connection: NatsConnection) => Promise<T>): Promise<T> => {
    const used = await lines.current();
    used.users += 1;
    try {
      const answer = await watch.over(work(used.connection));
      lines.accepted(used);
      return answer;
    } catch (error) {
      throw lines.failed(used, error);
    } finally {
      used.users -= 1;
      if (used.retired) retire(used);
    }
  };
  return {
    prepare: (first) => {
      lines
        .current()
        .then(({ connection }) => first(connection))
        .catch(() => undefined);
    },
    use: async (work, signal, again) => {
      let since: number | undefined;
      let asked = false;
      const ask = (connection: NatsConnection): ReturnType<typeof work> => {
        asked = true;
        return work(connection);
      };
      for (let waitMs = FIRST_PAUSE_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_PAUSE_MS)) {
        signal?.throwIfAborted();
        try {
          asked = false;
          const answer = await unlessAborted(attempt(ask), signal);
          heard('');
          return answer;
        } catch (error) {
          signal?.throwIfAborted();
          heard(troubleOf(error));
          since ??= clock.monotonicMs();
          if (isFinal(error) || clock.monotonicMs() - since >= patienceMs) throw failureOf(error);
          await pause(waitMs, signal);
          if (again === undefined || !asked || error instanceof GridError) continue;
          // Waiting for one's turn is not waiting for a server that is away.
          const fromMs = clock.monotonicMs();
          await again();
          since += clock.monotonicMs() - fromMs;
        }
      }
    },
    [Symbol.asyncDispose]: () => lines.close(),
  };
}

/** The connection of the moment: dialled when there is none, and replaced before its ticket ends. */
function openLines(options: LinkOptions): {
  current(): Promise<Line>;
  /** Work on it has failed with this error; gives what the failure is. Whoever comes next may need to dial, or another ticket. */
  failed(line: Line, error: unknown): unknown;
  /** Its ticket is as it must be. */
  accepted(line: Line): void;
  close(): Promise<void>;
} {
  const { clock } = options;
  let line: Line | undefined;
  let dialing: Promise<Line> | undefined;
  let closed = false;
  let refused: string | undefined;
  /** Where there was no answer: the next line goes elsewhere, if it can. */
  let shunned = '';
  const drop = (old: Line): void => {
    if (line === old) line = undefined;
    retire(old);
  };
  const dial = async (): Promise<Line> => {
    try {
      const fresh = await openLine(options, refused, shunned);
      shunned = '';
      if (line !== undefined) retire(line);
      line = fresh;
      return fresh;
    } catch (error) {
      if (line !== undefined) line.renewAtMs = clock.nowMs() + RENEW_AGAIN_MS;
      throw error;
    } finally {
      dialing = undefined;
    }
  };
  return {
    current: async () => {
      if (closed) throw new GridError('INTERRUPTED', 'the connection to the store was closed');
      if (line === undefined || line.connection.isClosed()) return (dialing ??= dial());
      if (clock.nowMs() >= line.renewAtMs) {
        // In the background, and without harm if it fails: the old ticket still lasts.
        (dialing ??= dial()).catch(() => undefined);
      }
      return line;
    },
    failed: (old, error) => {
      const isRefused = isDenied(error);
      const isCut = isLeaderless(error) && isCutOff(old, clock.monotonicMs());
      if (isUnanswered(error) || isRefused) drop(old);
      if (isUnanswered(error) || isCut) shunned = old.connection.getServer();
      if (isCut) old.renewAtMs = Number.NEGATIVE_INFINITY;
      if (!isRefused) return error;
      refused = old.userJwt;
      return old.isSecond ? failureOf(error) : refusedOnce(error);
    },
    accepted: (used) => {
      used.leaderlessSinceMs = undefined;
      if (used.userJwt !== refused) refused = undefined;
    },
    close: async () => {
      closed = true;
      await dialing?.catch(() => undefined);
      await line?.connection.close();
    },
  };
}

/** With another ticket it may be allowed. */
const refusedOnce = (error: unknown): GridError =>
  new GridError('STAGING_UNAVAILABLE', failureOf(error).message, { cause: error });

/** No answer for so long means a dead peer. */
const isUnanswered = (error: unknown): boolean =>
  error instanceof StuckStore || (error instanceof Error && error.name === 'TimeoutError');

/** Whether its server has had no leader, at this and every other failure of late, for longer than one is chosen in. */
function isCutOff(line: Line, nowMs: number): boolean {
  line.leaderlessSinceMs ??= nowMs;
  return nowMs - line.leaderlessSinceMs >= LEADERLESS_MS;
}

async function openLine(
  { nkey, ticket, caPem, clock }: LinkOptions,
  refused?: string,
  shunned = '',
): Promise<Line> {
  const { userJwt, servers, expiresAtMs } = await ticket(refused);
  const isShunned = (server: string): number => Number(server === `tls://${shunned}`);
  const nowMs = clock.nowMs();
  const connection = await connectNats({
    servers: servers.toSorted((a, b) => isShunned(a) - isShunned(b)),
    authenticator: nkeyAuthenticator(userJwt, nkey),
    inboxPrefix: inboxPrefix(nkey.publicKey),
    caPem,
  });
  return {
    connection,
    userJwt,
    isSecond: refused !== undefined,
    renewAtMs:
      nowMs + Math.min((expiresAtMs - nowMs) * 0.75, shunned === '' ? Infinity : DETOUR_MS),
    users: 0,
    retired: false,
  };
}

/** A store that takes no longer than this to answer a small question on a connection of its own is not stuck. */
const STUCK_MS = 3_000;

/**
 * nats-server may answer pings, and nothing that is asked of its stream; a connection that asked is not read any more (2.9 with
 * a full disk). On a new one that can be told from a line that is thin. '' where the store answers.
 */
async function whyStuck(options: LinkOptions): Promise<string> {
  if (options.probe === undefined) return '';
  const { connection } = await openLine(options);
  try {
    const waitMs = Math.max(STUCK_MS, 10 * (await connection.rtt()));
    const answer = options.probe(connection).then(
      () => true,
      () => true,
    );
    const isAnswered = await Promise.race([answer, pause(waitMs).then(() => false)]);
    const server = connection.getServer();
    return isAnswered
      ? ''
      : `the store at ${server} does not answer, though its nats-server does: its disk is full, or was and it has not been started again since, or another server has just gone`;
  } finally {
    connection.close().catch(() => undefined);
  }
}

/** Closes a line once nobody waits for an answer on it. */
function retire(line: Line): void {
  line.retired = true;
  if (line.users === 0) line.connection.close().catch(() => undefined);
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      try {
        signal.throwIfAborted();
      } catch (error) {
        reject(error);
      }
    };
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
