import { chunkBytes } from '../../core/data/compare.ts';
import type { Manifest } from '../../core/data/manifest.ts';
import { chunksOf } from '../../core/data/select.ts';
import { GridError } from '../../core/errors.ts';
import { counted, formatBytes } from '../../core/units.ts';
import type { ChunkStore } from '../../service/staging/chunk-store.ts';
import { loadManifest } from '../../service/staging/read-tree.ts';
import type { Context } from '../context.ts';
import { argument, type Input } from '../input.ts';
import { openProgress } from '../progress.ts';
import { openDatasetClient } from './dataset-client.ts';

/** `grid data verify`. */
export async function verifyDataset(context: Context, input: Input): Promise<number> {
  await using client = await openDatasetClient(context, input);
  const { name, dataset, tree } = await client.find(await client.refOf(argument(input, 0)));
  const store = await client.store(dataset.vo);
  const manifest = await loadManifest(store, tree, context.signal);
  const heal = (digests: readonly string[]): Promise<void> => client.heal(dataset.vo, digests);
  return await verifyTree(context, { name, store, manifest, heal });
}

interface Verified {
  /** For people. */
  readonly name: string;
  readonly store: Pick<ChunkStore, 'get'>;
  readonly manifest: Manifest;
  /** Has spoiled chunks taken out of the store. */
  readonly heal: (digests: readonly string[]) => Promise<void>;
}

/**
 * Reads every chunk and has the bad ones taken out; gives the exit code. What was found is told also where the rest could not be
 * read or the store not be repaired; then it throws why.
 */
export async function verifyTree(
  context: Context,
  { name, store, manifest, heal }: Verified,
): Promise<number> {
  const chunks = chunkBytes(manifest);
  const totalBytes = [...chunks.values()].reduce((total, bytes) => total + bytes, 0);
  const faults: Fault[] = [];
  const trouble = await read()
    .then(() => heal(faults.map(({ digest }) => digest)))
    .then(
      () => undefined,
      (error: unknown) => error ?? new TypeError('nothing was thrown'),
    );
  const { terminal, json } = context;
  if (json) {
    const failure = trouble instanceof GridError ? { notRepaired: trouble.code } : {};
    terminal.out(JSON.stringify({ id: name, chunks: chunks.size, faults, ...failure }));
  } else if (faults.length > 0)
    for (const { digest, code } of faults)
      terminal.out(`${code === 'CHUNK_MISSING' ? 'missing' : 'spoiled'}  ${digest}`);
  else if (trouble === undefined)
    terminal.out(
      `${name}: ${counted(chunks.size, 'chunk')}, ${formatBytes(totalBytes)}, all sound`,
    );
  if (trouble !== undefined) throw trouble;
  return faults.length === 0 ? 0 : 1;

  async function read(): Promise<void> {
    const progress = await openProgress(context, 'reading');
    let doneBytes = 0;
    await findFaults(store, chunksOf(manifest), context.signal, (looked, found) => {
      faults.push(...found);
      for (const digest of looked) doneBytes += chunks.get(digest) ?? 0;
      progress.update({ doneBytes, totalBytes });
    }).finally(progress.stop);
  }
}

interface Fault {
  readonly digest: string;
  readonly code: string;
}

const AT_ONCE = 16;

/** Tells of each few chunks that were read, and which of them are bad; throws for what could not be read at all. */
async function findFaults(
  store: Pick<ChunkStore, 'get'>,
  digests: readonly string[],
  signal: AbortSignal,
  onRead: (looked: readonly string[], found: readonly Fault[]) => void,
): Promise<void> {
  for (let at = 0; at < digests.length; at += AT_ONCE) {
    const some = digests.slice(at, at + AT_ONCE);
    const looks = await Promise.allSettled(some.map((digest) => faultOf(store, digest, signal)));
    const found = looks.flatMap((look) => (look.status === 'fulfilled' ? look.value : []));
    onRead(some, found);
    const failed = looks.find((look) => look.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }
}

async function faultOf(
  store: Pick<ChunkStore, 'get'>,
  digest: string,
  signal: AbortSignal,
): Promise<readonly Fault[]> {
  try {
    await store.get(digest, signal);
    return [];
  } catch (error) {
    if (!(error instanceof GridError && error.code.startsWith('CHUNK_'))) throw error;
    return [{ digest, code: error.code }];
  }
}
