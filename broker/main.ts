import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { GridError } from '../core/errors.ts';
import type { ShareSettings } from '../core/share/share-tree.ts';
import { SiteGatewayService } from '../proto/gen/grid/v1/site.ts';
import { type Clock, systemClock } from '../service/clock.ts';
import { loadConfig } from '../service/config.ts';
import { formatSettings } from '../service/config-text.ts';
import { type Log, openLog } from '../service/log.ts';
import { readCertificate } from '../service/pki/x509.ts';
import { openClient } from '../service/rpc/grpc-client.ts';
import { startServer } from '../service/rpc/grpc-server.ts';
import { keepIdentity } from '../service/rpc/keep-identity.ts';
import {
  announceReady,
  endBySignals,
  type ServeOptions,
  untilStopped,
} from '../service/shutdown.ts';
import { openStateDirectory, stateFailure } from '../service/state-directory.ts';
import { openAuthenticator } from '../service/trust/authenticator.ts';
import { TrustStore } from '../service/trust/trust-store.ts';
import { openBroker } from './broker.ts';
import { BROKER_CONFIG, type BrokerConfig, ledgerPlace } from './config.ts';
import { writeLeafPackage } from './data/leaf-package.ts';
import { openStagingAccounts, type StagingAccounts } from './data/staging-accounts.ts';
import { keepSealKey } from './s3/seal.ts';
import type { LinkOptions } from './sites/site-context.ts';
import type { SiteRecord } from './sites/site-registry.ts';

/**
 * Most of what a broker keeps are records of jobs that stay, and a long queue comes in fast: V8 would let the heap grow
 * up to fourfold before it looks for what is garbage. Twice costs little more time and half the memory.
 */
const HEAP_GROWTH = '--heap-growing-percent=100';

/** `grid broker serve`: serves until it is told to stop, or only prints the settings. */
export async function serveBroker(file: string, options: ServeOptions): Promise<void> {
  const { config, settings } = loadConfig(BROKER_CONFIG, file);
  if (options.printConfig) {
    process.stdout.write(formatSettings(settings));
    return;
  }
  setFlagsFromString(HEAP_GROWTH);
  const log = openLog('broker', config['log-level'], process.env['JOURNAL_STREAM']);
  await endBySignals(options);
  await openStateDirectory('state', config.state);
  const stopped = untilStopped({ log, watchStdin: process.env['GRID_PARENT_PIPE'] === '1' });
  const stop = new AbortController();
  void stopped.then(() => stop.abort());
  const failed = Promise.withResolvers<never>();
  try {
    await using running = await startBroker(config, {
      clock: systemClock,
      log,
      onFatal: (error) => failed.reject(error),
      signal: stop.signal,
    });
    announceReady('broker', running.address);
    await Promise.race([stopped, failed.promise]);
  } catch (error) {
    // Told to stop while it waited for another broker to go.
    if (error !== stop.signal.reason) throw stateFailure('state', config.state, error);
  }
}

/** `grid broker leaf`: writes what a leaf node needs; throws CONFIG_INVALID, VO_NOT_FOUND. */
export async function writeLeaf(
  file: string,
  wish: { readonly dir: string; readonly vos: readonly string[]; readonly lifetimeMs: number },
): Promise<{ readonly vos: readonly string[]; readonly expiresAtMs: number }> {
  const { config } = loadConfig(BROKER_CONFIG, file);
  const { staging } = config;
  if (staging === undefined || staging['leaf-servers'].length === 0)
    throw new GridError('CONFIG_INVALID', `${file} names no staging.leaf-servers`);
  const unknown = wish.vos.find((vo) => !config.vos.some((known) => known === vo));
  if (unknown !== undefined)
    throw new GridError('VO_NOT_FOUND', `this broker does not serve the VO '${unknown}'`);
  const vos = wish.vos.length === 0 ? config.vos : wish.vos;
  const expiresAtMs = systemClock.nowMs() + wish.lifetimeMs;
  await writeLeafPackage({
    dir: wish.dir,
    servers: staging['leaf-servers'],
    operatorDir: staging.keys,
    stateDir: accountsDir(config),
    vos,
    expiresAtMs,
  });
  return { vos, expiresAtMs };
}

