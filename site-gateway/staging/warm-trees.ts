import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest, TreeRef } from '../../core/data/manifest.ts';
import { filesOf } from '../../core/data/select.ts';
import type { Clock } from '../../service/clock.ts';
import { ensureDirectory } from '../../service/directories.ts';
import type { Log } from '../../service/log.ts';
import { seldom } from '../../service/seldom.ts';
import { cachedDigests } from '../../service/staging/cache-keeper.ts';
import { writeAtomic } from '../../service/write-atomic.ts';

/** Trees that are named as warm at most: those that were staged in last. */
const MAX_WARM = 64;

/** The folder of a cache that has a list for each warm tree, by its digest: what its files begin with, one a line. */
const LISTS = 'warm';
const LIST = /^[0-9a-f]{64}$/;
/** A list that is being written is renamed at once: one as old as this is of a process that has ended. */
const LEFT_MS = 600_000;

/** Enough of a digest to tell the files of a cache apart. */
const beginningOf = (digest: string): string => digest.slice(0, 12);

/**
 * Which trees a site has warm: of those that were staged in last the ones of which the cache has every file. Its end writes what
 * the next process needs, and looks at nothing.
 */
export interface WarmTrees extends AsyncDisposable {
  /** A tree of a VO has been staged in, or a part of it. */
  remember(vo: string, tree: TreeRef, manifest: Manifest): void;
  /** Their digests, ascending. It is found out within half a minute what others took from the cache. */
  digests(): readonly string[];
  /** Looks at the cache where that is due, and resolves when it is done. */
  settled(): Promise<void>;
}

interface WarmTree {
  readonly vo: string;
  readonly digest: string;
  /** Of its files, until the list is written. */
  files: readonly string[] | undefined;
  /** During which look it was staged in last: that one may have missed its files. */
  look: number;
}

const keyOf = ({ vo, digest }: Pick<WarmTree, 'vo' | 'digest'>): string => `${vo}/${digest}`;

/** `dir` has a folder for each VO. The lists are kept there, so that the next process of the gateway knows them. */
export function openWarmTrees(dir: string, clock: Clock, log: Log): WarmTrees {
  const warm = new Map<string, WarmTree>();
  let looks = 0;
  let ended = false;
  const keep = (tree: WarmTree): void => {
    warm.delete(keyOf(tree));
    warm.set(keyOf(tree), tree);
    const oldest = warm.keys().next().value;
    if (warm.size > MAX_WARM && oldest !== undefined) warm.delete(oldest);
  };
  const load = async (): Promise<void> => {
    const ours = [...warm.values()];
    for (const tree of await listed(dir)) keep(tree);
    for (const tree of ours) keep(tree);
  };
  const look = seldom(clock, async () => {
    looks += 1;
    try {
      if (looks === 1) await load();
      for (const [vo, trees] of Map.groupBy([...warm.values()], (tree) => tree.vo)) {
        const cached = new Set((await cachedDigests(dir, vo)).map(beginningOf));
        if (ended) return;
        for (const tree of trees) {
          const isGone = !(await isWhole(dir, tree, cached)) && tree.look !== looks;
          if (isGone) warm.delete(keyOf(tree));
        }
      }
      for (const tree of await listed(dir)) {
        if (!warm.has(keyOf(tree))) await rm(listOf(dir, tree), { force: true });
      }
      await removeLeft(dir, clock.nowMs());
    } catch (error) {
      log.warn({ err: error }, 'cannot look which trees are warm');
    }
  });
  return {
    remember: (vo, { digest }, manifest) => {
      const known = warm.get(keyOf({ vo, digest }));
      const files = () => filesOf(manifest).map((file) => beginningOf(file.digest));
      const tree = known ?? { vo, digest, files: files(), look: looks };
      tree.look = looks;
      keep(tree);
    },
    digests: () => {
      void look.get();
      return [...new Set([...warm.values()].map(({ digest }) => digest))].toSorted();
    },
    settled: () => look.get(),
    // What was staged in since the last look is in no list yet. The next process looks whether all of it is there.
    [Symbol.asyncDispose]: async () => {
      ended = true;
      try {
        for (const tree of warm.values()) await writeList(dir, tree);
      } catch (error) {
        log.warn({ err: error }, 'cannot write down which trees are warm');
      }
    },
  };
}

const listOf = (dir: string, { vo, digest }: WarmTree): string => join(dir, vo, LISTS, digest);

/** Whether the cache has all files of a tree; its list is then kept. */
async function isWhole(dir: string, tree: WarmTree, cached: ReadonlySet<string>): Promise<boolean> {
  const files = tree.files ?? (await linesOf(listOf(dir, tree)));
  if (files?.every((file) => cached.has(file)) !== true) return false;
  await writeList(dir, tree);
  return true;
}

async function writeList(dir: string, tree: WarmTree): Promise<void> {
  if (tree.files === undefined) return;
  ensureDirectory(join(dir, tree.vo, LISTS), 0o700);
  await writeAtomic(listOf(dir, tree), tree.files.join('\n'), 0o600);
  tree.files = undefined;
}

/** Of which trees there are lists, the oldest first. */
async function listed(dir: string): Promise<readonly WarmTree[]> {
  const found = (await inLists(dir)).filter(({ name }) => LIST.test(name));
  return found
    .toSorted((a, b) => a.atMs - b.atMs)
    .map(({ vo, name }) => ({ vo, digest: name, files: undefined, look: 0 }));
}

/** Removes what a crash has left of lists that were being written. */
async function removeLeft(dir: string, nowMs: number): Promise<void> {
  for (const { vo, name, atMs } of await inLists(dir)) {
    if (LIST.test(name) || nowMs - atMs < LEFT_MS) continue;
    await rm(join(dir, vo, LISTS, name), { force: true });
  }
}

interface InLists {
  readonly vo: string;
  readonly name: string;
  /** When it was written. */
  readonly atMs: number;
}

async function inLists(dir: string): Promise<readonly InLists[]> {
  const found: InLists[] = [];
  for (const vo of await namesIn(dir)) {
    for (const name of await namesIn(join(dir, vo, LISTS))) {
      const stats = await stat(join(dir, vo, LISTS, name)).catch(() => undefined);
      if (stats !== undefined) found.push({ vo, name, atMs: stats.mtimeMs });
    }
  }
  return found;
}

const linesOf = (file: string): Promise<readonly string[] | undefined> =>
  readFile(file, 'utf8').then(
    (text) => text.split('\n'),
    () => undefined,
  );

const namesIn = (dir: string): Promise<readonly string[]> => readdir(dir).catch(() => []);
