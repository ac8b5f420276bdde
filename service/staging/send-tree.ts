import { randomUUID } from 'node:crypto';
import { chunkBytes } from '../../core/data/compare.ts';
import { EMPTY_TREE, type Manifest, type TreeRef } from '../../core/data/manifest.ts';
import { checkListSize } from '../../core/data/manifest-index.ts';
import type { Piece } from '../../core/data/pack-plan.ts';
import { byPath } from '../../core/data/paths.ts';
import { GridError } from '../../core/errors.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { ChunkStore } from './chunk-store.ts';
import { anyDisk, diskFor } from './disk/disk.ts';
import type { ReadPiece } from './disk/disk-jobs.ts';
import { type KnownFiles, loadKnownFiles } from './known-files.ts';
import {
  entriesOf,
  nameTree,
  type PlannedChunk,
  type PlannedFile,
  planTree,
  type TreePlan,
} from './tree-plan.ts';
import { openUploads, type Uploads } from './uploads.ts';
import type { Found, FoundFile } from './walk.ts';
import type { Outside } from './walk-outside.ts';
import { takeSlab } from './wire/slabs.ts';

/** What is to be sent. */
export interface SendRequest {
  readonly root: string;
  /** Files and directories below `root`, `/`-separated; `.` is all of it. */
  readonly paths: readonly string[];
  /** What lies elsewhere. */
  readonly outside?: readonly Outside[];
}

/** How far a transfer is. */
export interface TransferProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** May refuse, by throwing, what is about to be sent; `chunks` reads it and gives the bytes that files use of each chunk. */
export type AskRoom = (wish: {
  readonly bytes: number;
  readonly chunks: () => Promise<ReadonlyMap<string, number>>;
}) => Promise<void>;

interface SendOptions extends TransferOptions {
  /** Asked before the first chunk is sent. */
  readonly askRoom?: AskRoom;
  /** Directory where what is known of files that were sent is kept, so that they are not read again unless they change. */
  readonly knownDir?: string;
  /**
   * Whether a tree is in the store, all of it, and will stay there for some minutes. Asked where nothing has been written
   * since the tree was sent: then one question, and a look at some of its chunks, do for all of them.
   */
  readonly isHeld?: (tree: TreeRef) => Promise<boolean>;
  readonly clock?: Clock;
}

export interface TransferOptions {
  readonly onProgress?: (progress: TransferProgress) => void;
  readonly signal?: AbortSignal;
}

/** A tree that is in the store. */
export interface SentTree {
  readonly tree: TreeRef;
  /** Bytes that went over the network. */
  readonly sentBytes: number;
  /** Bytes that the store had already. */
  readonly savedBytes: number;
}

/** Less than this is read as fast as it is recognised. */
const KNOWN_BYTES = 1_048_576;
/** So many chunks of a held tree are asked for, lest the store has lost what nobody took out of it. */
const SAMPLED = 16;
const NOTHING: ReadonlySet<string> = new Set();

/**
 * Puts a tree into the store: reads every file once and sends what the store has not, in bounded memory. Throws
 * PATH_REFUSED, FILE_UNREADABLE, FILE_CHANGED (by name), TREE_TOO_LARGE, STORE_FULL, STORE_QUOTA, STAGING_UNAVAILABLE. Nothing found is EMPTY_TREE.
 */
export async function sendTree(
  store: ChunkStore,
  { root, paths, outside = [] }: SendRequest,
  { onProgress, signal, knownDir, isHeld, askRoom, clock = systemClock }: SendOptions = {},
): Promise<SentTree> {
  // The connection is made while the files are looked at.
  store.prepare?.();
  const walkedAtMs = clock.nowMs();
  const name = JSON.stringify([root, paths, ...outside]);
  const remembered =
    knownDir === undefined
      ? undefined
      : await loadKnownFiles({ dir: knownDir, tree: name, walkedAtMs });
  const held =
    isHeld === undefined ? undefined : openHeld(store, { isHeld, known: remembered, signal });
  const found = await anyDisk().walk({ root, paths, outside });
  if (found.length === 0) return { tree: EMPTY_TREE, sentBytes: 0, savedBytes: 0 };
  checkListSize(found);
  const totalBytes = found.reduce((sum, entry) => sum + bytesOf(entry), 0);
  let doneBytes = 0;
  const onDone = (bytes: number): void => {
    doneBytes += bytes;
    onProgress?.({ doneBytes: Math.min(doneBytes, totalBytes), totalBytes });
  };
  const known = totalBytes < KNOWN_BYTES ? undefined : remembered;
  const plan = planTree(found, known);
  const kept = await held?.(plan);
  if (kept !== undefined) {
    onDone(totalBytes);
    return kept;
  }
  const chunks = async () => chunkBytes(await readContents(root, found, signal));
  await askRoom?.({ bytes: totalBytes, chunks });
  const uploads = openUploads(store, { onDone, signal });
  return sendPlan({ root, store, uploads, known, signal }, plan);
}

/** Puts what was found below `root` into the store, and reads no file that `known` knows. Throws what `sendTree` throws. */
export async function sendFound(
  store: ChunkStore,
  root: string,
  found: readonly Found[],
  { known, signal }: { readonly known?: KnownFiles; readonly signal?: AbortSignal },
): Promise<SentTree> {
  checkListSize(found);
  const uploads = openUploads(store, { onDone: () => undefined, signal });
  return sendPlan({ root, store, uploads, known, signal }, planTree(found, known));
}

