import { join, normalize } from 'node:path';
import type { ManifestEntry, TreeRef } from '../../core/data/manifest.ts';
import { isWithin, safePath } from '../../core/data/paths.ts';
import { parseRemote } from '../../core/data/remote-file.ts';
import { openPlaces } from '../../core/data/select.ts';
import { fileInputs, type InputFile, remoteInputs } from '../../core/job/spec.ts';
import { atMost } from '../../service/background.ts';
import type { Clock } from '../../service/clock.ts';
import type { Log } from '../../service/log.ts';
import type { CacheKeeper } from '../../service/staging/cache-keeper.ts';
import type { ChunkStore } from '../../service/staging/chunk-store.ts';
import { openStaging } from '../../service/staging/connect-staging.ts';
import { diskThread } from '../../service/staging/disk/disk.ts';
import { fetchTree, selected } from '../../service/staging/fetch-tree.ts';
import { type FileCache, openFileCache } from '../../service/staging/file-cache.ts';
import type { Nkey } from '../../service/staging/nats-link.ts';
import { atRate, type Rate } from '../../service/staging/rate.ts';
import { loadManifest } from '../../service/staging/read-tree.ts';
import { REMOTE } from '../../service/staging/sealed.ts';
import type { RemoteInputs } from '../fetch/remote-inputs.ts';
import { GATEWAY_STOPS } from '../stopping.ts';
import {
  type AttemptStaging,
  openAttemptStaging,
  type StagedAttempt,
  type StagingParts,
} from './staging.ts';
import { openStoreHealth, type StoreHealth } from './store-health.ts';
import type { Tickets } from './tickets.ts';
import { openWarmTrees } from './warm-trees.ts';

export interface SiteStagingOptions {
  readonly nkey: Nkey;
  readonly tickets: Tickets;
  readonly caPem: () => string;
  /** Tried before those that a ticket names. */
  readonly servers?: readonly string[];
  /** Directory of the cache of input files, with a folder for each VO. */
  readonly cache: string;
  /** How tasks get what is in it. */
  readonly placement: 'link' | 'copy';
  /** Keeps it within bounds. */
  readonly keeper: CacheKeeper;
  readonly patienceMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Brings the inputs from elsewhere. */
  readonly remote: RemoteInputs;
  /** How fast the site's bytes come and go. */
  readonly rates: { readonly incoming: Rate; readonly outgoing: Rate };
}

/** What a gateway has of one VO: its chunks, and the input files that came from them. */
interface VoData {
  readonly store: ChunkStore & AsyncDisposable;
  readonly cache: Promise<FileCache>;
}

/** Staging over NATS: one connection and one cache per VO, made at the first use. */
export interface SiteStaging extends AttemptStaging, AsyncDisposable {
  /** Digests of input trees that are in the cache. */
  warmTrees(): readonly string[];
  /** Why transfers wait for the store, and since when; '' where they do not. */
  storeTrouble(): string;
  /** The chunks of a VO. */
  storeOf(vo: string): ChunkStore;
}

/** For so long the end waits for what is done at the cache: the next process can do all of that, too. */
const END_MS = 1_000;

