import { promisify } from 'node:util';
import { constants, zstdCompress, zstdCompressSync, zstdDecompress } from 'node:zlib';
import { CHUNK_BYTES } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';

/** A chunk as the store has it: its bytes, or fewer that stand for them. Its name is always the digest of the bytes themselves. */
export interface CodedChunk {
  readonly bytes: Uint8Array;
  /** As HTTP names it; '' for the bytes as they are. */
  readonly coding: '' | 'zstd';
}

/** Makes chunks smaller where that pays. */
export interface ChunkCoder {
  /** Works off the main thread, but for a sample; the chunk must not change meanwhile. */
  encode(bytes: Uint8Array): Promise<CodedChunk>;
}

/** Less is not worth a look. */
const LEAST_BYTES = 2_048;
/** A sample is so many pieces from all over the chunk. */
const PIECES = 4;
const PIECE_BYTES = 4_096;
/** What of a sample, and of a chunk, may be left for it to pay. */
const PAYS = 0.8;
/** After samples that did not pay this many chunks at most go without one. */
const MOST_PASSED = 15;

/** The fastest level: the line waits for it. */
const FAST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** A coder for one sender; what follows on chunks that did not shrink is looked at more and more seldom. */
export function openChunkCoder(): ChunkCoder {
  let inVain = 0;
  let passing = 0;
  const isWorthIt = (bytes: Uint8Array): boolean => {
    if (bytes.byteLength < LEAST_BYTES) return false;
    if (passing > 0) {
      passing -= 1;
      return false;
    }
    const some = sampleOf(bytes);
    const pays = zstdCompressSync(some, FAST).byteLength <= PAYS * some.byteLength;
    inVain = pays ? 0 : inVain + 1;
    passing = pays ? 0 : Math.min(2 ** inVain - 1, MOST_PASSED);
    return pays;
  };
  return {
    encode: async (bytes) => {
      if (!isWorthIt(bytes)) return { bytes, coding: '' };
      const fewer = await compress(bytes, FAST);
      const pays = fewer.byteLength <= PAYS * bytes.byteLength;
      return pays ? { bytes: fewer, coding: 'zstd' } : { bytes, coding: '' };
    },
  };
}

function sampleOf(bytes: Uint8Array): Uint8Array {
  if (bytes.byteLength <= PIECES * PIECE_BYTES) return bytes;
  const step = (bytes.byteLength - PIECE_BYTES) / (PIECES - 1);
  const starts = Array.from({ length: PIECES }, (_, n) => Math.floor(n * step));
  return Buffer.concat(starts.map((start) => bytes.subarray(start, start + PIECE_BYTES)));
}

/**
 * The bytes that a coding stands for, never more than a chunk has. Throws CHUNK_CORRUPT where they stand for nothing, or in a
 * coding that is not known.
 */
export async function decodeChunk(
  digest: string,
  { bytes, coding }: { readonly bytes: Uint8Array; readonly coding: string },
): Promise<Uint8Array> {
  if (coding === '') return bytes;
  if (coding !== 'zstd')
    throw new GridError('CHUNK_CORRUPT', `chunk ${digest} is coded as '${coding}', not as 'zstd'`);
  try {
    return await decompress(bytes, { maxOutputLength: CHUNK_BYTES });
  } catch (error) {
    throw new GridError('CHUNK_CORRUPT', `chunk ${digest} cannot be unpacked`, { cause: error });
  }
}
