/**
 * A tree of files by content. Encoded it is itself a chunk, so one digest names a whole tree (DESIGN: moving data).
 * Digests are SHA-256, lower-case hex, but for the name of a pack (`service/staging/pack.ts`). Paths are relative, `/`-separated, normalised, and never leave the tree.
 */

/** A contiguous piece of a file: `length` bytes of chunk `digest`, from `offset` in the chunk. */
export interface Slice {
  readonly digest: string;
  readonly offset: number;
  readonly length: number;
}

export type ManifestEntry =
  | { readonly kind: 'directory'; readonly path: string; readonly mode: number }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  | {
      readonly kind: 'file';
      readonly path: string;
      /** Permission bits, for instance 0o644. */
      readonly mode: number;
      readonly sizeBytes: number;
      /** SHA-256 of the whole file. */
      readonly digest: string;
      /** The file's bytes in order; empty for an empty file. */
      readonly slices: readonly Slice[];
    };

export interface Manifest {
  /** By path, ascending by code unit; no path twice. */
  readonly entries: readonly ManifestEntry[];
}

/** Names a tree in the chunk store. `manifest` is the encoded manifest itself where it is small. */
export interface TreeRef {
  /** SHA-256 of the encoded manifest; '' for no tree at all. */
  readonly digest: string;
  readonly totalBytes: number;
  readonly files: number;
  readonly manifest?: Uint8Array;
}

/** No files. */
export const EMPTY_TREE: TreeRef = { digest: '', totalBytes: 0, files: 0 };

/** Files larger than this are cut into chunks of this size. */
export const CHUNK_BYTES = 1_048_576;
