import { hash } from 'node:crypto';
import { GridError } from '../../core/errors.ts';
import { counted } from '../../core/units.ts';
import { isPack } from './pack.ts';

/** Where chunks are kept, each by a digest (lower-case hex) that `verified` can tell it by. Every method may be called many at a time. */
export interface ChunkStore {
  /** Begins what takes time before the first question, and tells of no failure: that question will. */
  prepare?(): void;
  /** Which of these the store has not; one question for many. */
  missing(digests: readonly string[], signal?: AbortSignal): Promise<ReadonlySet<string>>;
  /**
   * Keeps at most CHUNK_BYTES bytes, of which the caller has computed the digest. Answers how many bytes were sent for it: fewer
   * where they could be packed, 0 where they were there.
   */
  put(digest: string, bytes: Uint8Array, signal?: AbortSignal): Promise<number>;
  /** Bytes as they came, which whoever uses them must verify; throws CHUNK_MISSING. */
  receive(digest: string, signal?: AbortSignal): Promise<Uint8Array>;
  /** Bytes that have been verified; throws CHUNK_MISSING or CHUNK_CORRUPT. */
  get(digest: string, signal?: AbortSignal): Promise<Uint8Array>;
}

/** SHA-256, lower-case hex. */
export const sha256 = (bytes: Uint8Array): string => hash('sha256', bytes, 'hex');

/** `bytes` if they are what the digest names: a pack, or by their SHA-256. Every store ends `get` with it; throws CHUNK_CORRUPT. */
export function verified(digest: string, bytes: Uint8Array): Uint8Array {
  if (isPack(digest, bytes) || sha256(bytes) === digest) return bytes;
  throw new GridError(
    'CHUNK_CORRUPT',
    `chunk ${digest} has ${counted(bytes.byteLength, 'byte')} with another digest`,
  );
}

/** A text in which no digest can be read, only its first digits: whoever knows a digest can read what it names. */
export const withoutDigests = (text: string): string =>
  text.replaceAll(/\b([0-9a-f]{8})[0-9a-f]{56}\b/g, '$1...');

/** Digests of the chunks that a failure names, such as that of `verified`. */
export const digestsIn = (failure: string): readonly string[] =>
  failure.match(/\b[0-9a-f]{64}\b/g) ?? [];
