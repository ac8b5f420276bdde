import { dirname, join } from 'node:path';
import type { Manifest, ManifestEntry, TreeRef } from '../../core/data/manifest.ts';
import { type FileEntry, filesOf, filterTree, selectTree } from '../../core/data/select.ts';
import { GridError } from '../../core/errors.ts';
import type { InputFile } from '../../core/job/spec.ts';
import { mapAtOnce } from './at-once.ts';
import { checkRoom } from './check-room.ts';
import type { ChunkStore } from './chunk-store.ts';
import { diskFor } from './disk/disk.ts';
import { type FileFetch, fetchFiles } from './fetch-files.ts';
import { type CacheRun, fetchThrough } from './fetch-through.ts';
import type { FileCache } from './file-cache.ts';
import { checkFolder, checkWritten, riskyTwins, twinsIn } from './folded-names.ts';
import { loadManifest, withFirst } from './read-tree.ts';
import { hasRemnant, openRemnants } from './remnants.ts';
import type { TransferOptions } from './send-tree.ts';
import { openTarget, type SharedPlace, type Target } from './target.ts';

export interface FetchTreeOptions extends TransferOptions {
  /** The list of the tree, or of what is wanted of it, for who has read it already. */
  readonly manifest?: Manifest;
  /** What of the tree is wanted: inputs with their new places, or a test of paths; all of it by default. */
  readonly select?: readonly InputFile[] | ((path: string) => boolean);
  /** Files come from here where it has them, and are fetched into it where it has not. */
  readonly cache?: FileCache;
  /** Says that others may write at the target meanwhile. */
  readonly shared?: SharedPlace;
  /** What is there of large files stays when it is cut off, and the next try goes on from it; not with a cache. */
  readonly resumes?: boolean;
  /** Stamps of files at the target that are right, by path, if nobody has written to them since. */
  readonly right?: ReadonlyMap<string, string>;
  /** Whether it will be done again when it is cut off: then what the cache has of large files stays for that try. */
  readonly isTriedAgain?: () => boolean;
}

/** A tree that has been written. */
export interface FetchedTree {
  /** Files of the tree as selected. */
  readonly files: number;
  readonly totalBytes: number;
  /** Bytes of chunks that came over the network. */
  readonly bytesFetched: number;
  /** Bytes of files that the cache gave. */
  readonly bytesFromCache: number;
}

/** A tree that is fetched so fast may be fetched again as a whole when it is killed on the way. */
const SMALL_BYTES = 16 * 2 ** 20;
const FILES_AT_ONCE = 32;

/**
 * Writes a tree below `target`: every chunk and every file is verified, files that are right already are kept, a file appears
 * under its name only when it is whole. With a cache files are links to it, and read-only. Throws what `loadManifest` and
 * `selectTree` throw, and PATH_REFUSED, FILE_UNWRITABLE, DISK_FULL, NAMES_COLLIDE by name.
 */
export async function fetchTree(
  store: ChunkStore,
  tree: TreeRef,
  target: string,
  options: FetchTreeOptions = {},
): Promise<FetchedTree> {
  const { cache, signal, onProgress, isTriedAgain } = options;
  // A thread that will be needed starts while the list of files comes.
  if (cache === undefined && options.select === undefined) diskFor(tree.totalBytes);
  const whole = options.manifest ?? (await loadManifest(store, tree, signal));
  const manifest = selected(whole, options.select);
  const files = filesOf(manifest);
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const counts = { bytesFetched: 0, bytesFromCache: 0 };
  let doneBytes = 0;
  const done = (bytes: number): void => {
    doneBytes += bytes;
    onProgress?.({ doneBytes, totalBytes });
  };
  const alike = twinsIn(manifest);
  const twins = riskyTwins(alike, manifest);
  // Two names for one place need each a name of its own before.
  const isSmall = totalBytes <= SMALL_BYTES && alike.length === 0;
  const { shared } = options;
  const large = largeOf(files, options, isSmall);
  const place = await openTarget(target, { shared, large, isSmall });
  // Where there is nothing yet all of them are needed: they come while the folders are made.
  const isBare = place.isFresh && cache === undefined && shared === undefined;
  const from = isBare ? withFirst(store, files, signal) : store;
  const write = async (): Promise<void> => {
    await checkFolder(twins, place.root, place.probe);
    await makeFolders(place, manifest.entries);
    const wanted = place.isFresh ? files : await withoutRight(files, place, options, done);
    const run: Run = {
      store: from,
      target,
      place,
      shared,
      signal,
      counts,
      done,
      large,
      isTriedAgain,
    };
    if (cache === undefined) await fetchInto(run, wanted);
    else await fetchThrough(run, wanted, cache);
    await finish(place, manifest.entries);
    await checkWritten(twins, place.root);
  };
  try {
    await write();
  } catch (error) {
    // What it failed with first says why; what comes of that need not be told.
    if (error instanceof GridError && EARLY.has(error.code)) await place.removeMade();
    await place.close().catch(() => undefined);
    throw error;
  }
  await place.close();
  return { files: files.length, totalBytes, ...counts };
}

