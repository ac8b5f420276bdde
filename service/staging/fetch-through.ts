import { join } from 'node:path';
import type { FileEntry } from '../../core/data/select.ts';
import { aborted } from '../background.ts';
import { mapAtOnce } from './at-once.ts';
import { makeCacheRoom } from './check-room.ts';
import type { ChunkStore } from './chunk-store.ts';
import { type FileFetch, fetchFiles } from './fetch-files.ts';
import type { FileCache } from './file-cache.ts';
import { machineFailure } from './file-errors.ts';
import { openPlacer } from './placer.ts';
import { hasRemnant, openRemnants } from './remnants.ts';
import type { Target } from './target.ts';

/** Files on their way into a directory. */
export interface CacheRun {
  readonly store: ChunkStore;
  /** As messages name it. */
  readonly target: string;
  readonly place: Target;
  readonly signal: AbortSignal | undefined;
  readonly counts: { bytesFetched: number; bytesFromCache: number };
  /** Told the bytes that are there. */
  readonly done: (bytes: number) => void;
  /** Whether there will be another try where this one is cut off. */
  readonly isTriedAgain: (() => boolean) | undefined;
}

const FILES_AT_ONCE = 32;
const LINKS_AT_ONCE = 256;

/** Files of one content. */
type Same = readonly FileEntry[];

/**
 * Files that others fetch at this moment are waited for last, when our own share is done: so nobody waits in a ring. Whoever
 * was waited for may have failed, therefore the cache is asked again. What the cache has is placed first, and what comes
 * as soon as it is there: what no task holds goes for room after a while.
 */
export async function fetchThrough(run: CacheRun, files: Same, cache: FileCache): Promise<void> {
  const cold = await withoutWarm(run, files, cache);
  await makeCacheRoom({ target: run.target, root: run.place.root }, cold, cache);
  const [fetched, written] = [new Set<Same>(), new Map<Same, number>()];
  let rest: readonly Same[] = [
    ...Map.groupBy(cold, ({ digest, mode }) => `${digest} ${(mode & 0o111) !== 0}`).values(),
  ];
  while (rest.length > 0) {
    run.signal?.throwIfAborted();
    const placer = openPlacer((same: Same) => placeSame(run, same, { cache, fetched, written }));
    const { fills, ready, again, others } = await askCache(cache, rest, run, {
      came: (same) => {
        fetched.add(same);
        placer.add(same);
      },
      written,
    });
    for (const same of ready) placer.add(same);
    try {
      await fetchFills(run, fills, cache);
    } finally {
      await placer.lost();
    }
    await Promise.race([Promise.all(others), aborted(run.signal)]);
    rest = [...(await placer.lost()), ...again];
  }
}

/** Goes on from what was left of large files, also by another transfer that this one has waited for. */
async function fetchFills(
  run: CacheRun,
  fills: readonly FileFetch[],
  cache: FileCache,
): Promise<void> {
  const files = fills.map(({ file }) => file).filter(hasRemnant);
  const large = files.map((file) => ({ file, to: join(cache.partials, '-') }));
  const remnants = await openRemnants(run.store, large);
  await fetchFiles(remnants.store, fills, {
    signal: run.signal,
    onChunk: (bytes) => {
      run.counts.bytesFetched += bytes;
    },
  }).catch((error: unknown) => {
    // It was the cache that was written to.
    throw machineFailure(error);
  });
  await remnants.clear();
  run.counts.bytesFetched -= remnants.savedBytes();
}

/** Links what is warm; the files that are not. */
async function withoutWarm(run: CacheRun, files: Same, cache: FileCache): Promise<Same> {
  const batches = Array.from({ length: Math.ceil(files.length / LINKS_AT_ONCE) }, (_, at) =>
    files.slice(at * LINKS_AT_ONCE, (at + 1) * LINKS_AT_ONCE),
  );
  const cold = await mapAtOnce(2, batches, async (batch) => {
    run.signal?.throwIfAborted();
    const made = await cache.linkWarm(
      batch.map((file) => ({
        file,
        to: run.place.landingOf(file.path).to,
        partial: run.place.partialOf(file.path),
      })),
    );
    return batch.filter((file, at) => {
      if (made[at] !== true) return true;
      run.counts.bytesFromCache += file.sizeBytes;
      run.done(file.sizeBytes);
      return false;
    });
  });
  return cold.flat();
}

interface Asked {
  readonly fills: readonly FileFetch[];
  readonly ready: readonly Same[];
  readonly again: readonly Same[];
  readonly others: readonly Promise<void>[];
}

/** What is to be fetched is `came` when it is there. */
async function askCache(
  cache: FileCache,
  wanted: readonly Same[],
  { isTriedAgain, done }: CacheRun,
  { came, written }: { readonly came: (same: Same) => void; readonly written: Written },
): Promise<Asked> {
  const fills: FileFetch[] = [];
  const [ready, again, others]: [Same[], Same[], Promise<void>[]] = [[], [], []];
  try {
    await mapAtOnce(FILES_AT_ONCE, wanted, async (same) => {
      const [file] = same;
      if (file === undefined) return;
      const answer = await cache.ask(file);
      if (answer.kind === 'ready') ready.push(same);
      else if (answer.kind === 'filling') {
        again.push(same);
        others.push(answer.ended);
      } else
        fills.push({
          file,
          ...answer,
          wrote: (bytes) => {
            written.set(same, (written.get(same) ?? 0) + bytes);
            done(bytes);
          },
          landed: () => {
            answer.landed();
            came(same);
          },
          ...(hasRemnant(file)
            ? { isKept: () => isTriedAgain?.() === true || answer.isAwaited() }
            : {}),
        });
    });
  } catch (error) {
    await Promise.all(fills.map((fill) => fill.abandon(false)));
    throw error;
  }
  return { fills, ready, again, others };
}

/** Bytes of files on their way into the cache that count as done already. */
type Written = Map<Same, number>;

interface Placing {
  readonly cache: FileCache;
  /** What has just come. */
  readonly fetched: ReadonlySet<Same>;
  readonly written: Written;
}

/** One content at all the paths that want it; false if the cache has lost it. */
async function placeSame(
  run: CacheRun,
  same: Same,
  { cache, fetched, written }: Placing,
): Promise<boolean> {
  for (const file of same) {
    run.signal?.throwIfAborted();
    const partial = run.place.partialOf(file.path);
    if (!(await cache.place(file, partial, run.signal))) return false;
    await run.place.accept(partial, file.path);
    if (!fetched.has(same)) run.counts.bytesFromCache += file.sizeBytes;
    run.done(file.sizeBytes - (written.get(same) ?? 0));
    written.delete(same);
  }
  return true;
}
