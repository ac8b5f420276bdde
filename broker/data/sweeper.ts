import type { TreeRef } from '../../core/data/manifest.ts';
import { type SweepMemory, type SweepPass, sweepPass } from '../../core/data/sweep.ts';
import { GridError } from '../../core/errors.ts';
import { counted } from '../../core/units.ts';
import { openBreath } from '../../service/background.ts';
import { steadyNow } from '../../service/clock.ts';
import { type ChunkName, chunkName } from '../../service/staging/chunk-cipher.ts';
import { digestsIn } from '../../service/staging/chunk-store.ts';
import { checkManifest } from '../../service/staging/read-tree.ts';
import { chunkNamesOf } from '../../service/staging/tree-chunks.ts';
import type { Book } from '../book.ts';
import { readTrees } from '../jobs/job-store.ts';
import { keepCondemned, readCondemned } from './condemned.ts';
import { openDoubts } from './doubts.ts';
import { lastSwept, noteSwept } from './last-swept.ts';
import { type LiveChunks, openLiveChunks } from './live-chunks.ts';
import { allRead, type Doubted, type Healed, heal } from './spoiled-chunks.ts';
import type { OpenKeeper, StagingAccounts } from './staging-accounts.ts';
import { type Marks, markLedger, markNamed, type NamedTree, noMarks } from './sweep-marks.ts';
import { BRIEF_MS, openTimers } from './sweep-timers.ts';

/**
 * Takes out of the stores what no tree names any more. A tree lives as long as the ledger has it: for a job, its results,
 * or a dataset. Uploads go on meanwhile, and a tree is named only when its last chunk is there, so:
 *
 * - a chunk goes only after every pass for `graceMs` has found it in no tree;
 * - a tree that is named during a pass saves its chunks until the very moment at which they are taken out;
 * - who names a tree later is told which of its chunks have gone meanwhile, and sends them again.
 *
 * What is condemned stays so when the broker ends, so one that is shut each night takes out what nobody needs, too. It
 * forgets what it took out; for `graceMs` after a start it asks for every chunk of a new tree that a client
 * sent, and of one that a gateway sent where chunks were taken out in the `graceMs` before.
 */
export interface Sweeper extends AsyncDisposable {
  /**
   * A tree is about to be named. Throws MANIFEST_INVALID for a manifest that is not its own, and CHUNK_MISSING where
   * chunks of it are not in the store. What a gateway has just sent is asked for only what this sweeper has taken out.
   */
  readonly admit: Admit;
  /**
   * Whether a tree was named before and nothing of it has been taken out since: then it needs not be sent again, and stays
   * for ten minutes in which it may be named anew. A false no costs questions, a yes is sure, but for what a store loses.
   */
  hold(vo: string, tree: TreeRef): boolean;
  /**
   * A chunk is not what or where it should be: no tree of the VO is held until it has been named again, and what `failure`
   * names and is spoiled goes in the background.
   */
  readonly doubt: (vo: string, failure: string) => void;
  /** One pass over the store of a VO. */
  sweep(vo: string): Promise<Swept>;
  /** Reads chunks and takes out those that are not what their name says. */
  heal(vo: string, digests: readonly string[]): Promise<Healed>;
}

/** See `Sweeper`. */
export type Admit = (vo: string, tree: TreeRef, from?: SentBy) => Promise<void>;

/** Who sends a tree; `live` is a gateway, whose next live state takes the place of this one. */
type SentBy = 'client' | 'gateway' | 'live';

