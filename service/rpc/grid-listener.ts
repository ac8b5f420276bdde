import { constants } from 'node:crypto';
import { createServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import { GridError } from '../../core/errors.ts';
import { PATH_DEFAULTS } from '../../core/pki/options.ts';
import type { Peer } from '../../core/vo/caller.ts';
import type { Log } from '../log.ts';

/** Key and certificate of a service, PEM; the certificate first, then its chain. */
export interface ServerIdentity {
  readonly certPem: string;
  readonly keyPem: string;
}

/** Decides who the owner of a certificate chain is. */
export interface Authenticator {
  /** DER certificates as presented, leaf first, without roots -> Peer; throws GridError UNAUTHENTICATED. */
  authenticate(chain: readonly Uint8Array[]): Peer;
  /** Calls back after each change of what is trusted, so that live connections are looked at again. */
  onChange(listener: () => void): void;
}

/** What is known of a connection. */
type Outcome =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'authenticated'; readonly peer: Peer }
  | { readonly kind: 'refused'; readonly error: GridError };

interface Live {
  readonly socket: TLSSocket;
  readonly chain: readonly Uint8Array[];
  outcome: Outcome;
  timer?: NodeJS.Timeout;
}

interface ListenerOptions {
  readonly server: grpc.Server;
  readonly identity: ServerIdentity;
  readonly authenticator: Authenticator;
  readonly log: Log;
  readonly strangers?: StrangerRules;
}

/** How long a connection lasts, and how many there may be at a time, whose caller is not known. */
export interface StrangerRules {
  readonly lastMs: number;
  readonly most: number;
}

/** Enrolling, reading what to trust, or hearing why one is refused takes a moment. */
const STRANGERS: StrangerRules = { lastMs: 60_000, most: 500 };
const MAX_CHAIN = 12;
const MAX_CONNECTIONS = 2_000;
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Ends TLS itself and hands the socket to grpc-js through its public connection injector, because OpenSSL in Node
 * refuses RFC 3820 proxies and grpc-js shows only the leaf (docs/adr/001). The chain is read once per connection;
 * sessions are never resumed, because a resumed session shows the leaf only. A connection ends when its credential
 * does, or when what is trusted has changed and it no longer passes. Those without a credential that passes end soon, and are
 * few at a time: who is not known must not keep out those who are.
 */
export class GridListener {
  private readonly options: ListenerOptions;
  private readonly tls: TlsServer;
  private readonly injector: ReturnType<grpc.Server['createConnectionInjector']>;
  private readonly live = new Map<string, Live>();
  /** Those of them whose caller is not known, the oldest first. */
  private readonly strangers = new Set<Live>();
  private readonly rules: StrangerRules;

  constructor(options: ListenerOptions) {
    this.options = options;
    this.rules = options.strangers ?? STRANGERS;
    this.injector = options.server.createConnectionInjector(
      grpc.ServerCredentials.createInsecure(),
    );
    this.tls = createServer(
      {
        ...contextOf(options.identity),
        requestCert: true,
        rejectUnauthorized: false,
        ALPNProtocols: ['h2'],
        handshakeTimeout: 5_000,
      },
      (socket) => this.accept(socket),
    );
    this.tls.maxConnections = MAX_CONNECTIONS;
    this.tls.on('tlsClientError', (error, socket) => {
      options.log.debug({ err: error }, 'tls handshake failed');
      socket.destroy();
    });
    options.authenticator.onChange(() => this.revalidate());
  }

