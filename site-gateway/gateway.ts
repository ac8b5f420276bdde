import { randomUUID } from 'node:crypto';
import { arch } from 'node:os';
import { join } from 'node:path';
import { createUser, fromSeed } from '@nats-io/nkeys';
import { dn, voName } from '../core/ids.ts';
import { sandboxFeatures } from '../core/job/sandbox.ts';
import type { Offer } from '../core/match/offer.ts';
import { formatFqan } from '../core/vo/fqan.ts';
import type { SiteGatewayService } from '../proto/gen/grid/v1/site.ts';
import type { Clock } from '../service/clock.ts';
import { compilePolicy } from '../service/expression/expression.ts';
import { keptSecret } from '../service/kept-secret.ts';
import type { Log } from '../service/log.ts';
import type { Handlers } from '../service/rpc/rpc.ts';
import type { CacheKeeper } from '../service/staging/cache-keeper.ts';
import type { ChunkStore } from '../service/staging/chunk-store.ts';
import type { Nkey } from '../service/staging/nats-link.ts';
import { type AccountMap, openAccounts } from './accounts/account-map.ts';
import { attemptDirectory } from './attempts/attempt-directory.ts';
import { openSpoolCleaner } from './attempts/clean-spool.ts';
import { type BootClock, type Lease, openLease } from './attempts/lease.ts';
import { openPlace } from './attempts/place.ts';
import { openSendAgain } from './attempts/send-again.ts';
import { openSpareDirectories, type SpareDirectories } from './attempts/spare-directories.ts';
import { openStock, type Stock } from './attempts/stock.ts';
import { Supervisor } from './attempts/supervisor.ts';
import type { SupervisorOptions } from './attempts/supervisor-options.ts';
import { type Change, openChange } from './change.ts';
import { fetchRules, type SiteConfig } from './config.ts';
import { every } from './every.ts';
import { openSignedUrls, type SignedUrls } from './fetch/signed-urls.ts';
import type { Journal } from './journal/journal.ts';
import { openJournal } from './journal/open-journal.ts';
import { openLiveOutputs } from './live/live-outputs.ts';
import { detectFeatures } from './lrms/features.ts';
import { hostsOf } from './lrms/fork/fork-task.ts';
import type { LrmsState } from './lrms/lrms.ts';
import { lrmsName, openLrms, ownSize, type SiteSize, sizeOf } from './lrms/open-lrms.ts';
import { offerOf, type SiteFacts, type SiteNow } from './offer.ts';
import { type OwnerWatch, watchOwner } from './owner/owner-watch.ts';
import { gatewayHandlers } from './rpc.ts';
import { findModules } from './software/find-modules.ts';
import { type FoundRuntime, findRuntime } from './software/find-runtime.ts';
import { type Disk, openDisk } from './staging/disk.ts';
import type { RoomClaim } from './staging/disk-room.ts';
import type { SiteStaging } from './staging/site-staging.ts';
import { openTickets, type Tickets } from './staging/tickets.ts';
import { openTransferQueue, type TransferQueue } from './staging/transfer-turns.ts';
import { clearTransfer, openTransfers } from './staging/transfers.ts';

/** What a gateway needs of the world around it. */
export interface GatewayOptions {
  readonly config: SiteConfig;
  readonly version: string;
  readonly clock: Clock;
  readonly bootClock: BootClock;
  readonly log: Log;
  /** The cache of input files. */
  readonly cache: Pick<CacheKeeper, 'free' | 'clearable'>;
  readonly openStaging: (parts: StagingNeeds) => SiteStaging;
  /** What its administrator should know of the host certificate; '' for nothing. */
  readonly certificateTrouble: () => string;
}

/** What staging gets of the gateway. */
interface StagingNeeds {
  readonly nkey: Nkey;
  readonly tickets: Tickets;
  readonly signed: SignedUrls;
  /** Room for what comes of a size that is not known before. */
  readonly claimRoom: () => RoomClaim;
}

/** A gateway without its server. */
export interface Gateway extends AsyncDisposable {
  readonly handlers: Handlers<typeof SiteGatewayService>;
}

const LEASE_LOOK_MS = 100;
const CLEAN_MS = 15_000;
const MOST_AHEAD = 64;

