import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Slice } from '../../core/data/manifest.ts';
import type { FileEntry } from '../../core/data/select.ts';
import { GridError } from '../../core/errors.ts';
import { mapAtOnce } from './at-once.ts';
import { type ChunkStore, sha256 } from './chunk-store.ts';
import { writeFailure } from './file-errors.ts';
import { chunksInOrder, sliceOf } from './read-tree.ts';
import { giveSlab } from './wire/slabs.ts';

/** A file to fetch and where to: its bytes go to `partial`, which must not exist, then it is committed or abandoned. */
export interface FileFetch {
  readonly file: FileEntry;
  readonly partial: string;
  /** What `partial` is made with. */
  readonly mode: number;
  commit(): Promise<void>;
  abandon(): Promise<void>;
}

interface FetchOptions {
  /** Told the bytes of each chunk that came. */
  readonly onChunk: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

interface Open {
  readonly fetch: FileFetch;
  write(bytes: Uint8Array): Promise<void>;
  /** Verifies the whole file, and gives it its mode. */
  finish(): Promise<void>;
  close(): Promise<void>;
}

/** One chunk and what is to be done with it. */
interface Step {
  readonly digest: string;
  readonly uses: { readonly fetch: FileFetch; readonly slice: Slice }[];
}

const WRITES_AT_ONCE = 32;
/** What `open` takes from the mode that it is asked for. */
const UMASK = process.umask();
const FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** Fetches files; each is verified before it is committed. After a failure every file that is not committed is abandoned. */
export async function fetchFiles(
  store: ChunkStore,
  fetches: readonly FileFetch[],
  { onChunk, signal }: FetchOptions,
): Promise<void> {
  const pending = new Set(fetches);
  let large: Open | undefined;
  try {
    const commit = async (fetch: FileFetch): Promise<void> => {
      await fetch.commit();
      pending.delete(fetch);
    };
    const empty = fetches.filter(({ file }) => file.slices.length === 0);
    await mapAtOnce(WRITES_AT_ONCE, empty, (fetch) => writeSmall(fetch, new Uint8Array(0), commit));
    for await (const { item, bytes: chunk } of chunksInOrder(store, planSteps(fetches), signal)) {
      onChunk(chunk.byteLength);
      const { uses } = item;
      const [first] = uses;
      if (first !== undefined && first.fetch.file.slices.length > 1) {
        large ??= await openPartial(first.fetch);
        large = await writeLarge(large, first.slice, chunk, commit);
      } else {
        await mapAtOnce(WRITES_AT_ONCE, uses, ({ fetch, slice }) =>
          writeSmall(fetch, sliceOf(fetch.file, slice, chunk), commit),
        );
      }
      giveSlab(chunk);
    }
  } finally {
    await large?.close();
    await Promise.all([...pending].map((fetch) => fetch.abandon()));
  }
}

/** Packed files by their chunk, each chunk once; then the large files, one after the other. */
function planSteps(fetches: readonly FileFetch[]): readonly Step[] {
  const packs = new Map<string, Step>();
  const cuts: Step[] = [];
  for (const fetch of fetches) {
    for (const slice of fetch.file.slices) {
      const known = fetch.file.slices.length === 1 ? packs.get(slice.digest) : undefined;
      const step = known ?? { digest: slice.digest, uses: [] };
      step.uses.push({ fetch, slice });
      if (fetch.file.slices.length > 1) cuts.push(step);
      else packs.set(slice.digest, step);
    }
  }
  return [...packs.values(), ...cuts];
}

async function writeSmall(
  fetch: FileFetch,
  bytes: Uint8Array,
  commit: (fetch: FileFetch) => Promise<void>,
): Promise<void> {
  const [slice] = fetch.file.slices;
  // The chunk has been verified; where it is the whole file, so is the file.
  const isChunk = slice?.digest === fetch.file.digest && bytes.byteLength === fetch.file.sizeBytes;
  if (!isChunk || slice.offset !== 0) verify(fetch.file, sha256(bytes));
  const partial = await openPartial(fetch);
  try {
    await partial.write(bytes);
    await partial.finish();
  } finally {
    await partial.close();
  }
  await commit(fetch);
}

async function writeLarge(
  large: Open,
  slice: Slice,
  chunk: Uint8Array,
  commit: (fetch: FileFetch) => Promise<void>,
): Promise<Open | undefined> {
  const { file } = large.fetch;
  await large.write(sliceOf(file, slice, chunk));
  if (slice !== file.slices.at(-1)) return large;
  await large.finish();
  await large.close();
  await commit(large.fetch);
  return undefined;
}

async function openPartial(fetch: FileFetch): Promise<Open> {
  const { file, partial, mode } = fetch;
  const fail = (error: unknown): never => {
    throw writeFailure(file.path, error);
  };
  const handle = await open(partial, FLAGS, mode).catch(fail);
  const hash = file.slices.length > 1 ? createHash('sha256') : undefined;
  return {
    fetch,
    write: async (bytes) => {
      hash?.update(bytes);
      await handle.appendFile(bytes).catch(fail);
    },
    finish: async () => {
      if (hash !== undefined) verify(file, hash.digest('hex'));
      if ((mode & UMASK) !== 0) await handle.chmod(mode).catch(fail);
    },
    close: () => handle.close(),
  };
}

function verify(file: FileEntry, digest: string): void {
  if (digest === file.digest) return;
  throw new GridError('MANIFEST_INVALID', `'${file.path}' is not the file that the manifest names`);
}
