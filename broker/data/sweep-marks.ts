import type { TreeRef } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';
import { type ChunkName, chunkName } from '../../service/staging/chunk-cipher.ts';
import type { ChunkStore } from '../../service/staging/chunk-store.ts';
import { treeChunks } from '../../service/staging/tree-chunks.ts';
import type { Book } from '../book.ts';

const TREES_AT_ONCE = 1_000;

/** What a pass has found to be needed. */
export interface Marks {
  readonly chunks: Set<ChunkName>;
  /** Digests of the trees that need them. */
  readonly trees: Set<string>;
  /** Those of them that came from `named`. */
  readonly named: Set<TreeRef>;
}

export const noMarks = (): Marks => ({ chunks: new Set(), trees: new Set(), named: new Set() });

/** Chunks of all trees that the ledger has; those of other VOs are not in this store and cost a question. */
export async function markLedger(book: Book, store: ChunkStore, marks: Marks): Promise<void> {
  await book.recorder.settled();
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
    }
    if (rows.length < TREES_AT_ONCE) return;
    last = rows.at(-1)?.digest ?? '';
  }
}

/** Trees that were named lately, whether the ledger has them yet or not; the latest last. */
export type Named = ReadonlyMap<string, { readonly tree: TreeRef; readonly atMs: number }>;

/** Marks what was named since the last look, until there was nothing new. */
export async function markNamed(store: ChunkStore, named: Named, marks: Marks): Promise<void> {
  for (;;) {
    const fresh = [...named.values()]
      .map(({ tree }) => tree)
      .filter((tree) => !marks.named.has(tree));
    if (fresh.length === 0) return;
    for (const tree of fresh) {
      await mark(store, tree, marks);
      marks.named.add(tree);
    }
  }
}

/** A tree whose manifest is not there, or is none, keeps nothing alive. */
async function mark(store: ChunkStore, tree: TreeRef, marks: Marks): Promise<void> {
  try {
    for (const digest of await treeChunks(store, tree)) marks.chunks.add(chunkName(digest));
    marks.trees.add(tree.digest);
  } catch (error) {
    const gone = ['CHUNK_MISSING', 'CHUNK_CORRUPT', 'MANIFEST_INVALID'];
    if (!(error instanceof GridError) || !gone.includes(error.code)) throw error;
  }
}
