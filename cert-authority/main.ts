import { CertAuthorityService, VoMembershipService } from '../proto/gen/grid/v1/authority.ts';
import { background } from '../service/background.ts';
import { type Clock, systemClock } from '../service/clock.ts';
import { loadConfig } from '../service/config.ts';
import { formatSettings } from '../service/config-text.ts';
import { type Log, openLog } from '../service/log.ts';
import { type RunningServer, served, startServer } from '../service/rpc/grpc-server.ts';
import { type KeptIdentity, keepIdentity } from '../service/rpc/keep-identity.ts';
import {
  announceReady,
  endBySignals,
  type ServeOptions,
  untilStopped,
} from '../service/shutdown.ts';
import { openStateDirectory, stateFailure } from '../service/state-directory.ts';
import { openAuthenticator } from '../service/trust/authenticator.ts';
import { TrustStore } from '../service/trust/trust-store.ts';
import type { Authority } from './authority.ts';
import { AUTHORITY_CONFIG, type AuthorityConfig } from './config.ts';
import { publishCrl } from './crl.ts';
import { renewHostIdentity } from './host-identity.ts';
import { addressOf, openAuthority } from './open.ts';
import { ANONYMOUS_METHODS, certAuthorityHandlers } from './rpc.ts';
import { voMembershipHandlers } from './rpc-vo.ts';
import { publishAllLsc } from './vo.ts';

export { type AuthorityWish, initAuthority, type NewAuthority } from './init.ts';
export { issueOffline, makeOfflineToken, renewOffline } from './offline.ts';

/** A longer timer fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** `grid authority serve`: serves until it is told to stop, or only prints the settings. */
export async function serveAuthority(file: string, options: ServeOptions): Promise<void> {
  const { config, settings } = loadConfig(AUTHORITY_CONFIG, file);
  if (options.printConfig) {
    process.stdout.write(formatSettings(settings));
    return;
  }
  const log = openLog('authority', config['log-level'], process.env['JOURNAL_STREAM']);
  await endBySignals(options);
  await openStateDirectory('state', config.state);
  await using running = await startAuthority(config, { clock: systemClock, log }).catch(
    (error: unknown) => {
      throw stateFailure('state', config.state, error);
    },
  );
  const stopped = untilStopped({ log, watchStdin: process.env['GRID_PARENT_PIPE'] === '1' });
  announceReady('authority', running.address);
  await stopped;
}

/** An authority that answers. */
export interface RunningAuthority extends AsyncDisposable {
  /** `host:port` that it listens on. */
  readonly address: string;
}

/** Starts the server in this process; disposing of the result stops it. */
export async function startAuthority(
  config: AuthorityConfig,
  around: { readonly clock: Clock; readonly log: Log },
): Promise<RunningAuthority> {
  await using stack = new AsyncDisposableStack();
  const { clock, log } = around;
  // The port of the file may be 0: what goes into tokens is known once the server listens.
  let address = addressOf(config);
  let trust: TrustStore | undefined;
  const reload = async (): Promise<void> => trust?.reload();
  const opened = await openAuthority(config, {
    clock,
    log,
    address,
    trustChanged: () => background('read the trust directory again', reload(), log),
  });
  stack.use(opened.ledger);
  const authority: Authority = {
    ...opened,
    get address() {
      return address;
    },
  };
  await renewHostIdentity(authority, config);
  await publishCrl(authority);
  trust = stack.use(TrustStore.open({ dir: config.trust, crl: config.crl, clock, log }));
  const identity = stack.use(keepIdentity(config, around));
  const server = stack.use(await startRpc(config, authority, { trust, identity }, log));
  identity.follow((fresh) => server.present(fresh));
  address = addressOf(config, server.port);
  await publishAllLsc(authority);
  stack.use(keepFresh(config, authority, log));
  const { host } = config.listen;
  const owned = stack.move();
  return {
    address: host.includes(':') ? `[${host}]:${server.port}` : `${host}:${server.port}`,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function startRpc(
  config: AuthorityConfig,
  authority: Authority,
  { trust, identity }: { readonly trust: TrustStore; readonly identity: KeptIdentity },
  log: Log,
): Promise<RunningServer> {
  return startServer({
    host: config.listen.host,
    port: config.listen.port,
    identity: identity.current(),
    authenticator: openAuthenticator({ trust, vomsDir: config.vomsdir, clock: authority.clock }),
    services: [
      served(CertAuthorityService, certAuthorityHandlers(authority), ANONYMOUS_METHODS),
      served(VoMembershipService, voMembershipHandlers(authority)),
    ],
    log,
  });
}

/** A CRL runs out even when nothing is revoked, and so does the host certificate of one that nobody restarts. */
function keepFresh(config: AuthorityConfig, authority: Authority, log: Log): Disposable {
  const publish = async (): Promise<void> => {
    await publishCrl(authority);
    authority.trustChanged();
  };
  const renew = async (): Promise<void> => {
    if (await renewHostIdentity(authority, config))
      log.info({ certificate: config.certificate }, 'host certificate renewed');
  };
  // Never less than twice in the life of a CRL.
  const intervalMs = Math.min(config['crl-interval'], config['crl-lifetime'] / 2);
  const everyMs = Math.min(Math.max(intervalMs, 1_000), MAX_TIMER_MS);
  const timer = setInterval(() => {
    background('publish the CRL', publish(), log);
    background('renew the host certificate', renew(), log);
  }, everyMs);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
