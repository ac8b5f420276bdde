import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { type OpenBroker, openBroker } from '../../broker/broker.ts';
import type { StagingAccounts } from '../../broker/data/staging-accounts.ts';
import type { LedgerPlace } from '../../broker/ledger/open-ledger.ts';
import type { JobSpec } from '../../core/job/spec.ts';
import type { Offer } from '../../core/match/offer.ts';
import { parseFqan } from '../../core/vo/fqan.ts';
import { BrokerService, type GetJobResponse, SiteState } from '../../proto/gen/grid/v1/broker.ts';
import { DatasetsService } from '../../proto/gen/grid/v1/data.ts';
import { SiteGatewayService } from '../../proto/gen/grid/v1/site.ts';
import { systemClock } from '../../service/clock.ts';
import { freePort } from '../../service/nats/nats-config.ts';
import { readCertificate } from '../../service/pki/x509.ts';
import type { Authenticator } from '../../service/rpc/grid-listener.ts';
import {
  type ClientCredentials,
  type Connection,
  openClient,
} from '../../service/rpc/grpc-client.ts';
import { type RunningServer, startServer } from '../../service/rpc/grpc-server.ts';
import type { RpcClient } from '../../service/rpc/rpc.ts';
import { specToWire, stateFromWire, treeToWire } from '../../service/rpc/wire.ts';
import { openAuthenticator } from '../../service/trust/authenticator.ts';
import { TrustStore } from '../../service/trust/trust-store.ts';
import { type FakeGateway, openFakeGateway } from './fake-gateway.ts';
import { offerOf, specOf } from './offers.ts';
import {
  crlOf,
  DAY_MS,
  type Entity,
  HOUR_MS,
  installIn,
  keyPemOf,
  makeAuthority,
  makeHost,
  makeUser,
  pemOf,
} from './test-ca.ts';

type BrokerCalls = RpcClient<BrokerService>;

/** A real broker behind a real server, and gateways that do what a test tells them. */
export interface BrokerGrid extends AsyncDisposable {
  /** A client of a member of VO demo; Root administers the grid, Mary the VO, Eve is in no VO, Otto in another one. */
  as(name: string): BrokerCalls;
  /** The same caller at the service of datasets. */
  datasetsAs(name: string): RpcClient<DatasetsService>;
  /** A gateway, enrolled and up: both lists have been compared, so it may be cut off from now on. */
  site(id: string, offer?: Partial<Offer>): Promise<FakeGateway>;
  /** A gateway that shows the certificate of another host. */
  impostor(id: string): Promise<FakeGateway>;
  /** Ends the broker as a crash would leave it, and starts it again on the same ledger; it serves these VOs then. */
  restart(vos?: readonly string[]): Promise<void>;
  readonly epoch: () => number;
  /** Why the broker gave up; whoever leaves something here fails. */
  readonly fatal: unknown[];
  /** Submits one job for Alice; gives its id. */
  submit(details?: Partial<JobSpec>): Promise<string>;
  /** The job as Alice sees it. */
  job(id: string): Promise<GetJobResponse>;
  stateOf(id: string): Promise<string>;
}

/** A machine that stands still for a moment loses no site. */
export const LEASE_MS = 10_000;
const BEACON_MS = 300;
const lasting = (): { readonly notBeforeMs: number; readonly notAfterMs: number } => ({
  notBeforeMs: Date.now() - HOUR_MS,
  notAfterMs: Date.now() + DAY_MS,
});

