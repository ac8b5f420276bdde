import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { endProcessesBelow } from '../../cli/up/process.ts';
import { formatFqan } from '../../core/vo/fqan.ts';
import { BrokerService } from '../../proto/gen/grid/v1/broker.ts';
import { systemClock } from '../../service/clock.ts';
import type { StrangerRules } from '../../service/rpc/grid-listener.ts';
import {
  type ClientCredentials,
  type Connection,
  openClient,
} from '../../service/rpc/grpc-client.ts';
import { type RunningServer, served, startServer } from '../../service/rpc/grpc-server.ts';
import type { Handlers } from '../../service/rpc/rpc.ts';
import { openAuthenticator } from '../../service/trust/authenticator.ts';
import { TrustStore } from '../../service/trust/trust-store.ts';
import {
  crlOf,
  DAY_MS,
  type Entity,
  HOUR_MS,
  installIn,
  keyPemOf,
  makeAuthority,
  makeHost,
  makeTestProxy,
  makeUser,
  type ProxyDetails,
  pemOf,
} from './test-ca.ts';

type Details = Parameters<typeof makeUser>[2];

/** An authority, its trust directory, and a real gRPC server that says who calls; on today's clock. */
export interface LiveGrid extends AsyncDisposable {
  readonly dir: string;
  readonly trustDir: string;
  readonly vomsDir: string;
  readonly root: Entity;
  readonly server: RunningServer;
  readonly trust: TrustStore;
  /** Another such server, at another address of this machine. */
  serve(host: string, strangers?: StrangerRules): Promise<RunningServer>;
  user(name: string, details?: Details): Entity;
  proxyOf(issuer: Entity, details?: ProxyDetails): Entity;
  /** Publishes a CRL with these certificates, good for a day, and lets the server read it. */
  publishCrl(revoked: readonly Entity[], goodForMs?: number): Promise<void>;
  /** A client that shows `chain`, leaf first; anonymous without. */
  connect(...chain: readonly Entity[]): Connection<BrokerService>;
  credentialsOf(...chain: readonly Entity[]): ClientCredentials;
}

/** Lives that began an hour ago; the clock of these tests is the real one. */
const lasting = (ms: number): { readonly notBeforeMs: number; readonly notAfterMs: number } => ({
  notBeforeMs: Date.now() - HOUR_MS,
  notAfterMs: Date.now() + ms,
});

/** `rootKey` as newKey() knows kinds; Globus tools want everything above a proxy to be RSA. */
export async function openLiveGrid(details: Details = {}): Promise<LiveGrid> {
  const dir = mkdtempSync(join(tmpdir(), 'hanse-grid-'));
  const [trustDir, vomsDir] = [join(dir, 'certificates'), join(dir, 'vomsdir')];
  mkdirSync(vomsDir);
  const root = makeAuthority('/DC=org/DC=test/CN=Live Root', {
    ...lasting(90 * DAY_MS),
    ...details,
  });
  let number = 1;
  const publish = (entities: readonly Entity[], goodForMs = DAY_MS): Promise<void> => {
    const dates = { thisUpdateMs: Date.now() - DAY_MS, nextUpdateMs: Date.now() + goodForMs };
    const revoked = entities.map(({ cert }) => ({ serial: cert.serial, revokedAtMs: Date.now() }));
    const crl = crlOf(root, { ...dates, number, revoked });
    number += 1;
    return installIn(trustDir, root, crl);
  };
  await publish([]);
  const log = pino({ level: 'silent' });
  const trust = TrustStore.open({
    dir: trustDir,
    crl: 'require',
    clock: systemClock,
    log,
    reloadMs: 0,
  });
  const host = makeHost(
    root,
    '/DC=org/DC=test/CN=127.0.0.1',
    ['127.0.0.1', '::1'],
    lasting(DAY_MS),
  );
  const serve: LiveGrid['serve'] = (at, strangers) =>
    startServer({
      host: at,
      port: 0,
      identity: { certPem: pemOf(host), keyPem: keyPemOf(host) },
      authenticator: openAuthenticator({ trust, vomsDir, clock: systemClock }),
      services: [served(BrokerService, whoAmIOnly)],
      log,
      ...(strangers === undefined ? {} : { strangers }),
    });
  const server = await serve('127.0.0.1');
  const credentialsOf = (...chain: readonly Entity[]): ClientCredentials => ({
    caPem: trust.caPem(),
    crlPem: trust.crlPem(),
    ...(chain[0] === undefined ? {} : { certPem: pemOf(...chain), keyPem: keyPemOf(chain[0]) }),
  });
  return {
    dir,
    trustDir,
    vomsDir,
    root,
    server,
    trust,
    serve,
    user: (name, more) =>
      makeUser(root, `/DC=org/DC=test/CN=${name}`, { ...lasting(DAY_MS), ...more }),
    proxyOf: (issuer, more) => makeTestProxy(issuer, { ...lasting(12 * HOUR_MS), ...more }),
    publishCrl: async (entities, goodForMs) => {
      await publish(entities, goodForMs);
      trust.reload();
    },
    credentialsOf,
    connect: (...chain) =>
      openClient(BrokerService, 'broker', `127.0.0.1:${server.port}`, credentialsOf(...chain)),
    [Symbol.asyncDispose]: async () => {
      trust.close();
      await server.close(100);
      // What a gateway has started may write there still.
      await endProcessesBelow(dir);
      rmSync(dir, { recursive: true });
    },
  };
}

/** Answers WhoAmI from the peer; a limited proxy shows as a rejected attribute. Nothing else is asked. */
const answer: Handlers<BrokerService>['whoAmI'] = async (_request, { peer }) => {
  if (peer === undefined) throw new TypeError('an anonymous caller got through');
  const fqans = peer.fqans.map(formatFqan);
  return {
    caller: { dn: peer.dn, vo: '', fqans },
    expiresAtMs: peer.expiresAtMs,
    vosServed: [],
    proxyDepth: peer.proxyDepth,
    isAdmin: false,
    rejectedAttributes: [...peer.rejectedAttributes, ...(peer.limited ? ['limited'] : [])],
  };
};

const whoAmIOnly = {
  ...Object.fromEntries(
    Object.keys(BrokerService).map((name) => [name, () => Promise.reject(new TypeError(name))]),
  ),
  whoAmI: answer,
} as Handlers<BrokerService>;
