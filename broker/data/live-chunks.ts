import type { TreeRef } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';
import type { ChunkName } from '../../service/staging/chunk-cipher.ts';
import type { ChunkStore } from '../../service/staging/chunk-store.ts';
import { chunkNamesOf } from '../../service/staging/tree-chunks.ts';

/**
 * Chunks of live outputs in the store of one VO. A job that writes a large file anew every few minutes leaves as many states
 * behind, so what no tree names of them any more need not wait as long as what somebody may be about to name.
 */
export interface LiveChunks {
  /** A live state is about to be named. */
  note(tree: TreeRef, nowMs: number): Promise<void>;
  /** Those that a pass may let go early. */
  gather(): Promise<Pick<ReadonlySet<ChunkName>, 'has'>>;
  /**
   * Ends a pass that began at `nowMs` and found these chunks condemned and named: forgets what was not in the store then, and what a
   * tree has named for `graceMs`.
   */
  settle(
    condemned: ReadonlyMap<ChunkName, number>,
    named: ReadonlySet<ChunkName>,
    pass: { readonly nowMs: number; readonly graceMs: number },
  ): void;
  /** Whether so much was sent that a pass is due. */
  isMuch(): boolean;
}

/** Of live states that have been named, as long as one of their chunks has to go. */
const MUCH_BYTES = 2 ** 30;
const GONE = ['CHUNK_MISSING', 'CHUNK_CORRUPT', 'MANIFEST_INVALID'];

export function openLiveChunks(store: ChunkStore): LiveChunks {
  /** When they were noted last. */
  const chunks = new Map<ChunkName, number>();
  /** Trees whose manifest did not come with them. */
  const unread = new Map<string, { readonly tree: TreeRef; readonly atMs: number }>();
  let bytes = 0;
  const read = async (tree: TreeRef, nowMs: number): Promise<void> => {
    try {
      for await (const { name } of chunkNamesOf(store, tree)) chunks.set(name, nowMs);
    } catch (error) {
      if (!(error instanceof GridError) || !GONE.includes(error.code)) throw error;
    }
  };
  return {
    note: async (tree, nowMs) => {
      bytes += tree.totalBytes;
      if ((tree.manifest?.byteLength ?? 0) === 0) unread.set(tree.digest, { tree, atMs: nowMs });
      else await read(tree, nowMs);
    },
    gather: async () => {
      for (const [digest, { tree, atMs }] of unread) {
        await read(tree, atMs);
        unread.delete(digest);
      }
      return chunks;
    },
    settle: (condemned, named, { nowMs, graceMs }) => {
      let waiting = 0;
      for (const [name, atMs] of chunks) {
        const mostMs = named.has(name) ? graceMs : 0;
        if (condemned.has(name)) waiting += 1;
        else if (nowMs - atMs > mostMs) chunks.delete(name);
      }
      if (waiting === 0) bytes = 0;
    },
    isMuch: () => bytes > MUCH_BYTES,
  };
}