/** Takes up what an earlier run left, and is ready to answer. Disposing of it leaves tasks running. */
export async function openGateway(options: GatewayOptions): Promise<Gateway> {
  const { config, clock, log } = options;
  await using stack = new AsyncDisposableStack();
  const spares = await openSpares(config, log);
  const nkey = await keptNkey(join(config.spool, 'nkey.seed'));
  const offerChange = openChange();
  const announce = (): void => offerChange.announce();
  const disk = stack.use(
    await openDisk({
      spool: config.spool,
      minFreeBytes: config['min-free-disk'],
      mostBytes: config.disk,
      cache: options.cache,
      log,
      onChange: announce,
    }),
  );
  const journal = stack.use(
    openJournal({
      file: join(config.spool, 'journal.db'),
      nowMs: clock.nowMs(),
      log,
      onTrouble: (error) => disk.journalTrouble(error),
    }),
  );
  const accounts = openAccounts(config);
  const software = await findSoftware(config, log);
  const lease = openLease(options.bootClock, randomUUID(), journal.lease());
  const tickets = openTickets(journal, clock, config['staging-patience']);
  const signed = openSignedUrls(clock, config['staging-patience']);
  const staging = stack.use(openStaging(options, { nkey, tickets, signed }, disk));
  // Before staging, which would wait for them.
  stack.use(tickets);
  const owned = { journal, staging, disk, accounts, spares, ...software };
  const movers = moversOf(options, owned);
  const supervisor = new Supervisor({
    site: config.site,
    spool: config.spool,
    path: config.path,
    modulesInit: config.modules?.init,
    ...owned,
    runtime: software.images.runtime,
    openLrms: (listener) => openLrms(config, { clock, log, accounts: accounts.all }, listener),
    ...movers,
    stock: stockOf(config, disk),
    clock,
    log,
    onChange: announce,
  });
  stack.defer(() => supervisor.stop());
  await supervisor.resume();
  const owner = stack.use(watchOwner({ config, supervisor, clock, log, onChange: announce }));
  stack.use(every(LEASE_LOOK_MS, 'watch the lease', log, () => endOfLease(lease, supervisor)));
  const clean = openSpoolCleaner({ journal, config, clock, log });
  stack.use(every(CLEAN_MS, 'clean the spool', log, clean));
  stack.use(every(CLEAN_MS, 'forget addresses', log, () => forgetUrls(signed, supervisor)));
  const parts = { ...owned, ...movers, owner, supervisor, lease, tickets, signed, offerChange };
  const handlers = handlersOf(options, nkey.publicKey, parts);
  const open = stack.move();
  return { handlers, [Symbol.asyncDispose]: () => open.disposeAsync() };
}

/** With directories for the tasks that run and for as many that end or wait, within reason. */
async function openSpares(config: SiteConfig, log: Log): Promise<SpareDirectories> {
  const spares = await openSpareDirectories(config.spool, log);
  const places = Math.min(MOST_AHEAD, 3 * ownSize(config).cpus);
  if (config.lrms === 'fork') await spares.makeAhead(hostsOf({ cpus: 1 }), places);
  return spares;
}

const findSoftware = async (
  { modules, containers, path, lrms, spool, accounts }: SiteConfig,
  log: Log,
): Promise<Pick<Parts, 'modules' | 'images'>> => ({
  modules: await findModules(modules, path),
  images: await findRuntime(containers, {
    path,
    spool,
    isHere: lrms === 'fork',
    hasAccounts: accounts.length > 0,
    log,
  }),
});

const openStaging = (
  options: GatewayOptions,
  needs: Omit<StagingNeeds, 'claimRoom'>,
  disk: Disk,
): SiteStaging => options.openStaging({ ...needs, claimRoom: () => disk.claim() });

/** What moves files, each in its turn. */
function moversOf(
  { config, clock, log }: GatewayOptions,
  { staging, journal }: Pick<Parts, 'staging' | 'journal'>,
): Pick<SupervisorOptions, 'transfers' | 'live' | 'runTransfer' | 'clearTransfer'> {
  const transfers = openTransferQueue(config.transfers);
  const everyMs = config['live-every'];
  const storeOf = (vo: string): ChunkStore => staging.storeOf(vo);
  return {
    transfers,
    live: openLiveOutputs({ everyMs, storeOf, transfers, journal, clock, log }),
    runTransfer: openTransfers({
      paths: config['data-paths'],
      storeOf,
      stageIn: (...call) => staging.stageIn(...call),
    }),
    clearTransfer: (attempt, transfer) => clearTransfer(config['data-paths'], attempt, transfer),
  };
}

const stockOf = ({ licences }: SiteConfig, disk: Disk): Stock =>
  openStock(() => ({ diskBytes: disk.space().totalBytes, licences }));

interface Parts {
  readonly journal: Journal;
  readonly supervisor: Supervisor;
  readonly owner: OwnerWatch;
  readonly transfers: TransferQueue;
  readonly lease: Lease;
  readonly tickets: Tickets;
  readonly signed: SignedUrls;
  readonly staging: SiteStaging;
  readonly disk: Disk;
  readonly accounts: AccountMap;
  readonly modules: readonly string[];
  readonly images: FoundRuntime;
  readonly offerChange: Change;
}

