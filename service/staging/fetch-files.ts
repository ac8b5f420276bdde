import { rm } from 'node:fs/promises';
import type { Slice } from '../../core/data/manifest.ts';
import type { FileEntry } from '../../core/data/select.ts';
import { GridError } from '../../core/errors.ts';
import type { ChunkStore } from './chunk-store.ts';
import { diskFor } from './disk/disk.ts';
import type { Half, Landing, WriteJob, WrittenFile, WrittenSlice } from './disk/disk-jobs.ts';
import { withZeros, ZEROS_DIGEST } from './holes.ts';
import { chunksInOrder } from './read-tree.ts';
import { giveSlab } from './wire/slabs.ts';

/** A file to fetch and where to: its bytes go to `partial`, which must not exist; when they are right it lands, or stays. */
export interface FileFetch {
  readonly file: FileEntry;
  readonly partial: string;
  /** What `partial` is made with. */
  readonly mode: number;
  readonly landing?: Landing;
  /** So much more of it has been written, and it is not whole yet. */
  wrote?(bytes: number): void;
  /** It is there. */
  landed(): void;
  /** It will not come; `partial` is gone, or stays for the next try. */
  abandon(isKept: boolean): Promise<void>;
  /** Whether what is there of it stays; asked when the transfer is cut off. */
  isKept?(): boolean;
}

interface FetchOptions {
  /** Told the bytes of each chunk that came. */
  readonly onChunk: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** One chunk and what is to be done with it. */
interface Step {
  readonly digest: string;
  readonly uses: { readonly fetch: FileFetch; readonly slice: WrittenSlice }[];
}

/** Chunks that are being written while the next one is received. */
const WRITES_AHEAD = 4;
/** Empty files that are made at a time. */
const EMPTY_AT_ONCE = 256;
const NOTHING = new Uint8Array(0);

/** Fetches files; each is verified before it lands. After a failure every file that has not landed is abandoned. */
export async function fetchFiles(
  store: Pick<ChunkStore, 'receive'>,
  fetches: readonly FileFetch[],
  { onChunk, signal }: FetchOptions,
): Promise<void> {
  const disk = diskFor(fetches.reduce((sum, { file }) => sum + file.sizeBytes, 0));
  const pending = new Set(fetches);
  const writing: Promise<void>[] = [];
  let isCutOff = false;
  const write = async (step: Step, bytes: Uint8Array): Promise<void> => {
    await disk.write(jobOf(step, bytes));
    giveSlab(bytes);
    for (const { fetch, slice } of step.uses) {
      if (slice.part === 'other') {
        fetch.wrote?.(slice.length);
        continue;
      }
      pending.delete(fetch);
      fetch.landed();
    }
  };
  const begin = async (step: Step, bytes: Uint8Array): Promise<void> => {
    const done = write(step, bytes);
    // Its turn to be awaited tells.
    done.catch(() => undefined);
    writing.push(done);
    if (writing.length > WRITES_AHEAD) await writing.shift();
  };
  try {
    const { empty, chunks } = planSteps(fetches);
    for (const step of empty) await begin(step, NOTHING);
    for await (const { item, bytes } of chunksInOrder(withZeros(store), chunks, signal)) {
      if (item.digest !== ZEROS_DIGEST) onChunk(bytes.byteLength);
      await begin(item, bytes);
    }
    await Promise.all(writing);
  } catch (error) {
    isCutOff = signal?.aborted === true || isAway(error);
    throw error;
  } finally {
    // What was begun may still become whole.
    await Promise.allSettled(writing);
    const lost = [...pending].map((fetch) => {
      const isKept = isCutOff && fetch.isKept?.() === true;
      return { fetch, half: { partial: fetch.partial, isKept } };
    });
    // A thread that has ended has closed them. Whatever comes of that: somebody may wait for what is abandoned.
    const halves = lost.map(({ half }) => half);
    if (lost.length > 0) await disk.drop(halves).catch(() => removeAll(halves));
    await Promise.all(lost.map(({ fetch, half }) => fetch.abandon(half.isKept)));
  }
}

async function removeAll(halves: readonly Half[]): Promise<void> {
  const gone = halves.filter(({ isKept }) => !isKept);
  await Promise.allSettled(gone.map(({ partial }) => rm(partial, { force: true })));
}

/** The store, and not what came of it, is why it ended. */
const isAway = (error: unknown): boolean =>
  error instanceof GridError && error.code === 'STAGING_UNAVAILABLE';

const jobOf = ({ digest, uses }: Step, bytes: Uint8Array): WriteJob => ({
  digest,
  bytes,
  slices: uses.map(({ slice }) => slice),
});

/** Empty files; then packed files by their chunk, each chunk once; then the large files, one after the other. */
function planSteps(fetches: readonly FileFetch[]): {
  readonly empty: readonly Step[];
  readonly chunks: readonly Step[];
} {
  const empty: Step[] = [];
  const packs = new Map<string, Step>();
  const cuts: Step[] = [];
  for (const fetch of fetches) {
    const file = writtenFile(fetch);
    const { slices } = fetch.file;
    const [first, ...others] = slices;
    if (first === undefined) {
      if ((empty.at(-1)?.uses.length ?? EMPTY_AT_ONCE) === EMPTY_AT_ONCE)
        empty.push({ digest: '', uses: [] });
      empty.at(-1)?.uses.push({ fetch, slice: { file, offset: 0, length: 0, part: 'whole' } });
    } else if (others.length === 0) {
      const step = packs.get(first.digest) ?? { digest: first.digest, uses: [] };
      step.uses.push({ fetch, slice: { file, ...placeOf(first), part: 'whole' } });
      packs.set(first.digest, step);
    } else {
      for (const slice of slices) {
        const part = slice === slices.at(-1) ? 'last' : 'other';
        const use = { fetch, slice: { file, ...placeOf(slice), part } as const };
        cuts.push({ digest: slice.digest, uses: [use] });
      }
    }
  }
  return { empty, chunks: [...packs.values(), ...cuts] };
}

const placeOf = ({ offset, length }: Slice): Pick<Slice, 'offset' | 'length'> => ({
  offset,
  length,
});

const writtenFile = ({ file, partial, mode, landing }: FileFetch): WrittenFile => ({
  path: file.path,
  sizeBytes: file.sizeBytes,
  digest: file.digest,
  partial,
  mode,
  ...(landing === undefined ? {} : { landing }),
});