  /** Starts to listen; gives the port. */
  listen(port: number, host: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.tls.once('error', reject);
      this.tls.listen(port, host, () => {
        this.tls.off('error', reject);
        const address = this.tls.address();
        resolve(typeof address === 'object' && address !== null ? address.port : port);
      });
    });
  }

  /** Shows this identity from the next connection on; throws where key and certificate do not belong together. */
  present(identity: ServerIdentity): void {
    this.tls.setSecureContext(contextOf(identity));
  }

  /** Who is at the other end of a connection; `address` as gRPC gives it (`ip:port`). */
  peerAt(address: string): Outcome {
    return this.live.get(address)?.outcome ?? { kind: 'anonymous' };
  }

  async close(graceMs: number): Promise<void> {
    this.tls.close();
    this.injector.drain(graceMs);
    const deadline = performance.now() + graceMs;
    while (this.live.size > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    this.injector.destroy();
    for (const { socket } of this.live.values()) socket.destroy();
  }

  private accept(socket: TLSSocket): void {
    socket.on('error', (error) => this.options.log.debug({ err: error }, 'connection failed'));
    if (
      socket.alpnProtocol !== 'h2' ||
      socket.isSessionReused() ||
      socket.remotePort === undefined
    ) {
      socket.destroy();
      return;
    }
    const address = `${socket.remoteAddress}:${socket.remotePort}`;
    // gRPC tells calls apart by that alone, and at several addresses of this machine it may come up twice.
    if (this.live.has(address)) {
      socket.destroy();
      return;
    }
    const chain = presentedChain(socket);
    const live: Live = { socket, chain, outcome: this.judge(chain) };
    this.live.set(address, live);
    this.arm(live);
    socket.once('close', () => {
      clearTimeout(live.timer);
      this.live.delete(address);
      this.strangers.delete(live);
    });
    this.injector.injectConnection(socket);
  }

  private judge(chain: readonly Uint8Array[]): Outcome {
    if (chain.length === 0) return { kind: 'anonymous' };
    try {
      return { kind: 'authenticated', peer: this.options.authenticator.authenticate(chain) };
    } catch (error) {
      if (error instanceof GridError) return { kind: 'refused', error };
      this.options.log.error({ err: error }, 'path validation failed unexpectedly');
      return {
        kind: 'refused',
        error: new GridError('INTERNAL', 'the chain could not be checked'),
      };
    }
  }

  private arm(live: Live): void {
    clearTimeout(live.timer);
    const leftMs = this.leftMs(live.outcome);
    live.timer = setTimeout(
      () => live.socket.destroy(),
      Math.min(Math.max(leftMs, 0), MAX_TIMER_MS),
    );
    live.timer.unref();
    if (live.outcome.kind === 'authenticated') this.strangers.delete(live);
    else this.addStranger(live);
  }

  private leftMs(outcome: Outcome): number {
    if (outcome.kind !== 'authenticated') return this.rules.lastMs;
    // Path validation lets a credential live on for as long as clocks may differ; so does its connection.
    return outcome.peer.expiresAtMs + PATH_DEFAULTS.skewMs - Date.now();
  }

  private addStranger(live: Live): void {
    this.strangers.add(live);
    const [oldest] = this.strangers;
    if (oldest === undefined || this.strangers.size <= this.rules.most) return;
    this.strangers.delete(oldest);
    oldest.socket.destroy();
  }

  private revalidate(): void {
    for (const live of this.live.values()) {
      const before = live.outcome;
      live.outcome = this.judge(live.chain);
      if (before.kind === 'authenticated' && live.outcome.kind !== 'authenticated') {
        live.socket.destroy();
      } else {
        this.arm(live);
      }
    }
  }
}

/** All of it each time: what is left out falls back to OpenSSL's defaults. */
const contextOf = ({ certPem, keyPem }: ServerIdentity) => ({
  key: keyPem,
  cert: certPem,
  minVersion: 'TLSv1.3' as const,
  secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
});

/** One call only: getPeerX509Certificate() is destructive on Node 24, and a second call here sees the leaf alone. */
function presentedChain(socket: TLSSocket): readonly Uint8Array[] {
  const chain: Uint8Array[] = [];
  let certificate = socket.getPeerCertificate(true);
  while (certificate?.raw !== undefined && chain.length <= MAX_CHAIN) {
    chain.push(certificate.raw);
    const issuer = certificate.issuerCertificate;
    if (issuer === undefined || issuer.fingerprint256 === certificate.fingerprint256) break;
    certificate = issuer;
  }
  return chain;
}
