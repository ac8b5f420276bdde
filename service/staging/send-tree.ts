import { createHash, type Hash } from 'node:crypto';
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
import { type KnownFiles, loadKnownFiles } from './known-files.ts';
import { type FileReader, openFile, readWhole } from './read-file.ts';
import { openUploads, type Uploads } from './uploads.ts';
import { type Found, type FoundFile, walk } from './walk.ts';
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
  const found = await walk(root, paths);
  if (found.length === 0) return { tree: EMPTY_TREE, sentBytes: 0, savedBytes: 0 };
  const files = found.filter((entry) => entry.kind === 'file');
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
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

/** Keeps nothing, and has everything. */
const NOWHERE: ChunkStore = {
  missing: () => Promise.resolve(new Set()),
  put: () => Promise.resolve('had'),
  get: (digest) => Promise.reject(new GridError('CHUNK_MISSING', `chunk ${digest} is nowhere`)),
};

/** The manifest that `sendTree` would make, and nothing is sent. Throws what `sendTree` throws for files. */
export async function describeTree(
  { root, paths }: SendRequest,
  signal?: AbortSignal,
): Promise<Manifest> {
  const uploads = openUploads(NOWHERE, { onDone: () => undefined, signal });
  const sending = { root, store: NOWHERE, uploads, known: undefined, signal };
  const entries = await sendContents(sending, await walk(root, paths));
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

async function sendUnread(
  { root, uploads }: Sending,
  plan: readonly Planned[],
  lacking: ReadonlySet<FoundFile>,
): Promise<void> {
  let cut: Cut | undefined;
  try {
    for (const planned of plan) {
      const { parts } = planned;
      const [first] = parts;
      const length = parts.reduce((sum, part) => sum + part.length, 0);
      if (!parts.some(({ file }) => lacking.has(file))) {
        uploads.skip(length);
        continue;
      }
      await uploads.reserve();
      const bytes = takeSlab(length);
      if (first !== undefined && first.length < first.file.sizeBytes) {
        cut ??= { reader: await openFile(root, first.file), hash: createHash('sha256') };
        cut = await readCut(cut, first, bytes);
      } else {
        await readPack(root, parts, bytes);
      }
      planned.digest = digestOf(parts) ?? sha256(bytes);
      uploads.add({ digest: planned.digest, bytes });
    }
  } finally {
    await cut?.reader.close();
  }
}

/** Where a file is a chunk of its own it has the digest already. */
function digestOf([first, ...others]: readonly Piece<Growing>[]): string | undefined {
  const whole = first !== undefined && first.length === first.file.sizeBytes;
  return whole && others.length === 0 ? first.file.digest : undefined;
}

/** A file that is cut, between its first chunk and its last. */
interface Cut {
  readonly reader: FileReader;
  readonly hash: Hash;
}

/** Whole files, one behind the other. */
async function readPack(
  root: string,
  parts: readonly Piece<Growing>[],
  bytes: Uint8Array,
): Promise<void> {
  let at = 0;
  const reads = parts.map(async ({ file, length }) => {
    const target = bytes.subarray(at, at + length);
    at += length;
    await readWhole(root, file, target);
    file.digest = sha256(target);
  });
  await Promise.all(reads);
}

/** The next piece of a large file; gives undefined after its last one. */
async function readCut(
  cut: Cut,
  part: Piece<Growing>,
  bytes: Uint8Array,
): Promise<Cut | undefined> {
  await cut.reader.read(bytes);
  cut.hash.update(bytes);
  if (part.offset + part.length < part.file.sizeBytes) return cut;
  await cut.reader.finish();
  await cut.reader.close();
  part.file.digest = cut.hash.digest('hex');
  return undefined;
}

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