/** `place` is where the ledger lies: a file of its own without it; `accounts` is its staging service, if it has one. */
export async function openBrokerGrid(
  place?: LedgerPlace,
  accounts?: StagingAccounts,
): Promise<BrokerGrid> {
  const dir = mkdtempSync(join(tmpdir(), 'hanse-broker-'));
  const ledger = place ?? { kind: 'sqlite', file: join(dir, 'ledger.db') };
  const log = pino({ level: process.env['TEST_LOG'] ?? 'silent' });
  const { credentialsOf, authenticator, host, user, trust } = await openPki(dir);
  const brokerHost = host('broker');
  const clients: Pick<Connection<BrokerService>, 'close'>[] = [];
  const gateways: FakeGateway[] = [];
  const fatal: unknown[] = [];

  const startBroker = (vos: readonly string[] = ['demo']): Promise<OpenBroker> => {
    // The first ends its process, before another one may come.
    const first = Promise.withResolvers<unknown>();
    void first.promise.then((error) => fatal.push(error));
    return openBroker({
      ledger,
      access: { admins: ['/DC=org/DC=test/CN=Root'], vos },
      leaseMs: LEASE_MS,
      keepHistoryMs: 90 * DAY_MS,
      openGateway: (site) =>
        openClient(SiteGatewayService, `site ${site.id}`, site.address, {
          ...credentialsOf(brokerHost),
          checkServer: (der) => {
            const { subject } = readCertificate(der);
            return subject === site.dn ? undefined : new Error(`the gateway is ${subject}`);
          },
        }),
      accounts,
      sealKey: randomBytes(32),
      sweep: { everyMs: HOUR_MS, graceMs: 0 },
      clock: systemClock,
      log,
      onFatal: first.resolve,
    });
  };
  const startFront = (broker: OpenBroker, port: number): Promise<RunningServer> =>
    startServer({
      host: '127.0.0.1',
      port,
      identity: { certPem: pemOf(brokerHost), keyPem: keyPemOf(brokerHost) },
      authenticator,
      services: broker.services,
      log,
    });
  let broker = await startBroker();
  // Nobody else gets it while the broker is away.
  let front = await startFront(broker, await freePort('127.0.0.1'));

  const connections = new Map<string, BrokerCalls>();
  const as = (name: string): BrokerCalls => {
    const known = connections.get(name);
    if (known !== undefined) return known;
    const client = openClient(
      BrokerService,
      'broker',
      `127.0.0.1:${front.port}`,
      credentialsOf(user(name)),
    );
    clients.push(client);
    connections.set(name, client.call);
    return client.call;
  };
  const datasetsAs = (name: string): RpcClient<DatasetsService> => {
    const at = `127.0.0.1:${front.port}`;
    const client = openClient(DatasetsService, 'broker', at, credentialsOf(user(name)));
    clients.push(client);
    return client.call;
  };
  const enrol = async (id: string, shown: string, offer: Partial<Offer>): Promise<FakeGateway> => {
    const entity = host(shown);
    const gateway = await openFakeGateway({
      identity: { certPem: pemOf(entity), keyPem: keyPemOf(entity) },
      authenticator,
      offer: offerOf(id, offer),
      beaconMs: BEACON_MS,
    });
    gateways.push(gateway);
    await as('Root').enrolSite({ id, address: gateway.address, dn: host(id).cert.subject });
    return gateway;
  };
  return {
    as,
    datasetsAs,
    epoch: () => broker.epoch,
    fatal,
    site: async (id, offer = {}) => {
      const gateway = await enrol(id, id, offer);
      await until(async () => {
        const { sites } = await as('Root').listSites({});
        return sites.find((site) => site.id === id)?.state === SiteState.SITE_STATE_UP;
      });
      return gateway;
    },
    impostor: (id) => enrol(id, 'impostor', {}),
    restart: async (vos) => {
      const { port } = front;
      for (const client of clients.splice(0)) client.close();
      connections.clear();
      await front.close(0);
      await broker[Symbol.asyncDispose]();
      broker = await startBroker(vos);
      front = await startFront(broker, port);
    },
    submit: async (details) => {
      const { jobIds } = await as('Alice').submit({
        submitKey: randomUUID(),
        jobs: [newJob(details)],
        flow: undefined,
        s3: [],
      });
      return jobIds[0] ?? '';
    },
    job: (jobId) => as('Alice').getJob({ jobId, summaryOnly: false, firstTask: 0, maxTasks: 0 }),
    stateOf: async (jobId) => {
      const page = { summaryOnly: true, firstTask: 0, maxTasks: 0 };
      const { summary } = await as('Alice').getJob({ jobId, ...page });
      return summary === undefined ? '' : stateFromWire(summary.state);
    },
    [Symbol.asyncDispose]: async () => {
      for (const client of clients) client.close();
      await front.close(0);
      await broker[Symbol.asyncDispose]();
      for (const gateway of gateways) await gateway[Symbol.asyncDispose]();
      trust.close();
      rmSync(dir, { recursive: true });
      if (fatal.length > 0) throw new Error('the broker gave up', { cause: fatal[0] });
    },
  };
}

