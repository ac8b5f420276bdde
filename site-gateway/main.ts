import { setFlagsFromString } from 'node:v8';
import { SiteGatewayService } from '../proto/gen/grid/v1/site.ts';
import { type Clock, systemClock } from '../service/clock.ts';
import { loadConfig } from '../service/config.ts';
import { formatSettings } from '../service/config-text.ts';
import { type Log, openLog } from '../service/log.ts';
import { served, startServer } from '../service/rpc/grpc-server.ts';
import { readSettingFile } from '../service/rpc/host-identity.ts';
import { keepIdentity } from '../service/rpc/keep-identity.ts';
import {
  announceReady,
  endBySignals,
  type ServeOptions,
  untilStopped,
} from '../service/shutdown.ts';
import type { CacheKeeper } from '../service/staging/cache-keeper.ts';
import { openRate, type Rate } from '../service/staging/rate.ts';
import { openStateDirectory, stateFailure } from '../service/state-directory.ts';
import { openAuthenticator } from '../service/trust/authenticator.ts';
import { keepTrust } from '../service/trust/keep-trust.ts';
import { TrustStore } from '../service/trust/trust-store.ts';
import { readVersion } from '../service/version.ts';
import { systemBootClock } from './attempts/lease.ts';
import { fetchRules, SITE_CONFIG, type SiteConfig } from './config.ts';
import { openWeb, type Web } from './fetch/https-get.ts';
import {
  openRemoteInputs,
  type RemoteInputs,
  type RemoteInputsOptions,
} from './fetch/remote-inputs.ts';
import { openGateway } from './gateway.ts';
import { cacheDirectory, placementOf, siteCache } from './staging/cache.ts';
import { openSiteStaging } from './staging/site-staging.ts';

export { findLrms } from './lrms/find-lrms.ts';

/** `grid site serve`: serves until it is told to stop, or only prints the settings. */
export async function serveSite(file: string, options: ServeOptions): Promise<void> {
  const { config, settings } = loadConfig(SITE_CONFIG, file);
  if (options.printConfig) {
    process.stdout.write(formatSettings(settings));
    return;
  }
  // The machine is somebody's: a third of the memory, at no cost in jobs per second.
  setFlagsFromString('--memory-saver-mode');
  const log = openLog('site', config['log-level'], process.env['JOURNAL_STREAM']).child({
    site: config.site,
  });
  await endBySignals(options);
  await openStateDirectory('spool', config.spool);
  await using running = await startSite(config, { clock: systemClock, log }).catch(
    (error: unknown) => {
      throw stateFailure('spool', config.spool, error);
    },
  );
  const stopped = untilStopped({ log, watchStdin: process.env['GRID_PARENT_PIPE'] === '1' });
  announceReady('site', running.address);
  await stopped;
}

/** The cache of the gateway with this configuration, for its administrator; the gateway may run meanwhile. */
export function openCache(file: string): {
  readonly keeper: CacheKeeper;
  readonly highBytes: number;
} {
  const { config } = loadConfig(SITE_CONFIG, file);
  const log = openLog('site', 'error');
  return { keeper: siteCache(config, systemClock, log), highBytes: config['cache-high'] };
}

/** A gateway that answers. */
interface RunningSite extends AsyncDisposable {
  /** `host:port` that it listens on. */
  readonly address: string;
}

/** Starts the gateway in this process; disposing of the result stops it and leaves tasks running. */
async function startSite(
  config: SiteConfig,
  around: { readonly clock: Clock; readonly log: Log },
): Promise<RunningSite> {
  await using stack = new AsyncDisposableStack();
  const { clock, log } = around;
  const identity = stack.use(keepIdentity(config, around));
  const { authority, trust: dir } = config;
  if (authority !== undefined)
    stack.use(keepTrust({ authority, dir, everyMs: config['trust-every'], log }));
  const trust = stack.use(TrustStore.open({ dir, crl: config.crl, clock, log }));
  const keeper = siteCache(config, clock, log);
  const newRate = (): Rate => openRate(config['max-rate'], clock);
  const rates = { incoming: newRate(), outgoing: newRate() };
  const gateway = stack.use(
    await openGateway({
      config,
      version: readVersion(),
      clock,
      bootClock: systemBootClock(),
      log,
      cache: keeper,
      certificateTrouble: () => identity.trouble(),
      openStaging: ({ nkey, tickets, signed, claimRoom }) =>
        openSiteStaging({
          nkey,
          tickets,
          caPem: () => trust.caPem(),
          servers: config['nats-servers'],
          cache: cacheDirectory(config),
          placement: placementOf(config),
          keeper,
          patienceMs: config['staging-patience'],
          clock,
          log,
          remote: remoteOf(config, { signed, claimRoom, keeper }, clock, rates.incoming),
          rates,
        }),
    }),
  );
  const { host } = config.listen;
  const server = stack.use(
    await startServer({
      host,
      port: config.listen.port,
      identity: identity.current(),
      authenticator: openAuthenticator({ trust, vomsDir: config.vomsdir, clock }),
      services: [served(SiteGatewayService, gateway.handlers)],
      log,
    }),
  );
  identity.follow((fresh) => server.present(fresh));
  const owned = stack.move();
  return {
    address: host.includes(':') ? `[${host}]:${server.port}` : `${host}:${server.port}`,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface RemoteNeeds extends Pick<RemoteInputsOptions, 'signed' | 'claimRoom'> {
  readonly keeper: CacheKeeper;
}

function remoteOf(
  config: SiteConfig,
  { keeper, ...needs }: RemoteNeeds,
  clock: Clock,
  incoming: Rate,
): RemoteInputs {
  return openRemoteInputs({
    ...needs,
    grew: (bytes) => keeper.added(bytes),
    web: webOf(config),
    clock,
    patienceMs: config['staging-patience'],
    leastRate: config['fetch-min-rate'],
    pace: (bytes) => incoming.take(bytes),
  });
}

const MOST_SILENCE_MS = 60_000;

function webOf(config: SiteConfig): Web {
  const ca = config['fetch-ca'];
  return openWeb({
    rules: fetchRules(config),
    moreCa: ca === undefined ? undefined : readSettingFile('fetch-ca', ca),
    silenceMs: Math.min(MOST_SILENCE_MS, config['staging-patience']),
  });
}
