/** Most bytes that words of somebody else have where they are kept: of a batch system, a program, a gateway. */
export const MOST_WORDS_BYTES = 2_000;

/** The same of a code such as `EXIT_NONZERO`. */
export const MOST_REASON_BYTES = 100;

const bytesOf = (text: string): number => new TextEncoder().encode(text).length;

/** The text where it is short enough, else its beginning, and how many bytes it had. Never longer than `most`, in bytes of UTF-8. */
export function boundedWords(text: string, most = MOST_WORDS_BYTES): string {
  // Each of its units comes to three bytes at most.
  if (text.length * 3 <= most) return text;
  const bytes = bytesOf(text);
  if (bytes <= most) return text;
  const note = `… (cut, ${bytes} bytes)`;
  const encoded = new TextEncoder().encode(text.slice(0, most)).slice(0, most - bytesOf(note));
  // A character that was cut in two is none.
  return `${new TextDecoder().decode(encoded).replace(/\uFFFD+$/, '')}${note}`;
}
