/** Chance that a seed determines: the same seed, the same numbers, on every machine. */
export interface Random {
  /** Uniform in [0, 1), with 53 bits. */
  next(): number;
}

/** The state of a generator: four words, not all 0. */
type Words = readonly [number, number, number, number];

/**
 * A generator for a seed; `salts` make further ones of the same seed that have nothing to do with one another: one a
 * stream, one an attempt. The state is filled by splitmix32, as the authors of the generator advise.
 */
export function openRandom(seed: number, ...salts: readonly number[]): Random {
  let state = salts.reduce((mixed, salt) => scramble(mixed ^ scramble(salt + 1)), fold(seed));
  const filled = (): number => {
    state = (state + 0x9e3779b9) | 0;
    return scramble(state);
  };
  const word = xoshiro([filled(), filled(), filled(), filled() | 1]);
  return { next: () => ((word() >>> 5) * 2 ** 26 + (word() >>> 6)) / 2 ** 53 };
}

/** xoshiro128** (Blackman and Vigna, 2018): words of 32 bits. */
export function xoshiro(words: Words): () => number {
  let [a, b, c, d] = words;
  return () => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9);
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotate(d, 11);
    return result >>> 0;
  };
}

const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by));

/** A seed may have more than 32 bits. */
const fold = (seed: number): number =>
  scramble((seed >>> 0) ^ scramble(Math.floor(seed / 2 ** 32)));

/** The finaliser of MurmurHash3. */
function scramble(value: number): number {
  const first = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  const second = Math.imul(first ^ (first >>> 13), 0xc2b2ae35);
  return (second ^ (second >>> 16)) | 0;
}
