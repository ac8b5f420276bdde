import type { Slice } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';

/** The bytes of a slice; throws MANIFEST_INVALID if the chunk is shorter than the manifest says. */
export function sliceOf(
  file: { readonly path: string },
  { digest, offset, length }: Slice,
  chunk: Uint8Array,
): Uint8Array {
  if (offset + length <= chunk.byteLength) return chunk.subarray(offset, offset + length);
  throw new GridError(
    'MANIFEST_INVALID',
    `'${file.path}' has a slice to byte ${offset + length} of chunk ${digest}, which has ${chunk.byteLength}`,
  );
}
