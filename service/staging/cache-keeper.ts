import { lstat, readdir, rm, utimes } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type CachedEntry, chooseEvicted } from '../../core/data/evict.ts';
import { background } from '../background.ts';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { seldom } from '../seldom.ts';
import { mapAtOnce } from './at-once.ts';
import { digestOfFile } from './file-digest.ts';
import { isLeft } from './remnants.ts';
import { isRemotePart, PARTIALS, REMOTE } from './sealed.ts';
import type { TransferProgress } from './send-tree.ts';

/** When a cache is cleared, and down to what. */
interface CacheBounds {
  /** Above this many bytes it is cleared. */
  readonly highBytes: number;
  /** At most this many are left then. */
  readonly lowBytes: number;
}

export interface CacheKeeperOptions {
  /** The directory that has a folder for each VO. */
  readonly dir: string;
  readonly bounds: CacheBounds;
  /** What was used in this time is never taken; a minute by default. */
  readonly recentMs?: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** What was taken from a cache. */
interface Pruned {
  readonly files: number;
  readonly bytes: number;
}

/** What a look at every file came to; files with a false content are gone from the cache. */
interface VerifiedCache {
  readonly files: number;
  readonly corrupt: readonly string[];
}

/**
 * Keeps the caches of all VOs of a site within bounds. It knows nothing but the directory, so that a second process may look
 * at it or clear it while a gateway uses it: a file that goes missing is fetched again.
 */
export interface CacheKeeper {
  /** Files, the longest unused first. */
  list(): Promise<readonly CachedEntry[]>;
  /**
   * Takes what was unused for longest until at most `keepBytes` are left; here, and wherever room is made, what a process has let
   * go half done, or that is no more, counts like a file, and so does what broke off on its way from elsewhere.
   */
  prune(keepBytes: number): Promise<Pruned>;
  /** Takes out at least `bytes`, if there is so much that may go. */
  free(bytes: number): Promise<void>;
  /** How many bytes `free` could take out; as it was found at most a minute ago, or longer where looking takes long. */
  clearable(): Promise<number>;
  /** Reads every file, and takes out what has not the content of its name. */
  verify(onProgress: (progress: TransferProgress) => void): Promise<VerifiedCache>;
  /** `bytes` have been added; clears the cache when that is too much. */
  added(bytes: number): void;
  /** Resolves when no clearing is under way. */
  settled(): Promise<void>;
}

const RECENT_MS = 60_000;
/** A download that goes on writes, or tries again, at least this often. */
const QUIET_MS = 120_000;
const AT_ONCE = 64;
const FOLDER = /^[0-9a-f]{2}$/;
const FILE = /^([0-9a-f]{64})(?:\.x)?$/;

export function openCacheKeeper(options: CacheKeeperOptions): CacheKeeper {
  const { dir, bounds, clock, log, recentMs = RECENT_MS } = options;
  let running: Promise<void> | undefined;
  // Unknown until the first look: then the first file that is added begins one.
  let bytes = Number.POSITIVE_INFINITY;
  /** Since a clearing began: it may have looked before they came. */
  let addedSince = 0;

  const prune = async (keepBytes: number): Promise<Pruned> => {
    const entries = await allOf(dir);
    const evicted = chooseEvicted(entries, keepBytes, clock.nowMs() - recentMs);
    await mapAtOnce(AT_ONCE, evicted, ({ path }) => rm(join(dir, path), { force: true }));
    if (evicted.length > 0) clearable.forget();
    return { files: evicted.length, bytes: bytesOf(evicted) };
  };
  const clearable = seldom(clock, async () => {
    const evicted = chooseEvicted(await allOf(dir), 0, clock.nowMs() - recentMs);
    return bytesOf(evicted);
  });
  const clear = async (): Promise<void> => {
    addedSince = 0;
    const before = bytesOf(await allOf(dir));
    const pruned = before > bounds.highBytes ? await prune(bounds.lowBytes) : NOTHING;
    const left = before - pruned.bytes;
    bytes = left + addedSince;
    if (pruned.files > 0) log.info({ ...pruned, left }, 'the cache was cleared');
  };
  return {
    list: async () => (await listCache(dir)).toSorted((a, b) => a.usedAtMs - b.usedAtMs),
    prune,
    free: async (wanted) => {
      const pruned = await prune(Math.max(0, bytesOf(await allOf(dir)) - wanted));
      if (pruned.files > 0) log.warn(pruned, 'the cache was cleared to make room on the disk');
    },
    clearable: () => clearable.get(),
    verify: (onProgress) => verifyCache(dir, onProgress),
    added: (fresh) => {
      bytes += fresh;
      addedSince += fresh;
      if (bytes <= bounds.highBytes || running !== undefined) return;
      running = clear().finally(() => {
        running = undefined;
      });
      background('clear the cache', running, log);
    },
    settled: async () => running?.catch(() => undefined),
  };
}

const NOTHING: Pruned = { files: 0, bytes: 0 };
const bytesOf = (entries: readonly CachedEntry[]): number =>
  entries.reduce((sum, entry) => sum + entry.bytes, 0);

/** All files of all VOs; what is half done, and what is no file of ours, is left out. */
async function listCache(dir: string): Promise<readonly CachedEntry[]> {
  const entries: CachedEntry[] = [];
  for (const vo of await namesIn(dir)) {
    for (const folder of await foldersIn(join(dir, vo)))
      entries.push(...(await entriesIn(dir, join(vo, folder), (name) => FILE.test(name))));
  }
  return entries;
}

/** The digests of all files that the cache of a VO has. */
export async function cachedDigests(dir: string, vo: string): Promise<readonly string[]> {
  const digests: string[] = [];
  for (const folder of await foldersIn(join(dir, vo))) {
    const names = await namesIn(join(dir, vo, folder));
    digests.push(...names.flatMap((name) => FILE.exec(name)?.[1] ?? []));
  }
  return digests;
}

const foldersIn = async (dir: string): Promise<readonly string[]> =>
  (await namesIn(dir)).filter((name) => FOLDER.test(name));

/** The same, and what is half done and nobody goes on with: let go, of processes of this machine that are no more, and from elsewhere. */
async function allOf(dir: string): Promise<readonly CachedEntry[]> {
  const entries = [...(await listCache(dir))];
  for (const vo of await namesIn(dir)) {
    entries.push(...(await entriesIn(dir, join(vo, PARTIALS), isLeft)));
    const remote = await entriesIn(dir, join(vo, REMOTE), isRemotePart);
    entries.push(...remote.map((one) => ({ ...one, usedAtMs: one.usedAtMs + QUIET_MS })));
  }
  return entries;
}

async function entriesIn(
  dir: string,
  folder: string,
  isWanted: (name: string) => boolean,
): Promise<readonly CachedEntry[]> {
  const names = (await namesIn(join(dir, folder))).filter(isWanted);
  const entries = await mapAtOnce(AT_ONCE, names, async (name) => {
    const path = join(folder, name);
    const stats = await lstat(join(dir, path)).catch(() => undefined);
    if (stats?.isFile() !== true) return [];
    const { size, atimeMs, mtimeMs, nlink } = stats;
    // That of writing is long ago for a file that is whole.
    return [{ path, bytes: size, usedAtMs: Math.max(atimeMs, mtimeMs), held: nlink > 1 }];
  });
  return entries.flat();
}

/** Nothing where there is no such directory: a cache that was never used, or a VO that has just gone. */
const namesIn = (dir: string): Promise<readonly string[]> => readdir(dir).catch(() => []);

async function verifyCache(
  dir: string,
  onProgress: (progress: TransferProgress) => void,
): Promise<VerifiedCache> {
  const entries = await listCache(dir);
  const totalBytes = bytesOf(entries);
  const corrupt: string[] = [];
  let doneBytes = 0;
  for (const { path, bytes } of entries) {
    if ((await isAsNamed(join(dir, path))) === false) {
      corrupt.push(path);
      await rm(join(dir, path), { force: true });
    }
    doneBytes += bytes;
    onProgress({ doneBytes, totalBytes });
  }
  return { files: entries.length, corrupt };
}

/** Whether a file has the content of its name, without counting as a use; undefined where it has gone meanwhile. */
async function isAsNamed(file: string): Promise<boolean | undefined> {
  const stats = await lstat(file).catch(() => undefined);
  const found = await digestOfFile(file);
  if (stats === undefined || found === undefined) return undefined;
  await utimes(file, stats.atime, stats.mtime).catch(() => undefined);
  return found === FILE.exec(basename(file))?.[1];
}
