import { existsSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { chunkBytes, compareTrees } from '../../core/data/compare.ts';
import type { DatasetRef } from '../../core/data/dataset.ts';
import type { Manifest } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';
import { formatBytes } from '../../core/units.ts';
import type { Dataset, StoreQuota } from '../../proto/gen/grid/v1/data.ts';
import { loadManifest } from '../../service/staging/read-tree.ts';
import { describeTree } from '../../service/staging/send-tree.ts';
import type { Context } from '../context.ts';
import { argument, type Input } from '../input.ts';
import { readJob } from '../jobs/job-detail.ts';
import { table } from '../render.ts';
import { quotaNotes, quotaView } from './data-quota.ts';
import { type DatasetClient, nameOf, openDatasetClient } from './dataset-client.ts';
import { jobOf } from './job-results.ts';

/** `grid data du`. */
export async function diskUsage(context: Context, input: Input): Promise<number> {
  await using client = await openDatasetClient(context, input);
  const request = { vo: input.text('vo') ?? '', allVersions: true };
  const listed = await client.datasets.listDatasets(request, { signal: context.signal });
  const taking = await takingOf(context, client, input, listed.datasets);
  const users = new Map<string, number>();
  const all = new Map<string, number>();
  for (const { chunks } of taking)
    for (const [digest, bytes] of chunks) {
      users.set(digest, (users.get(digest) ?? 0) + 1);
      all.set(digest, Math.max(all.get(digest) ?? 0, bytes));
    }
  const lines = taking.map(({ id, totalBytes, chunks }) => {
    const own = [...chunks].filter(([digest]) => users.get(digest) === 1);
    return { id, totalBytes, storedBytes: sum([...chunks]), aloneBytes: sum(own) };
  });
  const storedBytes = sum([...all]);
  const quotas = input.args.length === 0 ? await quotasOf(context, client, listed.datasets) : [];
  const { terminal, colours, json } = context;
  if (json)
    terminal.out(JSON.stringify({ datasets: lines, storedBytes, quotas: quotas.map(quotaView) }));
  else {
    const rows = lines.map(({ id, totalBytes, storedBytes: stored, aloneBytes }) => [
      id,
      formatBytes(totalBytes),
      formatBytes(stored),
      formatBytes(aloneBytes),
    ]);
    terminal.out(table(['dataset', 'size', 'stored', 'alone'], rows, colours, terminal.columns));
    terminal.note(`${formatBytes(storedBytes)} stored in all`);
    for (const line of quotaNotes(quotas)) terminal.note(line);
  }
  return 0;
}

/** What is in the store under one name. */
interface Taking {
  readonly id: string;
  readonly totalBytes: number;
  /** Bytes of each chunk that are used. */
  readonly chunks: ReadonlyMap<string, number>;
}

/** What is asked about: all datasets where nothing is named. */
async function takingOf(
  context: Context,
  client: DatasetClient,
  input: Input,
  datasets: readonly Dataset[],
): Promise<readonly Taking[]> {
  const names = input.args.filter((word) => jobOf(word) === undefined);
  const wanted = await Promise.all(names.map((word) => client.refOf(word)));
  for (const ref of wanted) if (!datasets.some(meantBy(ref))) await client.find(ref);
  const chosen = datasets.filter(
    (dataset) => input.args.length === 0 || wanted.some((ref) => meantBy(ref)(dataset)),
  );
  const taking: Taking[] = [];
  for (const dataset of chosen) {
    const id = nameOf(dataset);
    const chunks = chunkBytes(await manifestOf(context, client, id));
    taking.push({ id, totalBytes: dataset.tree?.totalBytes ?? 0, chunks });
  }
  for (const job of await jobsOf(context, client, input))
    taking.push(await resultsOf(context, client, job));
  return taking;
}

/** Whether a name means this version: without a version it means all. */
const meantBy =
  (ref: DatasetRef) =>
  ({ vo, name, version }: Dataset): boolean =>
    ref.vo === vo && ref.name === name && (ref.version ?? version) === version;

/** Ids of the jobs that are meant. */
async function jobsOf(
  { signal }: Context,
  { datasets }: DatasetClient,
  input: Input,
): Promise<readonly string[]> {
  const named = input.args.flatMap((word) => jobOf(word) ?? []);
  if (!input.on('jobs')) return named;
  const request = { vo: input.text('vo') ?? '', everybody: false, limit: 0 };
  const { jobs } = await datasets.listResults(request, { signal });
  return [...new Set([...named, ...jobs.map(({ jobId }) => jobId)])];
}

/** What the results of a job take, all of its tasks together. */
async function resultsOf(context: Context, client: DatasetClient, id: string): Promise<Taking> {
  const { spec, outputs } = await readJob(context, client.broker, id);
  const store = await client.store(spec.vo);
  const trees = new Map([...outputs.values()].map((tree) => [tree.digest, tree]));
  trees.delete('');
  const chunks = new Map<string, number>();
  for (const tree of trees.values())
    for (const [digest, bytes] of chunkBytes(await loadManifest(store, tree, context.signal)))
      chunks.set(digest, Math.max(chunks.get(digest) ?? 0, bytes));
  const totalBytes = [...trees.values()].reduce((total, tree) => total + tree.totalBytes, 0);
  return { id: `job:${id}`, totalBytes, chunks };
}

/** Those of the caller and of the VOs whose datasets are shown. */
async function quotasOf(
  { signal }: Context,
  { datasets }: DatasetClient,
  shown: readonly { readonly vo: string }[],
): Promise<readonly StoreQuota[]> {
  const found: StoreQuota[] = [];
  for (const vo of new Set(shown.map((dataset) => dataset.vo)))
    found.push(
      ...(await datasets.listStoreQuotas({ vo, owner: '', members: false }, { signal })).quotas,
    );
  return found;
}

const sum = (chunks: readonly (readonly [string, number])[]): number =>
  chunks.reduce((total, [, bytes]) => total + bytes, 0);

async function manifestOf(
  { signal }: Context,
  client: DatasetClient,
  name: string,
): Promise<Manifest> {
  const { dataset, tree } = await client.find(await client.refOf(name));
  return loadManifest(await client.store(dataset.vo), tree, signal);
}

/** What begins with a slash is the full name of a dataset. */
const isDirectory = (text: string): boolean => /^\.{1,2}(?:\/|$)/.test(text);

/** `grid data diff`. */
export async function diffDatasets(context: Context, input: Input): Promise<number> {
  await using client = await openDatasetClient(context, input);
  const [first, second] = [argument(input, 0), argument(input, 1)];
  if (isDirectory(first)) throw new GridError('USAGE', `the directory '${first}' comes second`);
  const before = await manifestOf(context, client, first);
  const after = isDirectory(second)
    ? await describeTree({ root: resolve(context.cwd, second), paths: ['.'] }, context.signal)
    : await manifestOf(context, client, second).catch((error: unknown) => {
        throw withDirectoryHint(error, second, context.cwd);
      });
  const differences = compareTrees(before, after);
  const { terminal, colours, json } = context;
  if (json) terminal.out(JSON.stringify(differences));
  else if (differences.length === 0) terminal.note('no difference');
  else {
    const rows = differences.map(({ kind, path, bytes }) => [
      kind,
      bytes === 0 ? '' : formatBytes(bytes),
      path,
    ]);
    terminal.out(table(['', 'size', 'path'], rows, colours, terminal.columns));
  }
  return differences.length === 0 ? 0 : 1;
}

/** Of a name that is no dataset but a directory here: how to write the directory. */
export function withDirectoryHint(error: unknown, name: string, cwd: string): unknown {
  if (!(error instanceof GridError) || error.code !== 'DATASET_NOT_FOUND') return error;
  if (!existsSync(resolve(cwd, name))) return error;
  const path = relative(cwd, resolve(cwd, name));
  const written = path.startsWith('../') ? path : `./${path}`;
  return new GridError(error.code, `${error.message}; the directory here is '${written}'`, {
    cause: error,
  });
}

/** `grid data where`. */
export async function whereIsDataset(context: Context, input: Input): Promise<number> {
  await using client = await openDatasetClient(context, input);
  const { name, dataset } = await client.find(await client.refOf(argument(input, 0)));
  const { terminal, json } = context;
  if (json) terminal.out(JSON.stringify({ id: name, sites: dataset.sites }));
  else if (dataset.sites.length === 0) terminal.note(`${name} is warm at no site`);
  else for (const site of dataset.sites) terminal.out(site);
  return 0;
}
