import { join } from 'node:path';
import type { Manifest, TreeRef } from '../../core/data/manifest.ts';
import { selectTree } from '../../core/data/select.ts';
import { GridError } from '../../core/errors.ts';
import type { InputFile } from '../../core/job/spec.ts';
import { formatBytes } from '../../core/units.ts';
import type { ChunkStore } from '../../service/staging/chunk-store.ts';
import { conflictsOf } from '../../service/staging/conflicts.ts';
import { fetchTree } from '../../service/staging/fetch-tree.ts';
import { checkNames } from '../../service/staging/folded-names.ts';
import { loadManifest } from '../../service/staging/read-tree.ts';
import type { TransferProgress } from '../../service/staging/send-tree.ts';
import type { ProgressLine } from '../progress.ts';

/** The results of one task and where they go. */
export interface Result {
  readonly tree: TreeRef;
  readonly dir: string;
}

/** What fetching takes and tells. */
export interface FetchResultsOptions {
  readonly store: ChunkStore;
  readonly results: readonly Result[];
  /** Overwrite files that differ. */
  readonly force: boolean;
  readonly signal: AbortSignal;
  /** Opens a progress line, for `comparing` and for `fetching`; only one at a time. */
  readonly show: (what: string) => Promise<ProgressLine>;
}

const AT_ONCE = 4;

/** Fetches results, of which `hereBytes` need not come over the network; throws NAMES_COLLIDE, and ALREADY_EXISTS with every file that is there and differs, before anything is written. */
export async function fetchResults(
  options: FetchResultsOptions,
): Promise<{ readonly files: number; readonly totalBytes: number; readonly hereBytes: number }> {
  const { results, signal } = options;
  const plans = await plansOf(options);
  await checkNames(plans.flatMap(({ paths }) => paths));
  const problems = plans.flatMap((plan) => plan.problems);
  if (problems.length > 0) {
    const count =
      problems.length === 1 ? '1 file that differs is' : `${problems.length} files that differ are`;
    throw new GridError(
      'ALREADY_EXISTS',
      `${count} there already: --force overwrites, another directory leaves them alone`,
      {
        problems: problems.slice(0, 20),
      },
    );
  }
  const totalBytes = results.reduce((sum, { tree }) => sum + tree.totalBytes, 0);
  const line = await options.show('fetching');
  const share = together(({ doneBytes }) =>
    line.update({ doneBytes: Math.min(doneBytes, totalBytes), totalBytes }),
  );
  const fetched = await inParallel(plans, ({ tree, dir, select, right }) =>
    fetchTree(options.store, tree, dir, {
      select,
      right,
      signal,
      resumes: true,
      onProgress: share(),
    }),
  ).finally(line.stop);
  const sumOf = (of: (each: (typeof fetched)[number]) => number): number =>
    fetched.reduce((sum, each) => sum + of(each), 0);
  return {
    files: sumOf(({ files }) => files),
    totalBytes: sumOf((each) => each.totalBytes),
    hereBytes: sumOf((each) => Math.max(0, each.totalBytes - each.bytesFetched)),
  };
}

/** ` (1.2 GiB need not come)`, or '' where all had to. */
export const hereText = ({ hereBytes }: { readonly hereBytes: number }): string =>
  hereBytes === 0 ? '' : ` (${formatBytes(hereBytes)} need not come)`;

/** What is to be fetched where, and what is there of it. */
async function plansOf({ store, results, force, signal, show }: FetchResultsOptions) {
  const line = await show('comparing');
  const share = together(line.update);
  return inParallel(results, async ({ tree, dir }) => {
    const manifest = await loadManifest(store, tree, signal);
    const select = placesOf(manifest);
    const wanted = selectTree(manifest, select);
    const how = { signal, onProgress: share() };
    const { problems, right } = force ? NOTHING_THERE : await conflictsOf(wanted, dir, how);
    const paths = wanted.entries.map(({ path }) => join(dir, path));
    return { tree, dir, select, problems, right, paths };
  }).finally(line.stop);
}

const NOTHING_THERE = { problems: [], right: new Map<string, string>() };

/** Adds up what several tell, each by its own. */
function together(
  tell: (progress: TransferProgress) => void,
): () => (progress: TransferProgress) => void {
  let [doneBytes, totalBytes] = [0, 0];
  return () => {
    let last: TransferProgress = { doneBytes: 0, totalBytes: 0 };
    return (progress) => {
      doneBytes += progress.doneBytes - last.doneBytes;
      totalBytes += progress.totalBytes - last.totalBytes;
      last = progress;
      tell({ doneBytes, totalBytes });
    };
  };
}

/** Everything at its own place, and the two streams beside it, unless the job made files of these names. */
export function placesOf(manifest: Manifest): readonly InputFile[] {
  const tops = new Set(manifest.entries.map(({ path }) => path.split('/')[0] ?? ''));
  const own = [...tops].filter((top) => top !== '.grid').map((top) => ({ from: top, to: top }));
  const streams = ['stdout', 'stderr']
    .filter((name) => manifest.entries.some(({ path }) => path === `.grid/${name}`))
    .map((name) => ({
      from: `.grid/${name}`,
      to: tops.has(name) ? `.grid/${name}` : name,
    }));
  return [...own, ...streams];
}

/** In order, some at the same time. */
async function inParallel<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += AT_ONCE)
    results.push(...(await Promise.all(items.slice(at, at + AT_ONCE).map(work))));
  return results;
}
