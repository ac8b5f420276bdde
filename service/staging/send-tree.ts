import {
  CHUNK_BYTES,
  EMPTY_TREE,
  type Manifest,
  type ManifestEntry,
  type Slice,
  type TreeRef,
} from '../../core/data/manifest.ts';
import { encodeManifest } from '../../core/data/manifest-codec.ts';
import { encodeManifestIndex } from '../../core/data/manifest-index.ts';
import { type Piece, planPacks } from '../../core/data/pack-plan.ts';
import { byPath } from '../../core/data/paths.ts';
import { GridError } from '../../core/errors.ts';
import { type Clock, systemClock } from '../clock.ts';
import { type ChunkStore, sha256 } from './chunk-store.ts';
import { anyDisk, diskFor } from './disk/disk.ts';
import type { ReadPiece } from './disk/disk-jobs.ts';
import { type KnownFiles, loadKnownFiles } from './known-files.ts';
import { openUploads, type Uploads } from './uploads.ts';
import type { Found, FoundFile } from './walk.ts';
import { takeSlab } from './wire/slabs.ts';

/** What is to be sent. */
export interface SendRequest {
  readonly root: string;
  /** Files and directories below `root`, `/`-separated; `.` is all of it. */
  readonly paths: readonly string[];
}

/** How far a transfer is. */
export interface TransferProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

