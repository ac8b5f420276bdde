import type { ShareSettings } from '../core/share/share-tree.ts';
import type { Access } from '../core/vo/policy.ts';
import { BrokerService } from '../proto/gen/grid/v1/broker.ts';
import { DatasetsService } from '../proto/gen/grid/v1/data.ts';
import type { SiteGatewayService } from '../proto/gen/grid/v1/site.ts';
import type { Clock } from '../service/clock.ts';
import { openRules } from '../service/expression/rules.ts';
import type { Log } from '../service/log.ts';
import type { Connection } from '../service/rpc/grpc-client.ts';
import { type ServedService, served } from '../service/rpc/grpc-server.ts';
import type { ChunkStore } from '../service/staging/chunk-store.ts';
import type { Book } from './book.ts';
import { datasetHandlers } from './data/dataset-rpc.ts';
import { type Datasets, openDatasets } from './data/datasets.ts';
import type { OpenKeeper, StagingAccounts } from './data/staging-accounts.ts';
import { NO_SWEEPER, openSweeper, type Sweeper } from './data/sweeper.ts';
import { openFeed } from './feed.ts';
import { eventNumbers } from './jobs/change-set.ts';
import { openHistory } from './jobs/history.ts';
import { openJobStore } from './jobs/job-store.ts';
import { type Loaded, loadTable } from './jobs/load-table.ts';
import { openSubmit } from './jobs/submit.ts';
import { openHolds } from './ledger/holds.ts';
import { type Ledger, type LedgerPlace, openLedger } from './ledger/open-ledger.ts';
import { openRecorder } from './ledger/recorder.ts';
import { openRounds, type RoundsOptions } from './matching/rounds.ts';
import { NO_STORE, openTreeCounter } from './room/count-trees.ts';
import { openStoreRoom, type StoreRoom } from './room/store-room.ts';
import { type BrokerParts, brokerHandlers } from './rpc.ts';
import { openS3Secrets } from './s3/s3-secrets.ts';
import { openSiteLinks } from './sites/site-links.ts';
import { loadSites, type SiteRecord } from './sites/site-registry.ts';

export interface BrokerOptions {
  readonly ledger: LedgerPlace;
  readonly access: Access;
  readonly leaseMs: number;
  /** How long jobs stay in the ledger when they have ended. */
  readonly keepHistoryMs: number;
  /** How usage is counted; the usual way where it is left out. */
  readonly shares?: ShareSettings;
  /** Connects to the gateway of a site; must refuse one that is not the enrolled one. */
  readonly openGateway: (site: SiteRecord) => Connection<SiteGatewayService>;
  readonly accounts: StagingAccounts | undefined;
  /** Opens what is sealed in the ledger; 32 bytes, the same for all brokers that share it. */
  readonly sealKey: Uint8Array;
  /** How the stores are swept, where there is a staging service. */
  readonly sweep: { readonly everyMs: number; readonly graceMs: number };
  readonly clock: Clock;
  readonly log: Log;
  /** The broker must stop. Called once or more. */
  readonly onFatal: (error: unknown) => void;
  /** Ends the wait for a broker that leads now. */
  readonly signal?: AbortSignal;
}

/** A broker without its server. */
export interface OpenBroker extends AsyncDisposable {
  readonly services: readonly ServedService[];
  readonly epoch: number;
  /** Jobs that had not ended when it was opened. */
  readonly openJobs: number;
}

/** Reads the ledger, connects to the sites, begins to schedule. */
export async function openBroker(options: BrokerOptions): Promise<OpenBroker> {
  const { clock, log, access, leaseMs, accounts, onFatal } = options;
  await using stack = new AsyncDisposableStack();
  const ledger = stack.use(
    await openLedger(options.ledger, { log, onLost: onFatal, signal: options.signal }),
  );
  const { db, epoch } = ledger;
  const loaded = await loadTable(db, clock.nowMs(), options.shares);
  const book = openBook(ledger, loaded, options);
  stack.defer(() => book.recorder.settled().catch(() => undefined));
  stack.use(openHistory({ book, keepMs: options.keepHistoryMs }));
  const sites = await loadSites(db);
  const rules = openRules();
  const store = openJobStore(db);
  const secrets = stack.use(await openS3Secrets(book, store, options.sealKey));
  const sweeper = stack.use(sweeperOf(book, options));
  const send: RoundsOptions['send'] = (attempts) => links.place(attempts);
  const rounds = stack.use(openRounds({ book, sites, rules, access, send, onFatal }));
  const onChange = (): void => rounds.trigger();
  const links = stack.use(
    openSiteLinks((site) => ({
      book,
      store,
      site,
      rules,
      epoch,
      leaseMs,
      accounts,
      secrets,
      admit: sweeper.admit,
      doubt: sweeper.doubt,
      onChange,
      onFatal,
      open: () => options.openGateway(site),
    })),
  );
  for (const site of sites.values()) links.open(site);
  const { lastSeq, lastJobId } = loaded;
  const room = await openRoom(stack, book, accounts);
  const { admit } = sweeper;
  const datasets = await openDatasets(book, access, { admit, claim: room.claim });
  const common = { book, access, datasets, sweeper, room, store, secrets };
  const ids = { lastSeq, lastJobId, chance: Math.random };
  const submit = openSubmit({ ...common, ...ids, onQueued: onChange });
  const { reservations } = rounds;
  const parts = { ...common, sites, links, rules, submit, accounts, onChange, reservations };
  const owned = stack.move();
  return {
    services: servicesOf(parts),
    epoch,
    openJobs: loaded.table.jobs.size,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The memory and its ledger. */
const openBook = (
  ledger: Ledger,
  loaded: Loaded,
  { clock, log, onFatal }: BrokerOptions,
): Book => ({
  db: ledger.db,
  table: loaded.table,
  recorder: openRecorder(ledger, log, onFatal),
  feed: openFeed(),
  holds: openHolds(),
  clock,
  log,
  nextEvent: eventNumbers(loaded.lastEvent),
});

/** Without a staging service there is nothing to sweep. */
const sweeperOf = (book: Book, { accounts, access, sweep }: BrokerOptions): Sweeper =>
  accounts === undefined ? NO_SWEEPER : openSweeper({ book, accounts, vos: access.vos, ...sweep });

/** Counts what is in the stores, where there is a staging service. */
async function openRoom(
  stack: AsyncDisposableStack,
  book: Book,
  accounts: StagingAccounts | undefined,
): Promise<StoreRoom> {
  // Keepers are opened when they are first needed, long after `stack` has been handed on.
  const opened = stack.use(new AsyncDisposableStack());
  const keepers = new Map<string, OpenKeeper>();
  const storeOf = (vo: string): ChunkStore => {
    if (accounts === undefined) return NO_STORE;
    const keeper = keepers.get(vo) ?? opened.use(accounts.openKeeper(vo));
    keepers.set(vo, keeper);
    return keeper.store;
  };
  return openStoreRoom(book, openTreeCounter(book, storeOf));
}

const servicesOf = (
  parts: BrokerParts & { readonly datasets: Datasets; readonly sweeper: Sweeper },
): readonly ServedService[] => [
  served(BrokerService, brokerHandlers(parts)),
  served(DatasetsService, datasetHandlers(parts)),
];
