import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chunkBytes } from '../../../core/data/compare.ts';
import type { ManifestEntry } from '../../../core/data/manifest.ts';
import {
  addTree,
  emptyTally,
  newBytes,
  openScales,
  roomRefusal,
  type TreeWeight,
  weightOf,
} from '../../../core/data/room.ts';

const A = 'a'.repeat(64);
const B = 'b'.repeat(64);
const room = { who: 'VO demo', usedBytes: 900, wantedBytes: 100, limitBytes: 1_000 };

/** In parts of one entry each. */
function weighed(entries: readonly ManifestEntry[]): TreeWeight {
  const scales = openScales();
  for (const entry of entries) scales.add({ entries: [entry] });
  return scales.weight();
}

describe('a tally', () => {
  test('counts a chunk once, with the most that any tree uses of it', () => {
    const tally = emptyTally();
    addTree(tally, weightOf([[A, 10]]));
    addTree(tally, weightOf([[A, 7]]));
    addTree(
      tally,
      weightOf([
        [A, 12],
        [B, 5],
      ]),
    );
    expect(tally.bytes).toBe(17);
  });

  test('knows a file by its chunks, and an empty one as nothing', () => {
    const file = { kind: 'file', mode: 0o644, digest: A } as const;
    const slices = [{ digest: A, offset: 0, length: 30 }];
    const tree = weighed([
      { ...file, path: 'a', sizeBytes: 30, slices },
      { ...file, path: 'b', sizeBytes: 30, slices },
      { ...file, path: 'empty', sizeBytes: 0, slices: [] },
      { kind: 'directory', path: 'd', mode: 0o755 },
    ]);
    expect(newBytes(emptyTally(), [tree])).toBe(30);
  });

  test('knows a chunk by as much of it as the files of a tree use, in whatever parts they come', () => {
    const file = { kind: 'file', mode: 0o644, digest: A } as const;
    const slices = fc.array(
      fc.record({ digest: fc.constantFrom(A, B), offset: fc.nat(100), length: fc.nat(100) }),
    );
    fc.assert(
      fc.property(fc.array(slices), (lists) => {
        const entries = lists.map((list, at) => ({
          ...file,
          path: `${at}`,
          sizeBytes: 0,
          slices: list,
        }));
        expect(weighed(entries)).toEqual(weightOf(chunkBytes({ entries })));
      }),
    );
  });

  test('what would be new is what it then grows by, whatever the trees share', () => {
    const tree = fc
      .array(fc.tuple(fc.constantFrom(A, B, 'c'.repeat(64), 'd'.repeat(64)), fc.nat(100)))
      .map((chunks): TreeWeight => weightOf(chunks));
    fc.assert(
      fc.property(fc.array(tree), fc.array(tree), (before, more) => {
        const tally = emptyTally();
        for (const one of before) addTree(tally, one);
        const [was, fresh] = [tally.bytes, newBytes(tally, more)];
        for (const one of more) addTree(tally, one);
        expect(tally.bytes).toBe(was + fresh);
      }),
    );
  });
});

describe('a refusal', () => {
  test('there is none up to the limit', () => {
    expect(roomRefusal(room)).toBeUndefined();
  });

  test('says who, what is stored, what is wanted and the limit', () => {
    expect(roomRefusal({ ...room, wantedBytes: 101 })).toBe(
      'VO demo may store 1000 B: 900 B are stored, and 101 B more are wanted',
    );
  });

  test('above the limit nothing more can be asked for either', () => {
    expect(roomRefusal({ ...room, usedBytes: 1_001, wantedBytes: 0 })).toBe(
      'VO demo may store 1000 B: 1001 B are stored, and no job may be submitted until some of that is removed',
    );
  });
});