/** What is mostly found before a file is written: then nothing at all is left. */
const EARLY: ReadonlySet<string> = new Set(['DISK_FULL', 'NAMES_COLLIDE']);

/** The files that are not at their places yet. What needs not be read counts first, and at once. */
async function withoutRight(
  files: readonly FileEntry[],
  place: Target,
  { right, signal }: FetchTreeOptions,
  done: (bytes: number) => void,
): Promise<readonly FileEntry[]> {
  const known = files.filter(({ path }) => right?.has(path) === true);
  const changed = new Set(
    await without(known, (file) => place.hasFile(file, { stamp: right?.get(file.path), signal })),
  );
  const kept = new Set(known.filter((file) => !changed.has(file)));
  done([...kept].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  const others = files.filter((file) => !kept.has(file) && !changed.has(file));
  const lacking = await without(others, async (file) => {
    let read = 0;
    const onBytes = (bytes: number): void => {
      read += bytes;
      done(bytes);
    };
    const isRight = await place.hasFile(file, { onBytes, signal });
    done((isRight ? file.sizeBytes : 0) - read);
    return isRight;
  });
  const wanted = new Set([...changed, ...lacking]);
  return files.filter((file) => wanted.has(file));
}

interface Run extends CacheRun {
  readonly large: readonly FileEntry[];
  readonly shared: SharedPlace | undefined;
}

/** Files of which an earlier try may have left something, as this one may for the next. */
function largeOf(
  files: readonly FileEntry[],
  { resumes = false, shared }: FetchTreeOptions,
  isSmall: boolean,
): readonly FileEntry[] {
  return resumes && (shared !== undefined || !isSmall) ? files.filter(hasRemnant) : [];
}

/** What of a tree is wanted, at its new places. Throws what `selectTree` throws. */
export function selected(manifest: Manifest, select: FetchTreeOptions['select']): Manifest {
  if (select === undefined) return manifest;
  return typeof select === 'function' ? filterTree(manifest, select) : selectTree(manifest, select);
}

/** Folders are writable until everything is in them, also those that are there and were not. */
async function makeFolders(place: Target, entries: readonly ManifestEntry[]): Promise<void> {
  let last = '.';
  for (const entry of entries) {
    const folder = entry.kind === 'directory' ? entry.path : parentOf(entry.path);
    if (folder === last) continue;
    last = folder;
    await place.makeFolder(folder);
    if (entry.kind === 'directory') await place.unlock(folder);
  }
}

/** Of a path in a tree: '.' for what lies in its root. */
function parentOf(path: string): string {
  const end = path.lastIndexOf('/');
  return end === -1 ? '.' : path.slice(0, end);
}

/** Links come after the files, so that no file is written through one; modes of folders last, the deepest first. */
async function finish(place: Target, entries: readonly ManifestEntry[]): Promise<void> {
  for (const entry of entries) {
    if (entry.kind === 'link') await place.makeLink(entry.path, entry.target);
  }
  for (const entry of entries.toReversed()) {
    if (entry.kind === 'directory') await place.setMode(entry.path, entry.mode);
  }
}

async function fetchInto(run: Run, files: readonly FileEntry[]): Promise<void> {
  const { store, target, place, signal, counts, done, shared } = run;
  const placeOf = ({ path }: FileEntry): string => place.landingOf(path).to;
  const large = new Set(run.large);
  const remnants = await openRemnants(
    store,
    run.large.map((file) => ({ file, to: placeOf(file) })),
    place.large,
  );
  const places = { target, root: place.root };
  await checkRoom(places, files, placeOf).catch(async () => {
    // What is left is needed beside what will be made of it.
    await remnants.clear();
    await checkRoom(places, files, placeOf);
  });
  const cleared: Promise<void>[] = [];
  const fetches = files.map((file): FileFetch => {
    const isKept = large.has(file);
    let left = file.sizeBytes;
    return {
      file,
      ...place.writingOf(file.path),
      ...(isKept ? { partial: join(dirname(placeOf(file)), place.large.nameOf(file)) } : {}),
      mode: file.mode,
      wrote: (bytes) => {
        left -= bytes;
        done(bytes);
      },
      landed: () => {
        done(left);
        if (isKept) cleared.push(remnants.clear(file));
      },
      abandon: () => Promise.resolve(),
      ...(isKept ? { isKept: () => shared === undefined || shared.isTriedAgain?.() === true } : {}),
    };
  });
  const onChunk = (bytes: number): void => {
    counts.bytesFetched += bytes;
  };
  await fetchFiles(remnants.store, fetches, { onChunk, signal });
  counts.bytesFetched -= remnants.savedBytes();
  await Promise.all(cleared);
  // Of files that were there as they are to be, too.
  await remnants.clear();
}

/** The items of which `test` is not true, some of them tested at the same time. */
async function without<T>(
  items: readonly T[],
  test: (item: T) => Promise<boolean>,
): Promise<readonly T[]> {
  const results = await mapAtOnce(FILES_AT_ONCE, items, test);
  return items.filter((_, index) => results[index] !== true);
}