/** A job as it travels. */
export const newJob = (details: Partial<JobSpec> = {}) => ({
  spec: specToWire(specOf(details)),
  inputs: treeToWire({ digest: '', totalBytes: 0, files: 0 }),
  node: '',
});

/** Waits until a condition holds; how long at most is for a busy machine. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  timeoutMs = 120_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > deadline)
      throw new Error(`not within ${timeoutMs} ms: ${holds.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Of those who are more or less than a plain member of VO demo. */
const ATTRIBUTES: Readonly<Record<string, readonly string[]>> = {
  Eve: [],
  Mary: ['/demo', '/demo/Role=manager'],
  Grace: ['/demo/imaging', '/demo', '/demo/genomics'],
  Otto: ['/other', '/other/Role=manager'],
};

interface Pki {
  readonly trust: TrustStore;
  readonly authenticator: Authenticator;
  readonly host: (name: string) => Entity;
  readonly user: (name: string) => Entity;
  readonly credentialsOf: (entity: Entity) => ClientCredentials;
}

async function openPki(dir: string): Promise<Pki> {
  const root = makeAuthority('/DC=org/DC=test/CN=Root CA', {
    notBeforeMs: Date.now() - HOUR_MS,
    notAfterMs: Date.now() + 90 * DAY_MS,
  });
  const trustDir = join(dir, 'certificates');
  mkdirSync(trustDir);
  const dates = { thisUpdateMs: Date.now() - 1_000, nextUpdateMs: Date.now() + DAY_MS };
  await installIn(trustDir, root, crlOf(root, dates));
  const log = pino({ level: 'silent' });
  const trust = TrustStore.open({
    dir: trustDir,
    crl: 'require',
    clock: systemClock,
    log,
    reloadMs: 0,
  });
  const real = openAuthenticator({ trust, clock: systemClock });
  const entities = new Map<string, Entity>();
  const kept = (name: string, make: () => Entity): Entity => {
    const entity = entities.get(name) ?? make();
    entities.set(name, entity);
    return entity;
  };
  return {
    trust,
    // Paths are validated for real; attributes are given.
    authenticator: {
      authenticate: (chain) => {
        const peer = real.authenticate(chain);
        const name = peer.dn.slice(peer.dn.lastIndexOf('=') + 1);
        const fqans = ATTRIBUTES[name] ?? ['/demo'];
        return { ...peer, fqans: fqans.flatMap((text) => parseFqan(text) ?? []) };
      },
      onChange: (listener) => real.onChange(listener),
    },
    host: (name) =>
      kept(`host/${name}`, () =>
        makeHost(root, `/DC=org/DC=test/CN=${name}`, ['127.0.0.1'], lasting()),
      ),
    user: (name) =>
      kept(`user/${name}`, () => makeUser(root, `/DC=org/DC=test/CN=${name}`, lasting())),
    credentialsOf: (entity) => ({
      caPem: trust.caPem(),
      crlPem: trust.crlPem(),
      certPem: pemOf(entity),
      keyPem: keyPemOf(entity),
    }),
  };
}
