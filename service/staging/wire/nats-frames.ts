import { release, takeSlab } from './slabs.ts';

/**
 * Cuts what a socket gives so that every large message is whole in one buffer. The parser of nats.js takes such a message as
 * it is; one that comes in pieces of a TLS record it would copy several times while its buffer grows.
 */
export interface FrameCutter {
  /** What can be parsed now, in order; nothing is lost or added. `received` is the cutter's from then on. */
  push(received: Uint8Array): readonly Uint8Array[];
}

/** A message that is not whole at the end of what was received, and is longer than this, gets a buffer of its own. */
const LARGE_BYTES = 16_384;
const NEWLINE = 10;
const SPACE = 32;
const CR = 13;
const [ZERO, NINE] = [48, 57];
const [M, H] = [77, 72];
/** `\r\n` behind a payload. */
const END_BYTES = 2;

export function openFrameCutter(): FrameCutter {
  let whole: Uint8Array | undefined;
  let filled = 0;
  /** The beginning of a line whose end has not come yet. */
  let carried: Uint8Array = NOTHING;
  /** Bytes of a short message that are still to come and need no look. */
  let passing = 0;

  const push = (received: Uint8Array): readonly Uint8Array[] => {
    const frames: Uint8Array[] = [];
    let rest = carried.byteLength === 0 ? received : Buffer.concat([carried, received]);
    carried = NOTHING;
    if (whole !== undefined) {
      const part = rest.subarray(0, whole.byteLength - filled);
      whole.set(part, filled);
      filled += part.byteLength;
      rest = rest.subarray(part.byteLength);
      const isWhole = filled === whole.byteLength;
      if (isWhole) frames.push(whole);
      if (isWhole) whole = undefined;
      if (rest.byteLength === 0) {
        release(received);
        return frames;
      }
    }
    const start = Math.min(passing, rest.byteLength);
    passing -= start;
    const { end, lineEnd, more } = scan(rest, start);
    if (end > 0) frames.push(rest.subarray(0, end));
    const tail = rest.subarray(end);
    if (lineEnd === 0) {
      carried = Uint8Array.from(tail);
    } else if (more > LARGE_BYTES) {
      // What comes next begins a buffer, and its word.
      whole = takeSlab(tail.byteLength + more, tail.byteLength);
      whole.set(tail);
      filled = tail.byteLength;
    } else if (tail.byteLength > 0) {
      frames.push(tail);
      passing = more;
    }
    return frames;
  };
  return { push };
}

const NOTHING = new Uint8Array(0);

/**
 * Passes over whole messages from `start` on. `end` is where the first one begins that is not whole, `lineEnd` the end of its
 * line (0 if that has not come), `more` how many of its bytes are to come.
 */
function scan(
  bytes: Uint8Array,
  start: number,
): { readonly end: number; readonly lineEnd: number; readonly more: number } {
  let at = start;
  while (at < bytes.byteLength) {
    const lineEnd = bytes.indexOf(NEWLINE, at) + 1;
    if (lineEnd === 0) return { end: at, lineEnd, more: 0 };
    const next = lineEnd + payloadBytes(bytes, at, lineEnd);
    if (next > bytes.byteLength) return { end: at, lineEnd, more: next - bytes.byteLength };
    at = next;
  }
  return { end: at, lineEnd: at, more: 0 };
}

/** Bytes behind the line of a message, `MSG subject sid [reply] size` or `HMSG ... headers size`; other lines have none. */
function payloadBytes(bytes: Uint8Array, at: number, lineEnd: number): number {
  const first = (bytes[at] ?? 0) & 0xdf;
  if (first !== M && first !== H) return 0;
  let digit = lineEnd - 1;
  while (digit > at && (bytes[digit - 1] === CR || bytes[digit - 1] === SPACE)) digit -= 1;
  let size = 0;
  for (let scale = 1; digit > at; digit -= 1, scale *= 10) {
    const value = bytes[digit - 1] ?? 0;
    if (value < ZERO || value > NINE) break;
    size += (value - ZERO) * scale;
  }
  return size + END_BYTES;
}
