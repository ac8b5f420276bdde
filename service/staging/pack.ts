import { hash } from 'node:crypto';
import { packListBytes } from '../../core/data/pack-plan.ts';

/**
 * A pack is a chunk of several whole files behind a list of them: `hansepk1`, how many they are, and of each its SHA-256 and its
 * length (numbers are 4 bytes, big-endian). The list names the pack: a file's digest, which caches need, is not computed a second
 * time as part of its chunk's; and whoever has the chunk verifies the list by the name, and each file by the list.
 */

/** A file of a pack. */
export interface PackedFile {
  /** SHA-256 of its content, lower-case hex. */
  readonly digest: string;
  /** Bytes. */
  readonly length: number;
}

const MAGIC = Buffer.from('hansepk1');
const ROWS_START = packListBytes(0);
const DIGEST_BYTES = 32;

/** Writes the list to the beginning of a pack whose files are there already, and gives the name. */
export function finishPack(pack: Uint8Array, files: readonly PackedFile[]): string {
  const list = Buffer.from(pack.buffer, pack.byteOffset, packListBytes(files.length));
  MAGIC.copy(list);
  list.writeUInt32BE(files.length, MAGIC.byteLength);
  let at = ROWS_START;
  for (const { digest, length } of files) {
    list.write(digest, at, 'hex');
    at = list.writeUInt32BE(length, at + DIGEST_BYTES);
  }
  return nameOf(list);
}

/** Whether `bytes` are the pack of this name, every file of it. */
export function isPack(name: string, bytes: Uint8Array): boolean {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.byteLength < ROWS_START || !buffer.subarray(0, MAGIC.byteLength).equals(MAGIC))
    return false;
  const count = buffer.readUInt32BE(MAGIC.byteLength);
  let at = packListBytes(count);
  if (at > buffer.byteLength || nameOf(buffer.subarray(0, at)) !== name) return false;
  for (let row = ROWS_START; row < packListBytes(count); row += DIGEST_BYTES + 4) {
    const digest = buffer.toString('hex', row, row + DIGEST_BYTES);
    const end = at + buffer.readUInt32BE(row + DIGEST_BYTES);
    if (hash('sha256', buffer.subarray(at, end), 'hex') !== digest) return false;
    at = end;
  }
  return at === buffer.byteLength;
}

/**
 * SHA-512/256 (FIPS 180-4, 6.7), lower-case hex. Were it SHA-256, as for other chunks, a file with the content of the list would
 * have the same name as the pack.
 */
const nameOf = (list: Uint8Array): string => hash('sha512-256', list, 'hex');