const accountsDir = ({ state }: BrokerConfig): string => join(state, 'accounts');

/** A broker that answers. */
interface RunningBroker extends AsyncDisposable {
  /** `host:port` that it listens on. */
  readonly address: string;
}

interface Around {
  readonly clock: Clock;
  readonly log: Log;
  /** What happened leaves memory and ledger apart, or another broker has taken over: stop. */
  readonly onFatal: (error: unknown) => void;
  /** Stop before it serves. */
  readonly signal: AbortSignal;
}

/** Starts the broker in this process; disposing of the result stops it. */
async function startBroker(config: BrokerConfig, around: Around): Promise<RunningBroker> {
  await using stack = new AsyncDisposableStack();
  const { clock, log, onFatal, signal } = around;
  const trust = stack.use(TrustStore.open({ dir: config.trust, crl: config.crl, clock, log }));
  const identity = stack.use(keepIdentity(config, around));
  const accounts = await openAccounts(config, trust, around);
  if (accounts !== undefined) stack.use(accounts);
  const open: (site: SiteRecord) => ReturnType<LinkOptions['open']> = (site) =>
    openClient(SiteGatewayService, `site ${site.id}`, site.address, {
      ...identity.current(),
      caPem: trust.caPem(),
      crlPem: trust.crlPem(),
      checkServer: (certificate) => checkDn(certificate, site.dn),
    });
  const broker = stack.use(
    await openBroker({
      ledger: ledgerPlace(config),
      access: { admins: config.admins, vos: config.vos },
      leaseMs: config.lease,
      keepHistoryMs: config['keep-history'],
      shares: sharesOf(config),
      openGateway: open,
      accounts,
      sealKey: await keepSealKey(config['seal-key'] ?? join(config.state, 'seal.key')),
      sweep: {
        everyMs: config.staging?.['sweep-every'] ?? 0,
        graceMs: config.staging?.['sweep-grace'] ?? 0,
      },
      clock,
      log,
      onFatal,
      signal,
    }),
  );
  const { host } = config.listen;
  const server = stack.use(
    await startServer({
      host,
      port: config.listen.port,
      identity: identity.current(),
      authenticator: openAuthenticator({ trust, vomsDir: config.vomsdir, clock }),
      services: broker.services,
      log,
    }),
  );
  identity.follow((fresh) => server.present(fresh));
  log.info({ epoch: broker.epoch, jobs: broker.openJobs }, 'broker serves');
  const owned = stack.move();
  return {
    address: host.includes(':') ? `[${host}]:${server.port}` : `${host}:${server.port}`,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const sharesOf = (config: BrokerConfig): ShareSettings => ({
  halfLifeMs: config['share-half-life'],
  weights: {
    memoryBytesPerCpu: config['share-weights']['memory-per-cpu'],
    cpusPerGpu: config['share-weights']['cpus-per-gpu'],
  },
});

async function openAccounts(
  config: BrokerConfig,
  trust: TrustStore,
  { clock, log }: Around,
): Promise<StagingAccounts | undefined> {
  const { staging } = config;
  if (staging === undefined) return undefined;
  return openStagingAccounts({
    servers: staging.servers,
    operatorDir: staging.keys,
    stateDir: accountsDir(config),
    caPem: trust.caPem(),
    vos: config.vos,
    replicas: staging.replicas,
    chunksPerVo: staging['chunk-quota'],
    ...(staging.quota === undefined ? {} : { bytesPerVo: staging.quota }),
    clock,
    log,
  });
}

/** A host with a valid certificate that is not the enrolled one must not get the site's work. */
function checkDn(certificate: Uint8Array, wanted: string): Error | undefined {
  const { subject } = readCertificate(certificate);
  if (subject === wanted) return undefined;
  return new Error(`the gateway is ${subject}, and ${wanted} is enrolled`);
}
