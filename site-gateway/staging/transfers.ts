import { realpath, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { allowedPath, type DataPath } from '../../core/data/data-paths.ts';
import { EMPTY_TREE } from '../../core/data/manifest.ts';
import { isWithin } from '../../core/data/paths.ts';
import type { FailureKind, Outcome } from '../../core/job/outcome.ts';
import type { Transfer } from '../../core/job/transfer.ts';
import { counted, formatBytes } from '../../core/units.ts';
import { ensureDirectory } from '../../service/directories.ts';
import { callerFromWire } from '../../service/rpc/wire.ts';
import type { ChunkStore } from '../../service/staging/chunk-store.ts';
import { conflictsOf } from '../../service/staging/conflicts.ts';
import { fetchTree } from '../../service/staging/fetch-tree.ts';
import { halfNamesOf } from '../../service/staging/half-files.ts';
import { loadManifest } from '../../service/staging/read-tree.ts';
import { sendTree, type TransferProgress } from '../../service/staging/send-tree.ts';
import type { Attempt } from '../attempts/attempt.ts';
import { failed, NO_USAGE } from '../attempts/outcome.ts';
import { removeHalfFiles } from './half-files.ts';
import { openFolderWithin } from './open-within.ts';
import type { AttemptStaging } from './staging.ts';

interface TransferOptions {
  /** What of the site's own transfers may reach. */
  readonly paths: readonly DataPath[];
  readonly storeOf: (vo: string) => ChunkStore;
  readonly stageIn: AttemptStaging['stageIn'];
}

/**
 * Carries out the transfer of an attempt, with the rights of the gateway's own account and only where the site has opened
 * a directory. It may be done again after it was cut off: what is there already is kept. Throws what staging throws.
 */
export type RunTransfer = (
  attempt: Attempt,
  transfer: Transfer,
  how: TransferWay,
) => Promise<Outcome>;

interface TransferWay {
  readonly signal: AbortSignal;
  /** Whether it is cut off because the gateway ends, whose next run does it again. */
  readonly isStopping: () => boolean;
  readonly onProgress: (progress: TransferProgress) => void;
}

export function openTransfers(options: TransferOptions): RunTransfer {
  return async (attempt, transfer, how) => {
    if (transfer.kind === 'warm') return warm(options, attempt, how);
    const { spec, accepted } = attempt;
    const owner = callerFromWire(accepted.job.owner);
    const allowed = allowedPath(options.paths, transfer, owner, spec.vo);
    if (!allowed.ok) return refused('DATA_PATH_DENIED', allowed.why);
    const place = await resolved(transfer.path);
    const base = await realpath(allowed.path.path).catch(() => allowed.path.path);
    if (!isWithin(place.real, base))
      return refused('DATA_PATH_DENIED', `${transfer.path} leads out of ${allowed.path.path}`);
    return transfer.kind === 'write'
      ? write(
          options,
          attempt,
          { ...transfer, path: join(place.real, place.missing), within: base },
          how,
        )
      : read(options, attempt, { ...place, within: base }, how);
  };
}

/**
 * Removes what an earlier run of the gateway left half written, where the transfer has come to nothing: nobody else would. Only
 * where the site still has the directory open.
 */
export async function clearTransfer(
  paths: readonly DataPath[],
  { id, spec, accepted }: Attempt,
  transfer: Transfer,
): Promise<void> {
  if (transfer.kind !== 'write') return;
  const allowed = allowedPath(paths, transfer, callerFromWire(accepted.job.owner), spec.vo);
  if (!allowed.ok) return;
  const { real } = await resolved(transfer.path);
  const base = await realpath(allowed.path.path).catch(() => allowed.path.path);
  // What it met says why it came to nothing: a folder that is not there any more need not be told, too.
  await using held = await openFolderWithin(base, real).catch(() => undefined);
  if (held !== undefined) await removeHalfFiles(held.at, halfNamesOf(id));
}

async function warm(
  { stageIn }: TransferOptions,
  attempt: Attempt,
  { signal, onProgress }: TransferWay,
): Promise<Outcome> {
  const { directory } = attempt;
  ensureDirectory(join(directory, 'work'));
  const bytesIn = await stageIn(attempt, signal, onProgress);
  await rm(directory, { recursive: true, force: true });
  return done(`${formatBytes(bytesIn)} came to the site's cache`, { bytesIn });
}

async function write(
  { storeOf }: TransferOptions,
  { id, spec, inputTrees }: Attempt,
  { path, force, within }: Extract<Transfer, { kind: 'write' }> & { readonly within: string },
  { signal, isStopping, onProgress }: TransferWay,
): Promise<Outcome> {
  const [input, more] = inputTrees;
  if (input === undefined || more !== undefined)
    return refused('INPUT_MISSING', 'a transfer to a site has one dataset as its input');
  const store = storeOf(spec.vo);
  const manifest = await loadManifest(store, input.tree, signal);
  const { problems } = force ? { problems: [] } : await conflictsOf(manifest, path, { signal });
  const [conflict] = problems;
  if (conflict !== undefined)
    return refused(
      'DATA_PATH_OCCUPIED',
      `${conflict.where} is there and differs: --force overwrites`,
    );
  // Whoever has an account at the site may write there, too.
  const shared = { within, transfer: id, isTriedAgain: isStopping };
  const fetched = await fetchTree(store, input.tree, path, {
    manifest,
    signal,
    shared,
    onProgress,
    resumes: true,
  });
  const { files, totalBytes, bytesFetched } = fetched;
  const detail = `${counted(files, 'file')} in ${path}, ${formatBytes(totalBytes)}`;
  return done(detail, { bytesIn: bytesFetched });
}

async function read(
  { storeOf }: TransferOptions,
  { spec }: Attempt,
  { real, missing, within }: Place & { readonly within: string },
  { signal, onProgress }: TransferWay,
): Promise<Outcome> {
  if (missing !== '') return refused('INPUT_MISSING', `there is no ${join(real, missing)}`);
  const isDirectory = (await stat(real)).isDirectory();
  const folder = isDirectory ? real : dirname(real);
  // It may have become a link since.
  await using held = await openFolderWithin(within, folder);
  if (held === undefined)
    return refused('DATA_PATH_DENIED', `${folder} has just begun to lead out of ${within}`);
  const from = { root: held.at, paths: isDirectory ? ['.'] : [basename(real)] };
  const { tree, sentBytes } = await sendTree(storeOf(spec.vo), from, {
    signal,
    onProgress,
  });
  const detail = `${counted(tree.files, 'file')}, ${formatBytes(tree.totalBytes)}`;
  return { ...done(detail, { bytesOut: sentBytes }), outputs: tree };
}

/** A path without links as far as it exists, and the rest of it. */
interface Place {
  readonly real: string;
  readonly missing: string;
}

async function resolved(path: string): Promise<Place> {
  for (let at = path; ; at = dirname(at)) {
    const real = await realpath(at).catch(() => undefined);
    if (real !== undefined) return { real, missing: relative(at, path) };
  }
}

const refused = (reason: string, detail: string, failure: FailureKind = 'job'): Outcome =>
  failed(failure, reason, detail);

const done = (detail: string, moved: Partial<Outcome['usage']>): Outcome => ({
  exitCode: 0,
  signal: 0,
  reason: '',
  detail,
  usage: { ...NO_USAGE, ...moved },
  outputs: EMPTY_TREE,
});
