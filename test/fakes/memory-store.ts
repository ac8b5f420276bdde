import { GridError } from '../../core/errors.ts';
import { type ChunkStore, verified } from '../../service/staging/chunk-store.ts';

/** A chunk store in memory that counts what it is asked. */
export interface MemoryStore extends ChunkStore {
  readonly chunks: Map<string, Uint8Array>;
  readonly calls: { missing: number; put: number; get: number };
}

export function memoryStore(): MemoryStore {
  const chunks = new Map<string, Uint8Array>();
  const calls = { missing: 0, put: 0, get: 0 };
  const receive = async (digest: string): Promise<Uint8Array> => {
    calls.get += 1;
    const bytes = await Promise.resolve(chunks.get(digest));
    if (bytes !== undefined) return bytes;
    throw new GridError('CHUNK_MISSING', `the store has no chunk ${digest}`);
  };
  return {
    chunks,
    calls,
    missing: (digests) => {
      calls.missing += 1;
      return Promise.resolve(new Set(digests.filter((digest) => !chunks.has(digest))));
    },
    put: (digest, bytes) => {
      calls.put += 1;
      const had = chunks.has(digest);
      chunks.set(digest, chunks.get(digest) ?? Uint8Array.from(bytes));
      return Promise.resolve(had ? 0 : bytes.byteLength);
    },
    receive,
    get: async (digest) => verified(digest, await receive(digest)),
  };
}
