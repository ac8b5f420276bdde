import { CHUNK_BYTES } from '../../core/data/manifest.ts';
import type { FileEntry } from '../../core/data/select.ts';
import type { ChunkStore } from './chunk-store.ts';

/** A hole in a file reads as zeros: a chunk of nothing else is never asked for, and where it comes into a file nothing is written. */

const ZEROS: Uint8Array = new Uint8Array(new SharedArrayBuffer(CHUNK_BYTES));

/** The digest of a full chunk of zeros. */
export const ZEROS_DIGEST = '30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58';

/** Whether they are a full chunk of zeros; stops at the first byte that is none. */
export const isZeros = (bytes: Uint8Array): boolean =>
  bytes.byteLength === CHUNK_BYTES && Buffer.compare(bytes, ZEROS) === 0;

/** A store that has zeros at hand. */
export const withZeros = (store: Pick<ChunkStore, 'receive'>): Pick<ChunkStore, 'receive'> => ({
  receive: (digest, signal) =>
    digest === ZEROS_DIGEST ? Promise.resolve(ZEROS) : store.receive(digest, signal),
});

/** Bytes that a file takes on disk when it is written: without the holes between its chunks. */
export const bytesWritten = ({ slices, sizeBytes }: FileEntry): number =>
  slices.length < 2
    ? sizeBytes
    : slices.reduce((sum, { digest, length }) => sum + (digest === ZEROS_DIGEST ? 0 : length), 0);
