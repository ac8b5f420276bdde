import { formatBytes } from '../units.ts';
import type { Manifest, Slice } from './manifest.ts';
import { filesOf } from './select.ts';

/**
 * The chunks of a tree by short key, with the bytes of each that its files use: two numbers a chunk, for a broker that counts
 * millions of them.
 */
export interface TreeWeight {
  readonly keys: Float64Array;
  readonly bytes: Float64Array;
}

/** Distinct bytes of some trees: of each chunk the most that any of them uses. */
export interface Tally {
  readonly chunks: Map<number, number>;
  bytes: number;
}

/** The first 52 bits of a digest: among ten million chunks two share a key once in nine times, and then one is not counted. */
const keyOf = (digest: string): number => Number.parseInt(digest.slice(0, 13), 16);

/** Chunks (digest, bytes) as they are counted. */
export function weightOf(chunks: Iterable<readonly [digest: string, bytes: number]>): TreeWeight {
  const all = [...chunks];
  return {
    keys: Float64Array.from(all, ([digest]) => keyOf(digest)),
    bytes: Float64Array.from(all, ([, bytes]) => bytes),
  };
}

/** Finds what the files of a tree take, which comes in parts. */
export interface Scales {
  add(part: Manifest): void;
  weight(): TreeWeight;
}

export function openScales(): Scales {
  const places = new Map<string, number>();
  const [keys, from, to]: [number[], number[], number[]] = [[], [], []];
  const add = ({ digest, offset, length }: Slice): void => {
    const place = places.get(digest);
    if (place === undefined) {
      places.set(digest, keys.length);
      keys.push(keyOf(digest));
      from.push(offset);
      to.push(offset + length);
      return;
    }
    from[place] = Math.min(from[place] ?? 0, offset);
    to[place] = Math.max(to[place] ?? 0, offset + length);
  };
  return {
    add: (part) => {
      for (const { slices } of filesOf(part)) for (const slice of slices) add(slice);
    },
    weight: () => ({
      keys: new Float64Array(keys),
      bytes: new Float64Array(to.map((end, place) => end - (from[place] ?? 0))),
    }),
  };
}

export const emptyTally = (): Tally => ({ chunks: new Map(), bytes: 0 });

/** Counts a tree. */
export function addTree(tally: Tally, { keys, bytes }: TreeWeight): void {
  for (const [index, key] of keys.entries()) addChunk(tally, key, bytes[index] ?? 0);
}

function addChunk(tally: Tally, key: number, size: number): void {
  const before = tally.chunks.get(key);
  if (before !== undefined && size <= before) return;
  tally.chunks.set(key, size);
  tally.bytes += size - (before ?? 0);
}

/** Bytes by which trees would make a tally larger. */
export function newBytes({ chunks }: Tally, trees: readonly TreeWeight[]): number {
  const fresh = emptyTally();
  let known = 0;
  for (const { keys, bytes } of trees)
    for (const [index, key] of keys.entries()) {
      const [size, before] = [bytes[index] ?? 0, chunks.get(key) ?? 0];
      if (size <= before) continue;
      if (!fresh.chunks.has(key)) known += before;
      addChunk(fresh, key, size);
    }
  return fresh.bytes - known;
}

/** What is stored, what is to be added, and the most that may be. */
export interface Room {
  /** Whose, for people. */
  readonly who: string;
  readonly usedBytes: number;
  readonly wantedBytes: number;
  readonly limitBytes: number;
}

/** Why there is no room; undefined if there is. Where nothing is added (0) only what is above the limit already has none. */
export function roomRefusal({ who, usedBytes, wantedBytes, limitBytes }: Room): string | undefined {
  if (usedBytes + wantedBytes <= limitBytes) return undefined;
  const wanted =
    wantedBytes === 0
      ? 'no job may be submitted until some of that is removed'
      : `${formatBytes(wantedBytes)} more are wanted`;
  return `${who} may store ${formatBytes(limitBytes)}: ${formatBytes(usedBytes)} are stored, and ${wanted}`;
}
