/**
 * Convergent encryption of chunks (Douceur et al., "Reclaiming Space from Duplicate Files in a Serverless Distributed File
 * System", ICDCS 2002, section 3): the store has each under a name and a key that both follow from its digest, and neither from
 * the other. Equal chunks are still one, and only who knows a digest can read what it names, whatever a server hands out.
 */

import {
  type CipherGCM,
  createCipheriv,
  createDecipheriv,
  type DecipherGCM,
  hash,
  randomFillSync,
} from 'node:crypto';
import { GridError } from '../../core/errors.ts';
import { pastWord, release, takeSlab } from './wire/slabs.ts';

/** With a nonce by chance (NIST SP 800-38D, 8.2.2): what stands for a chunk may be packed in more than one way under its key. */
const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** How many bytes longer a chunk is in the store. */
export const CIPHER_BYTES = NONCE_BYTES + TAG_BYTES;

declare const tag: unique symbol;

/** What a chunk is called in the store: 64 digits, lower-case hex, as its digest, which they do not tell. */
export type ChunkName = string & { readonly [tag]: 'ChunkName' };

export const chunkName = (digest: string): ChunkName =>
  hash('sha256', `hanse chunk name ${digest}`) as ChunkName;

/** A member may store something under any name. */
export const isChunkName = (text: string): text is ChunkName => /^[0-9a-f]{64}$/.test(text);

const chunkKey = (digest: string): Buffer => hash('sha256', `hanse chunk key ${digest}`, 'buffer');

/** A nonce, what stands for `bytes`, and a tag, in a slab of their own. */
export function encipher(digest: string, bytes: Uint8Array): Uint8Array {
  const whole = takeSlab(bytes.byteLength + CIPHER_BYTES, NONCE_BYTES);
  const nonce = randomFillSync(whole.subarray(0, NONCE_BYTES));
  const cipher = createCipheriv(CIPHER, chunkKey(digest), nonce);
  turn(cipher, bytes, whole.subarray(NONCE_BYTES));
  whole.set(cipher.getAuthTag(), whole.byteLength - TAG_BYTES);
  return whole;
}

/**
 * The bytes that `encipher` was given; they take the place of `whole`, which is spoiled. Throws CHUNK_CORRUPT where nobody who
 * knows the digest has made it.
 */
export function decipher(digest: string, whole: Uint8Array): Uint8Array {
  const length = whole.byteLength - CIPHER_BYTES;
  if (length < 0) throw isNone(digest);
  const bytes = whole.subarray(NONCE_BYTES, NONCE_BYTES + length);
  const start = NONCE_BYTES - pastWord(bytes);
  const turned = whole.subarray(start, start + length);
  const cipher = createDecipheriv(CIPHER, chunkKey(digest), whole.subarray(0, NONCE_BYTES));
  cipher.setAuthTag(whole.subarray(NONCE_BYTES + length));
  try {
    turn(cipher, bytes, turned);
  } catch (error) {
    throw isNone(digest, error);
  }
  return turned;
}

const isNone = (digest: string, cause?: unknown): GridError =>
  new GridError('CHUNK_CORRUPT', `what the store has for chunk ${digest} was not made from it`, {
    cause,
  });

/** So much at a time stays in the caches of a processor. */
const PIECE_BYTES = 131_072;

/** Into other bytes, or the same, or some that begin before them. */
function turn(cipher: CipherGCM | DecipherGCM, from: Uint8Array, to: Uint8Array): void {
  for (let at = 0; at < from.byteLength; at += PIECE_BYTES) {
    const piece = cipher.update(from.subarray(at, at + PIECE_BYTES));
    to.set(piece, at);
    release(piece);
  }
  cipher.final();
}