export function openSiteStaging(options: SiteStagingOptions): SiteStaging {
  const { nkey, tickets, clock, patienceMs, keeper, placement, rates } = options;
  // Hashing, or a disk that is slow, must not hold up what else the gateway does.
  diskThread();
  const onAdded = (bytes: number): void => keeper.added(bytes);
  const health = openStoreHealth(clock, options.log);
  const vos = new Map<string, VoData>();
  const warm = openWarmTrees(options.cache, clock, options.log);
  const dataOf = (vo: string): VoData => {
    const known = vos.get(vo);
    if (known !== undefined) return known;
    const ticket = async (refused?: string) => {
      const given = await tickets.get(vo, refused);
      return { ...given, servers: [...(options.servers ?? []), ...given.servers] };
    };
    const heard = (trouble: string): void => health.heard(vo, trouble);
    const caPem = options.caPem();
    const nats = openStaging({ nkey, ticket, caPem, vo, clock, patienceMs, heard });
    const store = { ...nats, ...atRate(nats, rates.incoming, rates.outgoing) };
    const free = (bytes: number): Promise<void> => keeper.free(bytes);
    const cache = openFileCache({ dir: join(options.cache, vo), placement, clock, onAdded, free });
    const data = { store, cache };
    vos.set(vo, data);
    // A disk that failed once may work the next time; whoever needs the cache now learns of it by its own await.
    cache.catch(() => vos.delete(vo));
    return data;
  };
  const fetch: StagingParts['fetch'] = async (attempt, into, signal, onProgress) => {
    const { store, cache: shared } = dataOf(attempt.spec.vo);
    const cache = attempt.spec.inputsAs === 'copy' ? (await shared).copying() : await shared;
    let bytes = 0;
    const [wanted, remote] = [wantedTrees(attempt), remoteInputs(attempt.spec)];
    const arrivals = openArrivals(wanted.length + remote.length === 1);
    for (const { tree, select, below } of wanted) {
      const target = join(into, below);
      // By the next process, or by the next attempt when the store is back; not where it is cancelled.
      const isTriedAgain = (): boolean => !signal.aborted || signal.reason === GATEWAY_STOPS;
      const whole = await loadManifest(store, tree, signal);
      const manifest = selected(whole, select);
      arrivals.note(manifest.entries, below);
      const how = { manifest, cache, signal, isTriedAgain, ...onwards(onProgress) };
      bytes += (await fetchTree(store, tree, target, how)).bytesFetched;
      warm.remember(attempt.spec.vo, tree, whole);
    }
    arrivals.note(remote.map(entryOf), '.');
    const cached = { cache, partials: join(options.cache, attempt.spec.vo, REMOTE) };
    bytes += await options.remote.place(attempt, into, cached, signal);
    return { bytes, files: arrivals.files };
  };
  const storeOf = (vo: string): ChunkStore => dataOf(vo).store;
  return {
    ...openAttemptStaging({ storeOf, fetch, ...waitsOf(options.remote, health) }),
    storeOf,
    storeTrouble: () => health.trouble(),
    warmTrees: () => warm.digests(),
    [Symbol.asyncDispose]: async () => {
      options.remote[Symbol.dispose]();
      const stores = [...vos.values()].map(({ store }) => store[Symbol.asyncDispose]());
      const cache = [warm[Symbol.asyncDispose](), keeper.settled()];
      await Promise.all([...stores, atMost(END_MS, Promise.all(cache))]);
    },
  };
}

/** What comes into the directory of a task. */
interface Arrivals {
  readonly files: readonly string[];
  /** Throws PATH_REFUSED where one lands on another that is not the same. */
  note(entries: readonly ManifestEntry[], below: string): void;
}

/** What is alone in its directory lands on nothing. */
function openArrivals(isAlone: boolean): Arrivals {
  const files: string[] = [];
  const take = isAlone ? undefined : openPlaces();
  return {
    files,
    note: (entries, below) => {
      for (const entry of entries) {
        const path = normalize(join(below, entry.path));
        take?.({ ...entry, path });
        if (entry.kind === 'file') files.push(path);
      }
    },
  };
}

/** A file from elsewhere, as far as it is known before it has come. */
function entryOf({ from, to }: InputFile): ManifestEntry {
  const parsed = parseRemote(from);
  const digest = parsed.ok ? parsed.file.digest : '';
  return { kind: 'file', path: to, mode: 0o644, sizeBytes: 0, digest, slices: [] };
}

/** What a transfer waits for: of a server elsewhere, or of the store. */
const waitsOf = (
  remote: RemoteInputs,
  health: StoreHealth,
): Pick<StagingParts, 'waitsFor' | 'isKeptElsewhere'> => ({
  waitsFor: ({ id, spec }) => remote.waitsFor(id) || health.waits(spec.vo),
  isKeptElsewhere: ({ id }) => remote.isSilent(id),
});

const onwards = (onProgress: Parameters<StagingParts['fetch']>[3]) =>
  onProgress === undefined ? {} : { onProgress };

/** A tree, what of it is wanted, and the folder of the task's directory below which it appears. */
interface WantedTree {
  readonly tree: TreeRef;
  readonly select: readonly InputFile[] | ((path: string) => boolean);
  readonly below: string;
}

/** The streams of other jobs, below `.grid/`, are no inputs. */
const isResult = (path: string): boolean => !isWithin(path, '.grid');

function wantedTrees({ spec, inputs, inputTrees }: StagedAttempt): readonly WantedTree[] {
  const own = { tree: inputs, select: fileInputs(spec), below: '.' };
  const others = inputTrees.map(({ tree, to }) => ({
    tree,
    select: isResult,
    below: to === '.' ? '.' : safePath(to),
  }));
  return [own, ...others].filter(({ tree }) => tree.digest !== '');
}
