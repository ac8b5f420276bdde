import { CHUNK_BYTES } from '../../core/data/manifest.ts';
import { openByteBudget } from './byte-budget.ts';
import type { ChunkStore } from './chunk-store.ts';
import { giveSlab } from './wire/slabs.ts';

interface Chunk {
  readonly digest: string;
  readonly bytes: Uint8Array;
}

/** Chunks on their way into the store: asked about in batches, sent while the next ones are read. */
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
/** What is asked about at once; less than what is in memory. */
const BATCH_BYTES = 4 * CHUNK_BYTES;
const BATCH_CHUNKS = 12;
/** Less than this is sent without asking first: the answer would take as long. */
const UNASKED_BYTES = 65_536;

export function openUploads(store: ChunkStore, { onDone, signal }: UploadOptions): Uploads {
  const memory = openByteBudget(() => CHUNKS_IN_MEMORY);
  const seen = new Set<string>();
  const running = new Set<Promise<void>>();
  const stop = new AbortController();
  const untilFailure = AbortSignal.any([stop.signal, ...(signal === undefined ? [] : [signal])]);
  const batch: Chunk[] = [];
  let batchBytes = 0;
  let [sentBytes, savedBytes] = [0, 0];

  const settle = ({ bytes }: Chunk, sent: number): void => {
    sentBytes += sent;
    if (sent === 0) savedBytes += bytes.byteLength;
    memory.give(1);
    giveSlab(bytes);
    onDone(bytes.byteLength);
  };
  const flush = (): void => {
    const chunks = batch.splice(0);
    batchBytes = 0;
    if (chunks.length === 0) return;
    const work = sendBatch(store, chunks, settle, untilFailure)
      .catch((error: unknown) => {
        // The others would each wait for what has been waited for.
        stop.abort(error);
        // Whoever waits for memory must wake up to see the failure.
        memory.give(chunks.length);
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
      batch.push(chunk);
      batchBytes += chunk.bytes.byteLength;
      if (batchBytes >= BATCH_BYTES || batch.length >= BATCH_CHUNKS) flush();
    },
    skip: (bytes) => {
      savedBytes += bytes;
      onDone(bytes);
    },
    finish: async () => {
      flush();
      await Promise.all(running);
      check();
      return { sentBytes, savedBytes };
    },
  };
}

async function sendBatch(
  store: ChunkStore,
  chunks: readonly Chunk[],
  settle: (chunk: Chunk, sent: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const digests = chunks.map(({ digest }) => digest);
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.bytes.byteLength, 0);
  const missing = bytes <= UNASKED_BYTES ? new Set(digests) : await store.missing(digests, signal);
  const one = async (chunk: Chunk): Promise<void> => {
    const needed = missing.has(chunk.digest);
    settle(chunk, needed ? await store.put(chunk.digest, chunk.bytes, signal) : 0);
  };
  await Promise.all(chunks.map(one));
}