interface SendOptions extends TransferOptions {
  /** Directory where what is known of files that were sent is kept, so that they are not read again unless they change. */
  readonly knownDir?: string;
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

/** A manifest up to this size travels with the reference and is not stored. */
const INLINE_BYTES = 4_096;
/** Less than this is read as fast as it is recognised. */
const KNOWN_BYTES = 1_048_576;
const EMPTY_DIGEST = sha256(new Uint8Array(0));

/**
 * Puts a tree into the store: reads every file once and sends what the store has not, in bounded memory. Throws
 * PATH_REFUSED, FILE_UNREADABLE, FILE_CHANGED (by name), DISK_FULL, STAGING_UNAVAILABLE. Nothing found is EMPTY_TREE.
 */
export async function sendTree(
  store: ChunkStore,
  { root, paths }: SendRequest,
  { onProgress, signal, knownDir, clock = systemClock }: SendOptions = {},
): Promise<SentTree> {
  const walkedAtMs = clock.nowMs();
  const found = await anyDisk().walk({ root, paths });
  if (found.length === 0) return { tree: EMPTY_TREE, sentBytes: 0, savedBytes: 0 };
  const files = found.filter((entry) => entry.kind === 'file');
  const totalBytes = bytesOf(found);
  let doneBytes = 0;
  const onDone = (bytes: number): void => {
    doneBytes += bytes;
    onProgress?.({ doneBytes: Math.min(doneBytes, totalBytes), totalBytes });
  };
  const uploads = openUploads(store, { onDone, signal });
  const known =
    knownDir === undefined || totalBytes < KNOWN_BYTES
      ? undefined
      : await loadKnownFiles({ dir: knownDir, tree: JSON.stringify([root, paths]), walkedAtMs });
  const entries = await sendContents({ root, store, uploads, known, signal }, found);
  const bytes = encodeManifest({ entries });
  const inline = bytes.byteLength <= INLINE_BYTES;
  const digest = inline ? sha256(bytes) : await sendManifest(bytes, uploads);
  const counts = await uploads.finish();
  const tree = { digest, totalBytes, files: files.length, ...(inline ? { manifest: bytes } : {}) };
  return { tree, ...counts };
}

const bytesOf = (found: readonly Found[]): number =>
  found.reduce((sum, entry) => sum + (entry.kind === 'file' ? entry.sizeBytes : 0), 0);

/** Keeps nothing, and has everything. */
const NOWHERE: ChunkStore = {
  missing: () => Promise.resolve(new Set()),
  put: () => Promise.resolve('had'),
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
  const uploads = openUploads(NOWHERE, { onDone: () => undefined, signal });
  const found = await anyDisk().walk({ root, paths });
  const sending = { root, store: NOWHERE, uploads, known: undefined, signal };
  const entries = await sendContents(sending, found);
  await uploads.finish();
  return { entries: entries.toSorted(byPath) };
}

interface Sending {
  readonly root: string;
  readonly store: ChunkStore;
  readonly uploads: Uploads;
  readonly known: KnownFiles | undefined;
  readonly signal: AbortSignal | undefined;
}

async function sendContents(
  sending: Sending,
  found: readonly Found[],
): Promise<readonly ManifestEntry[]> {
  const files = found.filter((entry) => entry.kind === 'file');
  const contents = await sendFiles(sending, files);
  return [
    ...found.filter((entry) => entry.kind !== 'file'),
    ...contents.map(({ path, mode, sizeBytes, digest, slices }) => ({
      kind: 'file' as const,
      path,
      mode,
      sizeBytes,
      digest,
      slices,
    })),
  ];
}

/** A file whose content is being read. */
interface Growing extends FoundFile {
  digest: string;
  readonly slices: Slice[];
}

/** A chunk to be made of `parts`; `digest` is '' until it is known. */
interface Planned {
  readonly parts: readonly Piece<Growing>[];
  digest: string;
}

async function sendFiles(
  sending: Sending,
  files: readonly FoundFile[],
): Promise<readonly Growing[]> {
  const { known } = sending;
  const growing = files.map(
    (file): Growing => ({
      ...file,
      digest: known?.digestOf(file) ?? EMPTY_DIGEST,
      slices: [],
    }),
  );
  const plan = planPacks(growing).map(
    (parts): Planned => ({
      parts,
      digest: known?.chunkOf(parts) ?? '',
    }),
  );
  const lacking = await lackingFiles(sending, plan);
  await sendUnread(sending, plan, lacking);
  for (const { parts, digest } of plan) {
    let offset = 0;
    for (const { file, length } of parts) {
      file.slices.push({ digest, offset, length });
      offset += length;
    }
  }
  if (lacking.size > 0) await known?.replace(plan);
  return growing;
}

/** Files of which the store may lack something: these are read. */
async function lackingFiles(
  { store, signal }: Sending,
  plan: readonly Planned[],
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
  plan: readonly Planned[],
  lacking: ReadonlySet<FoundFile>,
): Promise<void> {
  const disk = diskFor([...lacking].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  const reading: Promise<void>[] = [];
  const read = async (planned: Planned, length: number): Promise<void> => {
    const { parts } = planned;
    const bytes = takeSlab(length);
    const done = await disk.read({ root, pieces: parts.map(pieceOf), target: bytes });
    for (const [index, { file }] of parts.entries()) file.digest = done.files[index] ?? file.digest;
    planned.digest = done.digest;
    uploads.add({ digest: done.digest, bytes });
  };
  try {
    for (const planned of plan) {
      const { parts } = planned;
      const length = parts.reduce((sum, part) => sum + part.length, 0);
      if (!parts.some(({ file }) => lacking.has(file))) {
        uploads.skip(length);
        continue;
      }
      await uploads.reserve();
      const done = read(planned, length);
      // Its turn to be awaited tells.
      done.catch(() => undefined);
      reading.push(done);
      if (reading.length > READS_AHEAD) await reading.shift();
    }
    await Promise.all(reading);
  } catch (error) {
    await disk.close(root);
    throw error;
  }
}

const pieceOf = ({ file, offset, length }: Piece<Growing>): ReadPiece => ({
  path: file.path,
  sizeBytes: file.sizeBytes,
  mtimeMs: file.mtimeMs,
  offset,
  length,
});

/** Stores an encoded manifest, in pieces with an index if it is large; gives the digest of the tree. */
async function sendManifest(bytes: Uint8Array, uploads: Uploads): Promise<string> {
  const send = async (piece: Uint8Array): Promise<string> => {
    const digest = sha256(piece);
    await uploads.reserve();
    uploads.add({ digest, bytes: piece });
    return digest;
  };
  if (bytes.byteLength <= CHUNK_BYTES) return send(bytes);
  const chunks: string[] = [];
  for (let at = 0; at < bytes.byteLength; at += CHUNK_BYTES) {
    chunks.push(await send(bytes.subarray(at, at + CHUNK_BYTES)));
  }
  return send(encodeManifestIndex({ totalBytes: bytes.byteLength, chunks }));
}
