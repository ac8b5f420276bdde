import type { TreeRef } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';
import { openBreath } from '../../service/background.ts';
import type { ChunkName } from '../../service/staging/chunk-cipher.ts';
import type { ChunkStore } from '../../service/staging/chunk-store.ts';
import { chunkNamesOf } from '../../service/staging/tree-chunks.ts';
import type { Book } from '../book.ts';

const TREES_AT_ONCE = 1_000;

/** What a pass has found to be needed. */
export interface Marks {
  /** Chunks that the store had when the pass began: no other can go, and trees may name what there is not, without end. */
  readonly stored: ReadonlySet<ChunkName>;
  /** Those of them that trees need. */
  readonly chunks: Set<ChunkName>;
  /** Digests of the trees that need them. */
  readonly trees: Set<string>;
  /** Those of them that came from `named`. */
  readonly named: Set<TreeRef>;
}

export const noMarks = (stored: Iterable<ChunkName>): Marks => ({
  stored: new Set(stored),
  chunks: new Set(),
  trees: new Set(),
  named: new Set(),
});

/** Chunks of all trees that the ledger has; those of other VOs are not in this store and cost a question. */
export async function markLedger(book: Book, store: ChunkStore, marks: Marks): Promise<void> {
  await book.recorder.settled();
  const breathe = openBreath();
  for (let last = ''; ; ) {
    const rows = await book.db
      .selectFrom('trees')
      .selectAll()
      .where('digest', '>', last)
      .orderBy('digest')
      .limit(TREES_AT_ONCE)
      .execute();
    for (const { digest, total_bytes, files, manifest } of rows) {
      const tree = { digest, totalBytes: total_bytes, files };
      await mark(store, manifest === null ? tree : { ...tree, manifest }, marks);
      await breathe();
    }
    if (rows.length < TREES_AT_ONCE) return;
    last = rows.at(-1)?.digest ?? '';
  }
}

/** A tree that was named, and when last. */
export interface NamedTree {
  readonly tree: TreeRef;
  readonly atMs: number;
}

/** Marks what was named since the last look, until there is nothing new; `then` is called at this very moment. */
export async function markNamed<T>(
  store: ChunkStore,
  named: ReadonlyMap<string, NamedTree>,
  marks: Marks,
  then: () => T,
): Promise<Awaited<T>> {
  for (;;) {
    const fresh = [...named.values()]
      .map(({ tree }) => tree)
      .filter((tree) => !marks.named.has(tree));
    if (fresh.length === 0) return await then();
    for (const tree of fresh) {
      await mark(store, tree, marks);
      marks.named.add(tree);
    }
  }
}

/** A tree whose manifest is not there, or is none, keeps nothing alive. */
async function mark(store: ChunkStore, tree: TreeRef, marks: Marks): Promise<void> {
  try {
    for await (const { name } of chunkNamesOf(store, tree))
      if (marks.stored.has(name)) marks.chunks.add(name);
    marks.trees.add(tree.digest);
  } catch (error) {
    const gone = ['CHUNK_MISSING', 'CHUNK_CORRUPT', 'MANIFEST_INVALID'];
    if (!(error instanceof GridError) || !gone.includes(error.code)) throw error;
  }
}
