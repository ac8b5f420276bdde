import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import {
  type Authenticator,
  type NatsConnection,
  NatsConnectionImpl,
  setTransportFactory,
} from '@nats-io/transport-node';
import { GridError } from '../../core/errors.ts';
import { connectionWords } from '../connection-words.ts';
import { openBulkTransport } from './wire/nats-transport.ts';

interface ConnectOptions {
  /** `tls://host:port`, tried in this order. */
  readonly servers: readonly string[];
  readonly authenticator: Authenticator;
  readonly inboxPrefix: string;
  readonly caPem: string;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** A third one without an answer ends the connection: on a thin line they wait behind a chunk. */
const PING_MS = 15_000;

/**
 * One TLS connection that never reconnects by itself: nats.js would let what was in flight wait for its time-out, the
 * caller here sees it fail at once and asks again on the next connection.
 */
export async function connectNats(options: ConnectOptions): Promise<NatsConnection> {
  let failure: unknown = new GridError('STAGING_UNAVAILABLE', 'no nats-server is named');
  for (const server of options.servers) {
    try {
      setTransportFactory({ factory: openBulkTransport });
      return await NatsConnectionImpl.connect({
        servers: server,
        authenticator: options.authenticator,
        inboxPrefix: options.inboxPrefix,
        tls: tlsFor(server, options.caPem),
        timeout: CONNECT_TIMEOUT_MS,
        pingInterval: PING_MS,
        maxPingOut: 2,
        reconnect: false,
        ignoreClusterUpdates: true,
        noAsyncTraces: true,
      });
    } catch (error) {
      failure = new Error(`${server} ${wordsOf(error)}`, { cause: error });
    }
  }
  throw failure;
}

/** What a server did that let nobody in: `does not answer: nothing listens at 127.0.0.1:4222 (ECONNREFUSED)`. */
function wordsOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (/authorization violation|authentication/i.test(message))
    return `lets nobody in with tickets of the broker (${message}): is it the nats-server of this grid, and has it got its accounts from the broker?`;
  if (/maximum .*connections exceeded/i.test(message))
    return `lets nobody else in now (${message}): it has as many connections of the VO, or at all, as it may have`;
  if (error instanceof Error && error.name === 'TimeoutError')
    return `does not answer within ${CONNECT_TIMEOUT_MS / 1_000} s`;
  return `does not answer: ${connectionWords(message)}`;
}

/** TLS has no server name for an address (RFC 6066 section 3), yet the certificate must still be for it. */
function tlsFor(server: string, caPem: string): { ca: string; servername?: string } {
  const host = new URL(server).hostname.replace(/^\[(.*)\]$/, '$1');
  if (isIP(host) === 0) return { ca: caPem };
  const checked = {
    ca: caPem,
    servername: '',
    checkServerIdentity: (_: string, certificate: PeerCertificate) =>
      checkServerIdentity(host, certificate),
  };
  return checked;
}

/** Whether trying again cannot help: what the server shows is not trusted, or the subject is not allowed. */
export function isFinalNatsError(error: unknown): boolean {
  for (let inner = error; inner instanceof Error; inner = inner.cause) {
    if (inner.name === 'PermissionViolationError') return true;
    const code = 'code' in inner ? String(inner.code) : '';
    if (/^(?:ERR_TLS_|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO)/.test(code)) return true;
  }
  return false;
}
