import { stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { type DatasetRef, formatDataset } from '../../core/data/dataset.ts';
import { GridError } from '../../core/errors.ts';
import { counted, formatBytes, formatDuration, writeDuration } from '../../core/units.ts';
import type { Dataset } from '../../proto/gen/grid/v1/data.ts';
import { treeToWire } from '../../service/rpc/wire.ts';
import { errnoOf, readFailure } from '../../service/staging/file-errors.ts';
import { loadManifest } from '../../service/staging/read-tree.ts';
import { type SentTree, sendTree } from '../../service/staging/send-tree.ts';
import type { Context } from '../context.ts';
import { argument, type Input } from '../input.ts';
import { fetchResults, hereText } from '../jobs/fetch-results.ts';
import { checkNotRemoved } from '../jobs/get.ts';
import { readJob } from '../jobs/job-detail.ts';
import { openProgress } from '../progress.ts';
import { agoText, table } from '../render.ts';
import {
  afterHealing,
  type DatasetClient,
  datasetView,
  nameOf,
  openDatasetClient,
} from './dataset-client.ts';
import { jobOf, listResults, removeResults } from './job-results.ts';
import { ownerNames } from './owner-names.ts';
import { roomIn } from './room.ts';
import { chooseVo, knownDirOf } from './staging.ts';

/** `grid data put`. */
export async function putDataset(context: Context, input: Input): Promise<number> {
  await using client = await openDatasetClient(context, input);
  const ref = await client.refOf(argument(input, 1));
  if (ref.version !== undefined)
    throw new GridError('USAGE', `'${formatDataset(ref)}': versions are numbered by the grid`);
  const keepMs = input.lifetime('keep') ?? 0;
  const job = jobOf(argument(input, 0));
  if (job !== undefined) return await putResults(context, input, client, { ref, job, keepMs });
  const { root, path } = await placeOf(resolve(context.cwd, argument(input, 0)));
  const store = await client.store(ref.vo);
  const { signal } = context;
  const askRoom = roomIn(context, client.broker.call, { vo: ref.vo, dataset: ref.name });
  const knownDir = knownDirOf(await context.settings());
  const send = async (): Promise<SentTree> => {
    const progress = await openProgress(context, 'sending');
    const { isHeld } = store;
    const options = { onProgress: progress.update, signal, knownDir, isHeld, askRoom };
    return sendTree(store, { root, paths: [path] }, options).finally(progress.stop);
  };
  const { tree, sentBytes, savedBytes } = await send();
  if (tree.digest === '') throw new GridError('USAGE', `there is nothing in ${root}`);
  const shared = input.on('share');
  const request = { vo: ref.vo, name: ref.name, tree: treeToWire(tree), shared, keepMs };
  const dataset = await client.datasets
    .putDataset(request, { signal })
    .catch(async (error: unknown) => {
      if (!(error instanceof GridError) || error.code !== 'CHUNK_MISSING') throw error;
      // What the store had when we asked was swept before the broker heard of it.
      await send();
      return client.datasets.putDataset(request, { signal });
    });
  const { terminal, json } = context;
  if (json) {
    terminal.out(JSON.stringify({ ...datasetView(dataset), sentBytes, savedBytes }));
    return 0;
  }
  terminal.out(nameOf(dataset));
  const news = sentBytes === 0 ? 'on the grid already' : `sent ${formatBytes(sentBytes)}`;
  terminal.note(`${counted(tree.files, 'file')}, ${formatBytes(tree.totalBytes)}: ${news}`);
  return 0;
}

/** What the only task of a job made is in the store already. */
async function putResults(
  context: Context,
  input: Input,
  { broker, datasets }: DatasetClient,
  { ref, job, keepMs }: { readonly ref: DatasetRef; readonly job: string; readonly keepMs: number },
): Promise<number> {
  const detail = await readJob(context, broker, job);
  const { outputs, spec } = detail;
  const tree = spec.array === undefined ? outputs.get(0) : undefined;
  if (tree?.digest === '') checkNotRemoved(detail);
  if (tree === undefined || tree.digest === '')
    throw new GridError('NO_RESULT_YET', `job ${job} has no results, or is an array`);
  const shared = input.on('share');
  const request = { vo: ref.vo, name: ref.name, tree: treeToWire(tree), shared, keepMs };
  const dataset = await datasets.putDataset(request, { signal: context.signal });
  context.terminal.out(context.json ? JSON.stringify(datasetView(dataset)) : nameOf(dataset));
  return 0;
}

/** A directory is put with what is in it, a file under its own name. */
async function placeOf(path: string): Promise<{ readonly root: string; readonly path: string }> {
  const found = await stat(path).catch((error: unknown) => {
    throw errnoOf(error) === 'ENOENT'
      ? new GridError('FILE_UNREADABLE', `there is no '${path}'`, { cause: error })
      : readFailure(path, error);
  });
  return found.isDirectory()
    ? { root: path, path: '.' }
    : { root: dirname(path), path: basename(path) };
}

/** `grid data get`. */
export async function getDataset(context: Context, input: Input): Promise<number> {
  await using client = await openDatasetClient(context, input);
  const { name, dataset, tree } = await client.find(await client.refOf(argument(input, 0)));
  const dir = resolve(context.cwd, input.args[1] ?? basename(dataset.name));
  const store = await client.store(dataset.vo);
  const fetched = await fetchResults({
    store,
    results: [{ tree, dir }],
    force: input.on('force'),
    signal: context.signal,
    show: (what) => openProgress(context, what),
  }).catch((error: unknown) => afterHealing(client, dataset.vo, error));
  const { files, totalBytes, hereBytes } = fetched;
  const { terminal, json } = context;
  terminal.out(json ? JSON.stringify({ ...datasetView(dataset), dir, hereBytes }) : dir);
  if (json) return 0;
  const all = `${counted(files, 'file')} of ${name}, ${formatBytes(totalBytes)}`;
  terminal.note(`${all}${hereText(fetched)}`);
  return 0;
}

/** `grid data ls`. */
export async function listDatasets(context: Context, input: Input): Promise<number> {
  await using client = await openDatasetClient(context, input);
  const name = input.args[0];
  if (input.on('jobs')) return await listResults(context, input, client);
  if (input.on('everybody') || input.text('limit') !== undefined)
    throw new GridError('USAGE', '--everybody and --limit go with --jobs');
  if (name !== undefined && !input.on('versions')) return await listFiles(context, client, name);
  const one =
    name === undefined ? undefined : (await client.find(await client.refOf(name))).dataset;
  const vo = one?.vo ?? input.text('vo') ?? '';
  const request = { vo, allVersions: input.on('versions') };
  const { signal } = context;
  const [{ datasets }, { caller }] = await Promise.all([
    client.datasets.listDatasets(request, { signal }),
    client.broker.call.whoAmI({}, { signal }),
  ]);
  const isMeant = (dataset: Dataset): boolean => one === undefined || dataset.name === one.name;
  showDatasets(context, datasets.filter(isMeant), caller?.dn ?? '');
  return 0;
}

/** `grid data ls NAME`. */
async function listFiles(context: Context, client: DatasetClient, name: string): Promise<number> {
  const { dataset, tree } = await client.find(await client.refOf(name));
  const store = await client.store(dataset.vo);
  const { entries } = await loadManifest(store, tree, context.signal);
  const lines = entries.map((entry) => ({
    kind: entry.kind,
    path: entry.path,
    bytes: entry.kind === 'file' ? entry.sizeBytes : 0,
  }));
  if (context.json) context.terminal.out(JSON.stringify(lines));
  else
    for (const { kind, path, bytes } of lines)
      context.terminal.out(
        `${(kind === 'file' ? formatBytes(bytes) : kind).padStart(10)}  ${path}`,
      );
  return 0;
}

function showDatasets(
  { terminal, colours, json }: Context,
  datasets: readonly Dataset[],
  me: string,
): void {
  if (json) terminal.out(JSON.stringify(datasets.map(datasetView)));
  else if (datasets.length === 0) terminal.note('no datasets: `grid data put DIR NAME` makes one');
  else {
    const { headings, rows } = datasetRows(datasets, me, Date.now());
    terminal.out(table(headings, rows, colours, terminal.columns));
  }
}

/** Whose a dataset is stands there where any is somebody else's than `me`. */
export function datasetRows(
  datasets: readonly Dataset[],
  me: string,
  nowMs: number,
): { readonly headings: readonly string[]; readonly rows: readonly (readonly string[])[] } {
  const owners = new Set(datasets.map(({ owner }) => owner));
  const isOthers = [...owners].some((owner) => owner !== me);
  const nameOfOwner = ownerNames(owners, me);
  const ownerCell = (owner: string): readonly string[] => (isOthers ? [owner] : []);
  return {
    headings: ['dataset', 'files', 'size', ...ownerCell('owner'), 'for', 'goes', 'put', 'warm at'],
    rows: datasets.map((dataset) => [
      nameOf(dataset),
      String(dataset.tree?.files ?? 0),
      formatBytes(dataset.tree?.totalBytes ?? 0),
      ...ownerCell(nameOfOwner(dataset.owner)),
      dataset.shared ? 'VO' : 'owner',
      dataset.expiresAtMs === 0 ? '' : `in ${formatDuration(dataset.expiresAtMs - nowMs)}`,
      agoText(dataset.createdAtMs, nowMs),
      dataset.sites.join(','),
    ]),
  };
}

/** `grid data share`. */
export async function shareDataset(context: Context, input: Input): Promise<number> {
  const value = !input.on('undo');
  const words = value ? 'may be used by all of its VO' : 'may be used by its owner only';
  return change(context, input, { $case: 'shared', value }, words);
}

/** `grid data pin`. */
export async function pinDataset(context: Context, input: Input): Promise<number> {
  const value = input.lifetime('for') ?? 0;
  const words = value === 0 ? 'stays until it is removed' : `stays for ${writeDuration(value)}`;
  return change(context, input, { $case: 'keepMs', value }, words);
}

async function change(
  context: Context,
  input: Input,
  wanted: { $case: 'shared'; value: boolean } | { $case: 'keepMs'; value: number },
  words: string,
): Promise<number> {
  await using client = await openDatasetClient(context, input);
  const ref = await client.refOf(argument(input, 0));
  const request = { vo: ref.vo, name: ref.name, version: ref.version ?? 0, change: wanted };
  const changed = await client.datasets.changeDataset(request, { signal: context.signal });
  const said = context.json
    ? JSON.stringify(datasetView(changed))
    : `${formatDataset(ref)} ${words}`;
  context.terminal.out(said);
  return 0;
}

/** `grid data sweep`. */
export async function sweepStore(context: Context, input: Input): Promise<number> {
  await using client = await openDatasetClient(context, input);
  const vo = input.text('vo') ?? (await chooseVo(context, client.broker.call));
  const swept = await client.datasets.sweepStore(
    { vo },
    { signal: context.signal, deadlineMs: SWEEP_MS },
  );
  const { stored, condemned, removed } = swept;
  context.terminal.out(
    context.json
      ? JSON.stringify(swept)
      : `${counted(stored, 'chunk')}: ${removed} taken out, ${condemned} in no tree and to wait`,
  );
  return 0;
}

const SWEEP_MS = 3_600_000;

/** `grid data rm`. */
export async function removeDataset(context: Context, input: Input): Promise<number> {
  await using client = await openDatasetClient(context, input);
  const job = jobOf(argument(input, 0));
  if (job !== undefined) return await removeResults(context, client, job);
  const ref = await client.refOf(argument(input, 0));
  if (ref.version === undefined && !input.on('all'))
    throw new GridError(
      'USAGE',
      `name a version of ${formatDataset(ref)} (as in ${formatDataset(ref)}@v1), or --all`,
    );
  const request = { vo: ref.vo, name: ref.name, version: ref.version ?? 0 };
  const { versions } = await client.datasets.removeDataset(request, { signal: context.signal });
  const names = versions.map((version) => formatDataset({ ...ref, version }));
  context.terminal.out(
    context.json ? JSON.stringify({ removed: names }) : `removed ${names.join(', ')}`,
  );
  return 0;
}
