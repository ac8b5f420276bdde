/** Text in UTF-8 that is read from its beginning to its end. Of a long one only a part stands in memory as text at a time. */
export interface TextReader {
  /** Whether `expected` comes next; then it is gone past. */
  skip(expected: string): boolean;
  /** What a sticky pattern finds here, and it is gone past. */
  match(pattern: RegExp): RegExpExecArray | undefined;
  /** Whether nothing comes any more. */
  isAtEnd(): boolean;
}

/** What a pattern may need to see at most, in code units; bytes that give no fewer. */
const [AHEAD, PIECE_BYTES] = [65_536, 262_144];

/** `invalid` makes the error that is thrown where the bytes are no UTF-8. */
export function openTextReader(bytes: Uint8Array, invalid: (cause: unknown) => Error): TextReader {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let [text, at, read] = ['', 0, 0];
  const fill = (): void => {
    if (read === bytes.byteLength || text.length - at >= AHEAD) return;
    const piece = bytes.subarray(read, read + PIECE_BYTES);
    read += piece.byteLength;
    try {
      text = text.slice(at) + decoder.decode(piece, { stream: read < bytes.byteLength });
    } catch (error) {
      throw invalid(error);
    }
    at = 0;
  };
  return {
    skip: (expected) => {
      fill();
      const isNext = text.startsWith(expected, at);
      if (isNext) at += expected.length;
      return isNext;
    },
    match: (pattern) => {
      fill();
      pattern.lastIndex = at;
      const found = pattern.exec(text) ?? undefined;
      at += found?.[0].length ?? 0;
      return found;
    },
    isAtEnd: () => {
      fill();
      return at === text.length;
    },
  };
}
