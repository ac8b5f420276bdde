import { CHUNK_BYTES } from '../../../core/data/manifest.ts';

/**
 * Buffers of one size for chunks, used again and again: a fresh MiB for each chunk costs more (page faults, garbage) than all
 * that is done with its bytes. They are shared memory, so that a thread can work on them without a copy.
 */

/** Before the bytes of a chunk there is room for what announces it on the wire. */
const HEAD_ROOM = 1_024;
/** What follows a chunk on the wire, and headers of an answer. */
const SPARE_ROOM = 15_360;
/**
 * Into shared memory V8 copies words of so many bytes where both sides begin at one, and single bytes where they do not, which takes
 * four times as long.
 */
const WORD_BYTES = 8;
const SLAB_BYTES = HEAD_ROOM + CHUNK_BYTES + SPARE_ROOM;
/**
 * As many as one transfer has in work, and enciphered in flight; more are made when they are needed, and not kept: they are garbage
 * that is collected late.
 */
const KEPT = 40;

const free: SharedArrayBuffer[] = [];
const known = new WeakSet<ArrayBufferLike>();
/** Slabs that a socket still has to send, and how often. */
const pins = new Map<ArrayBufferLike, number>();

/**
 * `bytes` bytes behind the head room, not cleared, of which that at `aligned` begins a word. What is larger than a slab is a buffer
 * of its own.
 */
export function takeSlab(bytes: number, aligned = 0): Uint8Array {
  const start = HEAD_ROOM + WORD_BYTES - 1 - ((aligned + WORD_BYTES - 1) % WORD_BYTES);
  if (start + bytes > SLAB_BYTES) return Buffer.allocUnsafeSlow(bytes);
  const slab = free.pop() ?? new SharedArrayBuffer(SLAB_BYTES);
  known.add(slab);
  return new Uint8Array(slab, start, bytes);
}

/** Whoever is the last to use `bytes` may give the slab below them back; without it the slab is garbage. */
export function giveSlab({ buffer }: Uint8Array): void {
  // One that a socket holds must not get other bytes: they would be sent under the old name.
  if (!(buffer instanceof SharedArrayBuffer) || !known.has(buffer) || pins.has(buffer)) return;
  known.delete(buffer);
  if (free.length < KEPT) free.push(buffer);
}

/** Keeps a slab from being used again until `unpinSlab`. */
export function pinSlab({ buffer }: Uint8Array): void {
  pins.set(buffer, (pins.get(buffer) ?? 0) + 1);
}

export function unpinSlab({ buffer }: Uint8Array): void {
  const left = (pins.get(buffer) ?? 1) - 1;
  if (left === 0) pins.delete(buffer);
  else pins.set(buffer, left);
}

/** How many bytes after the beginning of a word it begins. */
export const pastWord = ({ byteOffset }: Uint8Array): number => byteOffset % WORD_BYTES;

/**
 * `head`, `bytes` and `tail` one behind the other; without a copy of `bytes` where they lie in a slab that nobody sends.
 */
export function framed(head: Uint8Array, bytes: Uint8Array, tail: Uint8Array): Uint8Array {
  const [start, end] = [bytes.byteOffset - head.byteLength, bytes.byteOffset + bytes.byteLength];
  const { buffer } = bytes;
  const fits =
    known.has(buffer) && !pins.has(buffer) && start >= 0 && end + tail.byteLength <= SLAB_BYTES;
  if (!fits) return Buffer.concat([head, bytes, tail]);
  const frame = new Uint8Array(buffer, start, head.byteLength + bytes.byteLength + tail.byteLength);
  frame.set(head);
  frame.set(tail, frame.byteLength - tail.byteLength);
  return frame;
}

/**
 * Frees a buffer of which all has been copied. Left to the garbage collector, the several of each MiB make it look through the
 * whole heap again and again, which takes longer than to encrypt or decrypt what was in them.
 */
export function release({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}