/** For a broker without a staging service. */
export const NO_SWEEPER: Sweeper = {
  admit: async (_vo, tree) => checkManifest(tree),
  hold: () => false,
  doubt: () => undefined,
  sweep: () => Promise.reject(noStore()),
  heal: () => Promise.reject(noStore()),
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

const noStore = (): GridError =>
  new GridError('STAGING_UNAVAILABLE', 'this broker has no staging service');

/** What a pass came to, in chunks. */
interface Swept {
  readonly stored: number;
  /** In no tree, and not long enough. */
  readonly condemned: number;
  readonly removed: number;
}

export interface SweeperOptions {
  readonly book: Book;
  readonly accounts: Pick<StagingAccounts, 'openKeeper'>;
  readonly vos: readonly string[];
  readonly everyMs: number;
  readonly graceMs: number;
}

/** What is known of the store of one VO. */
interface Store extends Doubted {
  readonly vo: string;
  readonly keeper: OpenKeeper;
  readonly live: LiveChunks;
  /** Undefined until it was read. */
  condemned: ReadonlyMap<ChunkName, number> | undefined;
  /** When chunks were taken out, as far as an upload may not know it. */
  readonly removed: Map<ChunkName, number>;
  /** Trees that were named lately, whether the ledger has them yet or not; the latest last. */
  readonly named: Map<string, NamedTree>;
  /** Digests of trees whose chunks were there when they were named, and which every pass since has found named. */
  whole: Set<string>;
  pass: Promise<Swept> | undefined;
  /** Ends when the last chunks of `removed` have gone, or could not go. */
  removing: Promise<unknown>;
  /** When an earlier run of the broker took out chunks last; 0 where none did. Read once, and again where that failed. */
  readonly sweptBefore: () => Promise<number>;
  /** Has chunks read in the background. */
  readonly doubts: (digests: readonly string[]) => void;
}

/** The ledger has a tree by then, or never will. */
const COMMITTED_MS = 600_000;
const REMOVED_AT_ONCE = 256;
const DECIDED_AT_ONCE = 1_000;
/** Trees of a VO that can be held; the latest ones. */
const MOST_WHOLE = 10_000;

const openStore = (
  vo: string,
  keeper: OpenKeeper,
  parts: Pick<Store, 'sweptBefore' | 'doubts'>,
): Store => ({
  vo,
  ...parts,
  keeper,
  live: openLiveChunks(keeper.store),
  condemned: undefined,
  removed: new Map(),
  named: new Map(),
  whole: new Set(),
  pass: undefined,
  removing: Promise.resolve(),
  healing: Promise.resolve(),
});

export function openSweeper(options: SweeperOptions): Sweeper {
  const { book, accounts, graceMs } = options;
  const nowMs = steadyNow(book.clock);
  const startedAtMs = nowMs();
  const stores = new Map<string, Store>();
  const storeOf = (vo: string): Store => {
    const known = stores.get(vo);
    if (known !== undefined) return known;
    const sweptBefore = readOnce(() => lastSwept(book.db, vo));
    // Before this run takes out anything. Whoever needs it learns by its own await.
    sweptBefore().catch(() => undefined);
    const doubts = openDoubts((digests) => healIn(vo, digests).then(allRead), book.log);
    const store = openStore(vo, accounts.openKeeper(vo), { sweptBefore, doubts });
    stores.set(vo, store);
    return store;
  };
  const sweep = async (vo: string): Promise<Swept> => {
    const store = storeOf(vo);
    store.pass ??= sweepStore(book, store, { nowMs: nowMs(), graceMs }).finally(() => {
      store.pass = undefined;
    });
    return store.pass;
  };
  const healIn: Sweeper['heal'] = (vo, digests) => healStore(book, storeOf(vo), digests, nowMs);
  const timers = openTimers(options, stores, sweep);
  return {
    sweep,
    admit: async (vo, tree, from = 'client') => {
      if (tree.digest === '') return;
      checkManifest(tree);
      const store = storeOf(vo);
      if (from === 'client') await checkOwned(book, store, tree);
      const atMs = nowMs();
      const isNew = !store.named.has(tree.digest);
      const naming = name(store, tree, atMs);
      // Where chunks are doubted meanwhile it is another one by then.
      const { whole } = store;
      if (from === 'live') await store.live.note(tree, atMs);
      const sinceMs = from === 'client' ? startedAtMs : await store.sweptBefore();
      const distrusts = atMs - sinceMs < graceMs;
      const isDoubtful = isNew || store.removed.size > 0;
      const isWhole = isDoubtful ? await checkTree(store, naming, distrusts) : !distrusts;
      if (isWhole && from === 'client') remember(whole, tree);
    },
    hold: (vo, tree) => {
      const store = storeOf(vo);
      if (!store.whole.has(tree.digest)) return false;
      // Nothing is awaited: a pass that goes on marks it before it takes out the next chunk.
      name(store, tree, nowMs());
      return true;
    },
    doubt: (vo, failure) => {
      const store = storeOf(vo);
      store.whole = new Set();
      store.doubts(digestsIn(failure));
    },
    heal: healIn,
    [Symbol.asyncDispose]: async () => {
      for (const timer of timers) clearTimeout(timer);
      await Promise.all([...stores.values()].map(({ keeper }) => keeper[Symbol.asyncDispose]()));
    },
  };
}

function readOnce<T>(read: () => Promise<T>): () => Promise<T> {
  let reading: Promise<T> | undefined;
  return () => {
    reading ??= read().catch((error: unknown) => {
      reading = undefined;
      throw error;
    });
    return reading;
  };
}

/** A manifest that somebody sent stays, though others send none. */
function name(store: Store, tree: TreeRef, nowMs: number): NamedTree {
  const { named } = store;
  const known = named.get(tree.digest)?.tree;
  const naming = { tree: known?.manifest === undefined ? tree : known, atMs: nowMs };
  named.delete(tree.digest);
  named.set(tree.digest, naming);
  if (store.pass === undefined) forgetNamed(store, nowMs);
  return naming;
}

/**
 * Drops those that are in the ledger by now, or never will be. Not during a pass, which may have read the ledger before.
 * Live outputs alone are a new tree every few seconds.
 */
function forgetNamed({ named }: Store, nowMs: number): void {
  for (const [digest, { atMs }] of named) {
    if (nowMs - atMs <= COMMITTED_MS) return;
    named.delete(digest);
  }
}

function remember(whole: Set<string>, { digest }: TreeRef): void {
  whole.delete(digest);
  whole.add(digest);
  const oldest = whole.values().next().value;
  if (whole.size > MOST_WHOLE && oldest !== undefined) whole.delete(oldest);
}

/**
 * A manifest that does not come with its tree must be in the store of the VO. The ledger keeps small ones of all VOs: it must neither
 * give them to one who knows no more than a digest, nor tell that they are there. Throws CHUNK_MISSING, CHUNK_CORRUPT, and
 * STAGING_UNAVAILABLE where the store is away and the ledger has the manifest.
 */
async function checkOwned({ db }: Book, { keeper }: Store, tree: TreeRef): Promise<void> {
  if ((tree.manifest?.byteLength ?? 0) > 0) return;
  try {
    await keeper.store.get(tree.digest);
  } catch (error) {
    if (!(error instanceof GridError) || error.code !== 'STAGING_UNAVAILABLE') throw error;
    // A store that is away keeps nobody from submitting, and no more than that.
    const known = (await readTrees(db, [tree.digest])).get(tree.digest);
    if (known?.manifest !== undefined) throw error;
  }
}

/** Whether all chunks of it are in the store, as far as can be told. */
async function checkTree(store: Store, naming: NamedTree, distrusts: boolean): Promise<boolean> {
  const { tree } = naming;
  if (!distrusts && store.removed.size === 0) return true;
  try {
    // What is on its way out is there still.
    await store.removing;
    const doubtful: string[] = [];
    let chunks = 0;
    for await (const { digest, name: chunk } of chunkNamesOf(store.keeper.store, tree)) {
      chunks += 1;
      if (distrusts || store.removed.has(chunk)) doubtful.push(digest);
    }
    const missing = await store.keeper.store.missing(doubtful);
    if (missing.size === 0) return true;
    throw new GridError(
      'CHUNK_MISSING',
      `the store lacks ${missing.size} of ${counted(chunks, 'chunk')} of the tree`,
    );
  } catch (error) {
    // Whoever wants the files later will learn it; a store that is away keeps nobody from submitting.
    if (!(error instanceof GridError) || error.code !== 'STAGING_UNAVAILABLE') {
      // Somebody else may have sent it again meanwhile, and named it.
      if (store.named.get(tree.digest) === naming) store.named.delete(tree.digest);
      store.whole.delete(tree.digest);
      throw error;
    }
    return false;
  }
}

interface Times {
  readonly nowMs: number;
  readonly graceMs: number;
}

async function sweepStore(book: Book, store: Store, { nowMs, graceMs }: Times): Promise<Swept> {
  const { vo } = store;
  // First: what comes later is of no concern to this pass.
  const { names: stored, strays } = await store.keeper.list();
  const marks = noMarks(stored);
  await markLedger(book, store.keeper.store, marks);
  await markNamed(store.keeper.store, store.named, marks, () => {
    // From here on a tree that is not marked may lose chunks.
    for (const digest of store.whole) if (!marks.trees.has(digest)) store.whole.delete(digest);
  });
  const before = store.condemned ?? (await readCondemned(book.db, vo));
  const { due, condemned } = await decide(store, stored, marks, {
    rule: { nowMs, graceMs },
    before: { condemned: before },
  });
  store.condemned = condemned;
  let removed = 0;
  for (let at = 0; at < due.length; at += REMOVED_AT_ONCE) {
    // A broker from which another one has taken over can write no more, and takes nothing out.
    await book.recorder.amend((db) => noteSwept(db, vo, nowMs));
    const some = due.slice(at, at + REMOVED_AT_ONCE);
    // Nothing is awaited between the last look at what is named and the request: a tree that is named later finds them among the removed.
    const going = await markNamed(store.keeper.store, store.named, marks, async () => {
      const unnamed = some.filter((chunk) => !marks.chunks.has(chunk));
      await takeOut(store, unnamed, nowMs);
      return unnamed;
    });
    removed += going.length;
    // One that is sent again is as new as any other.
    for (const chunk of going) condemned.delete(chunk);
  }
  if (strays > 0) removed += await store.keeper.removeStrays();
  if (before.size > 0 || condemned.size > 0)
    await book.recorder.amend((db) => keepCondemned(db, vo, condemned));
  store.live.settle(condemned, marks.chunks, { nowMs, graceMs });
  forget(store, nowMs, graceMs);
  const swept = { stored: stored.length, condemned: condemned.size, removed };
  if (removed > 0) book.log.info({ vo, ...swept }, 'the store was swept');
  return swept;
}

/** What may go now, and what must wait; others have their turn meanwhile. */
async function decide(
  store: Store,
  stored: readonly ChunkName[],
  marks: Marks,
  { rule: { nowMs, graceMs }, before }: { rule: Times; before: SweepMemory<ChunkName> },
): Promise<SweepPass<ChunkName> & { readonly condemned: Map<ChunkName, number> }> {
  const brief = await store.live.gather();
  const rule = { nowMs, graceMs, brief, briefMs: Math.min(BRIEF_MS, graceMs) };
  const breathe = openBreath();
  const condemned = new Map<ChunkName, number>();
  const due: ChunkName[] = [];
  for (let at = 0; at < stored.length; at += DECIDED_AT_ONCE) {
    const some = stored.slice(at, at + DECIDED_AT_ONCE);
    const pass = sweepPass(some, marks.chunks, before, rule);
    due.push(...pass.due);
    for (const [chunk, sinceMs] of pass.condemned) condemned.set(chunk, sinceMs);
    await breathe();
  }
  return { due, condemned };
}

function forget(store: Store, nowMs: number, graceMs: number): void {
  const { removed } = store;
  forgetNamed(store, nowMs);
  for (const [chunk, atMs] of removed) if (nowMs - atMs > graceMs) removed.delete(chunk);
}

const healStore = (book: Book, store: Store, digests: readonly string[], nowMs: () => number) =>
  heal(store, digests, async (digest) => {
    await book.recorder.amend((db) => noteSwept(db, store.vo, nowMs()));
    await takeOut(store, [chunkName(digest)], nowMs());
  });

/** Nothing is awaited before the request: who names a tree from now on finds the chunks among the removed. */
function takeOut(store: Store, chunks: readonly ChunkName[], nowMs: number): Promise<void> {
  for (const chunk of chunks) store.removed.set(chunk, nowMs);
  const going = store.keeper.remove(chunks);
  store.removing = Promise.allSettled([store.removing, going]);
  return going;
}