async function sendPlan(sending: Sending, plan: TreePlan): Promise<SentTree> {
  const { uploads } = sending;
  await sendContents(sending, plan);
  const { tree, stored } = nameTree(plan);
  for (const chunk of stored) {
    await uploads.reserve();
    uploads.add({ ...chunk, isNew: true });
  }
  return { tree, ...(await uploads.finish()) };
}

const bytesOf = (entry: Found): number => (entry.kind === 'file' ? entry.sizeBytes : 0);

interface HeldOptions {
  readonly isHeld: (tree: TreeRef) => Promise<boolean>;
  readonly known: KnownFiles | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * Asks for some of the chunks that were sent before. What it gives tells of a plan the tree as it was sent, if nothing of it
 * has been written since and it is sure to be in the store.
 */
function openHeld(store: ChunkStore, { isHeld, known, signal }: HeldOptions) {
  const sample = known?.someChunks(SAMPLED) ?? [];
  const lost = sample.length === 0 ? Promise.resolve(NOTHING) : store.missing(sample, signal);
  lost.catch(() => undefined);
  return async (plan: TreePlan): Promise<SentTree | undefined> => {
    const { chunks } = plan;
    if (chunks.length === 0 || chunks.some(({ digest }) => digest === '')) return undefined;
    const { tree, stored } = nameTree(plan);
    const manifest = stored.map(({ digest }) => digest);
    const [isThere, ...missing] = await Promise.all([
      isHeld(tree),
      store.missing(manifest, signal),
      lost,
    ]);
    if (!isThere || missing.some(({ size }) => size > 0)) return undefined;
    const savedBytes =
      chunks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) +
      stored.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
    return { tree, sentBytes: 0, savedBytes };
  };
}

/** Keeps nothing, and has everything. */
const NOWHERE: ChunkStore = {
  missing: () => Promise.resolve(new Set()),
  put: () => Promise.resolve(0),
  receive: (digest) => Promise.reject(nowhere(digest)),
  get: (digest) => Promise.reject(nowhere(digest)),
};
const nowhere = (digest: string): GridError =>
  new GridError('CHUNK_MISSING', `chunk ${digest} is nowhere`);

/** The manifest that `sendTree` would make, and nothing is sent. Throws what `sendTree` throws for files. */
export async function describeTree(
  { root, paths }: SendRequest,
  signal?: AbortSignal,
): Promise<Manifest> {
  return readContents(root, await anyDisk().walk({ root, paths }), signal);
}

async function readContents(
  root: string,
  found: readonly Found[],
  signal: AbortSignal | undefined,
): Promise<Manifest> {
  const uploads = openUploads(NOWHERE, { onDone: () => undefined, signal });
  const plan = planTree(found, undefined);
  await sendContents({ root, store: NOWHERE, uploads, known: undefined, signal }, plan);
  await uploads.finish();
  return { entries: entriesOf(plan).toSorted(byPath) };
}

interface Sending {
  readonly root: string;
  readonly store: ChunkStore;
  readonly uploads: Uploads;
  readonly known: KnownFiles | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Sends what the store lacks; all digests of the plan are known then. */
async function sendContents(sending: Sending, { chunks }: TreePlan): Promise<void> {
  const lacking = await lackingFiles(sending, chunks);
  await sendUnread(sending, chunks, lacking);
  if (lacking.size > 0) await sending.known?.replace(chunks);
}

/** Files of which the store may lack something: these are read. */
async function lackingFiles(
  { store, signal }: Sending,
  plan: readonly PlannedChunk[],
): Promise<ReadonlySet<FoundFile>> {
  const digests = plan.map(({ digest }) => digest).filter((digest) => digest !== '');
  const missing = digests.length === 0 ? new Set() : await store.missing(digests, signal);
  const lacking = plan.filter(({ digest }) => digest === '' || missing.has(digest));
  return new Set(lacking.flatMap(({ parts }) => parts.map(({ file }) => file)));
}

/** Chunks that are being read while those before them are sent. */
const READS_AHEAD = 4;

async function sendUnread(
  { root, uploads }: Sending,
  plan: readonly PlannedChunk[],
  lacking: ReadonlySet<FoundFile>,
): Promise<void> {
  const disk = diskFor([...lacking].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  const send = randomUUID();
  const reading: Promise<void>[] = [];
  const read = async (planned: PlannedChunk): Promise<void> => {
    const { parts, sizeBytes } = planned;
    const bytes = takeSlab(sizeBytes);
    const done = await disk.read({ send, root, pieces: parts.map(pieceOf), target: bytes });
    for (const [index, { file }] of parts.entries()) file.digest = done.files[index] ?? file.digest;
    planned.digest = done.digest;
    uploads.add({ digest: done.digest, bytes });
  };
  try {
    for (const planned of plan) {
      if (!planned.parts.some(({ file }) => lacking.has(file))) {
        uploads.skip(planned.sizeBytes);
        continue;
      }
      await uploads.reserve();
      const done = read(planned);
      // Its turn to be awaited tells.
      done.catch(() => undefined);
      reading.push(done);
      if (reading.length > READS_AHEAD) await reading.shift();
    }
    await Promise.all(reading);
  } finally {
    // A thread that has ended has closed them.
    await disk.close(send).catch(() => undefined);
  }
}

const pieceOf = ({ file, offset, length }: Piece<PlannedFile>): ReadPiece => ({
  path: file.from ?? file.path,
  ...(file.isGrowing === true ? { isGrowing: true } : {}),
  sizeBytes: file.sizeBytes,
  mtimeMs: file.mtimeMs,
  ctimeMs: file.ctimeMs,
  offset,
  length,
});