function handlersOf(options: GatewayOptions, nkey: string, parts: Parts): Gateway['handlers'] {
  const { config, clock, certificateTrouble } = options;
  const { journal, supervisor, owner, lease, tickets, signed, staging, disk, accounts } = parts;
  const facts = factsOf(options, nkey, supervisor.lrmsState(), parts);
  const closedReason = (): string =>
    disk.closedReason() || owner.closedReason() || supervisor.lrmsState().closedReason;
  const now = (): Pick<SiteNow, 'size' | 'disk'> => ({
    size: lentSize(sizeOf(config, supervisor.lrmsState()), owner),
    disk: disk.space(),
  });
  const offer = (): Offer =>
    offerOf(facts, {
      ...now(),
      committed: supervisor.committed(),
      closedReason: closedReason(),
      warmTrees: staging.warmTrees(),
    });
  return gatewayHandlers({
    brokerDn: dn(config['broker-dn']),
    journal,
    supervisor,
    transfers: { ...parts.transfers, ...staging },
    certificateTrouble,
    imagesTrouble: parts.images.trouble,
    lease,
    nowMs: () => clock.nowMs(),
    offer,
    offerChange: parts.offerChange,
    placing: openPlace({
      facts,
      now,
      journal,
      supervisor,
      closedReason: () => closedReason() || leaseOver(lease),
      unwelcome: policyOf(config.policy),
      accountless: (wish) => accounts.refusal(wish),
      nowMs: () => clock.nowMs(),
    }),
    addTickets: (fresh) => tickets.add(fresh),
    addSignedUrls: (fresh) => signed.add(fresh),
    tailSource: {
      find: (id) => supervisor.find(id),
      directoryOf: (id) => attemptDirectory(config.spool, id),
      known: (id) => journal.known([id]).has(id),
      outputsOf: (id) => journal.outputsOf(id),
    },
    sendAgain: openSendAgain({ ...parts, spool: config.spool }),
  });
}

/** While its owner has the machine nothing of it is free. */
const lentSize = (size: SiteSize, owner: OwnerWatch): SiteSize =>
  owner.closedReason() === '' ? size : { ...size, usableCpus: 0, usableGpus: 0 };

/** The staging user of this gateway: made once, its seed never leaves the spool. */
async function keptNkey(file: string): Promise<Nkey> {
  const seed = await keptSecret(file, () => createUser().getSeed());
  return { publicKey: fromSeed(seed).getPublicKey(), seed };
}

function factsOf(
  { config, version }: GatewayOptions,
  nkey: string,
  { sandbox = 'account', gpuModels = [] }: LrmsState,
  { accounts, modules, images: { runtime } }: Pick<Parts, 'accounts' | 'modules' | 'images'>,
): SiteFacts {
  const found = [...detectFeatures(config.path), ...sandboxFeatures(sandbox)];
  const machine = { x64: 'x86_64', arm64: 'aarch64' } as Readonly<Record<string, string>>;
  return {
    site: config.site,
    version,
    lrms: lrmsName(config),
    arch: machine[arch()] ?? arch(),
    os: process.platform,
    features: [...new Set([...config.features, ...found])].toSorted(),
    vos: config.vos.map(voName),
    policy: config.policy,
    backlog: config.backlog,
    nkey,
    admins: config.admins.map(dn),
    gpuModels: [...new Set([...config['gpu-models'], ...gpuModels])],
    licences: config.licences,
    price: config.price,
    accounts: accounts.rules,
    modules,
    fetchFrom: fetchRules(config),
    containers: runtime && { runtime: runtime.name, images: config.containers.images },
  };
}

/** The broker has looked at the policy already; the site believes nobody. */
function policyOf(text: string): Parameters<typeof openPlace>[0]['unwelcome'] {
  const policy = compilePolicy(text);
  return (spec, { dn: owner, fqans }) => {
    const verdict = policy(spec, { dn: owner, fqans: fqans.map(formatFqan) });
    if (verdict.holds) return undefined;
    return verdict.reason || `the site's policy '${text}' does not hold for '${owner}'`;
  };
}

const leaseOver = (lease: Lease): string =>
  lease.leftMs() > 0 ? '' : 'the lease of the site is over: renew it first';

/** Ends in time what another site may be given once the lease is over. */
async function endOfLease(lease: Lease, supervisor: Supervisor): Promise<void> {
  if (lease.leftMs() > 0) return;
  const graceMs = lease.graceMs() / 2;
  await supervisor.end(supervisor.leased(), 'lease-expired', { graceMs, latestMs: graceMs });
}

/** A signed address is kept while an attempt of its job is here. */
const forgetUrls = (signed: SignedUrls, supervisor: Supervisor): Promise<void> =>
  Promise.resolve(signed.keepOnly(supervisor.liveJobs()));
