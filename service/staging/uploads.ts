import { openByteBudget } from './byte-budget.ts';
import type { ChunkStore } from './chunk-store.ts';
import { giveSlab } from './wire/slabs.ts';

interface Chunk {
  readonly digest: string;
  readonly bytes: Uint8Array;
  /** The store cannot have it, unless it has all that was added before: it names that. */
  readonly isNew?: boolean;
}

/** Chunks on their way into the store: each is asked about, and sent where it lacks, while the next ones are read. */
export interface Uploads {
  /** Waits until one more chunk may be in memory; throws what an earlier one failed with. */
  reserve(): Promise<void>;
  /** Takes over the chunk for which was reserved, and the slab that it lies in. */
  add(chunk: Chunk): void;
  /** Counts a chunk that the store has and nobody has read. */
  skip(bytes: number): void;
  /** Resolves when the store has them all. */
  finish(): Promise<{ readonly sentBytes: number; readonly savedBytes: number }>;
}

interface UploadOptions {
  /** Told the bytes of each chunk that the store has now. */
  readonly onDone: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Chunks in memory at a time, whatever the size of the tree. */
const CHUNKS_IN_MEMORY = 24;
/** So much of a tree is sent without asking first: the answers would take as long. */
const UNASKED_BYTES = 65_536;

export function openUploads(store: ChunkStore, { onDone, signal }: UploadOptions): Uploads {
  const memory = openByteBudget(() => CHUNKS_IN_MEMORY);
  const seen = new Set<string>();
  const running = new Set<Promise<void>>();
  const stop = new AbortController();
  const untilFailure = AbortSignal.any([stop.signal, ...(signal === undefined ? [] : [signal])]);
  const isHere = openAsking(store, untilFailure);
  let [sentBytes, savedBytes] = [0, 0];

  const settle = ({ bytes }: Chunk, sent: number): void => {
    sentBytes += sent;
    if (sent === 0) savedBytes += bytes.byteLength;
    memory.give(1);
    giveSlab(bytes);
    onDone(bytes.byteLength);
  };
  const send = async (chunk: Chunk): Promise<void> => {
    const { digest, bytes } = chunk;
    settle(chunk, (await isHere(chunk)) ? 0 : await store.put(digest, bytes, untilFailure));
  };
  const begin = (chunk: Chunk): void => {
    const work = send(chunk)
      .catch((error: unknown) => {
        // The others would each wait for what has been waited for.
        stop.abort(error);
        // Whoever waits for memory must wake up to see the failure.
        memory.give(1);
      })
      .finally(() => running.delete(work));
    running.add(work);
  };
  const check = (): void => {
    signal?.throwIfAborted();
    stop.signal.throwIfAborted();
  };
  return {
    reserve: async () => {
      check();
      await memory.take(1);
      check();
    },
    add: (chunk) => {
      if (seen.has(chunk.digest)) {
        settle(chunk, 0);
        return;
      }
      seen.add(chunk.digest);
      begin(chunk);
    },
    skip: (bytes) => {
      savedBytes += bytes;
      onDone(bytes);
    },
    finish: async () => {
      await Promise.all(running);
      check();
      return { sentBytes, savedBytes };
    },
  };
}

/** Tells of a chunk whether the store has it; asks only where that is worth it. */
function openAsking(store: ChunkStore, signal: AbortSignal): (chunk: Chunk) => Promise<boolean> {
  let unaskedBytes = UNASKED_BYTES;
  let hasLacked = false;
  return async ({ digest, bytes, isNew = false }) => {
    if (isNew && hasLacked) return false;
    unaskedBytes -= bytes.byteLength;
    if (unaskedBytes >= 0) return false;
    const lacks = (await store.missing([digest], signal)).size > 0;
    hasLacked ||= lacks;
    return !lacks;
  };
}
