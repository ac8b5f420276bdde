import {
  CHUNK_BYTES,
  type ManifestEntry,
  type Slice,
  type TreeRef,
} from '../../core/data/manifest.ts';
import { encodeManifest } from '../../core/data/manifest-codec.ts';
import { encodeManifestIndex } from '../../core/data/manifest-index.ts';
import { type Piece, packListBytes, planPacks } from '../../core/data/pack-plan.ts';
import { sha256 } from './chunk-store.ts';
import type { KnownFiles } from './known-files.ts';
import type { Found, FoundFile } from './walk.ts';

/** A file of a tree; `digest` is that of an empty one until it is known. */
export interface PlannedFile extends FoundFile {
  digest: string;
}

/** A chunk to be made of `parts`; `digest` is '' until it is known. */
export interface PlannedChunk {
  readonly parts: readonly Piece<PlannedFile>[];
  readonly sizeBytes: number;
  digest: string;
}

/** How files become chunks. */
export interface TreePlan {
  readonly found: readonly Found[];
  readonly files: readonly PlannedFile[];
  readonly chunks: readonly PlannedChunk[];
}

/** A manifest up to this size travels with the reference and is not stored. */
const INLINE_BYTES = 4_096;
const EMPTY_DIGEST = sha256(new Uint8Array(0));

/** Plans what was found, with the digests that are known. */
export function planTree(found: readonly Found[], known: KnownFiles | undefined): TreePlan {
  const files = found
    .filter((entry) => entry.kind === 'file')
    .map((file): PlannedFile => ({ ...file, digest: known?.digestOf(file) ?? EMPTY_DIGEST }));
  const chunks = planPacks(files).map(
    (parts): PlannedChunk => ({
      parts,
      sizeBytes: parts.reduce((sum, { length }) => sum + length, packListBytes(parts.length)),
      digest: known?.chunkOf(parts) ?? '',
    }),
  );
  return { found, files, chunks };
}

/** Entries of the manifest, in no order, once all digests are known. */
export function entriesOf({ found, files, chunks }: TreePlan): readonly ManifestEntry[] {
  const slices = new Map<PlannedFile, Slice[]>(files.map((file) => [file, []]));
  for (const { parts, digest } of chunks) {
    let offset = packListBytes(parts.length);
    for (const { file, length } of parts) {
      slices.get(file)?.push({ digest, offset, length });
      offset += length;
    }
  }
  return [
    ...found.filter((entry) => entry.kind !== 'file'),
    ...files.map((file) => ({
      kind: 'file' as const,
      path: file.path,
      mode: file.mode,
      sizeBytes: file.sizeBytes,
      digest: file.digest,
      slices: slices.get(file) ?? [],
    })),
  ];
}

/** Names a tree, once all digests are known; `stored` are the chunks of its manifest, unless that travels with the name. */
export function nameTree(plan: TreePlan): {
  readonly tree: TreeRef;
  readonly stored: readonly { readonly digest: string; readonly bytes: Uint8Array }[];
} {
  const { files } = plan;
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const manifest = encodeManifest({ entries: entriesOf(plan) });
  const counts = { totalBytes, files: files.length };
  if (manifest.byteLength <= INLINE_BYTES)
    return { tree: { digest: sha256(manifest), ...counts, manifest }, stored: [] };
  const stored = inChunks(manifest);
  return { tree: { digest: stored.at(-1)?.digest ?? '', ...counts }, stored };
}

/** An encoded manifest in pieces, with an index behind them if there are several; the last one names the tree. */
function inChunks(manifest: Uint8Array) {
  const named = (bytes: Uint8Array) => ({ digest: sha256(bytes), bytes });
  if (manifest.byteLength <= CHUNK_BYTES) return [named(manifest)];
  const pieces = Array.from({ length: Math.ceil(manifest.byteLength / CHUNK_BYTES) }, (_, at) =>
    named(manifest.subarray(at * CHUNK_BYTES, (at + 1) * CHUNK_BYTES)),
  );
  const chunks = pieces.map(({ digest }) => digest);
  return [...pieces, named(encodeManifestIndex({ totalBytes: manifest.byteLength, chunks }))];
}
