import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { CHUNK_BYTES } from '../../../core/data/manifest.ts';
import { packListBytes, planPacks } from '../../../core/data/pack-plan.ts';

const size = fc.oneof(
  fc.constantFrom(0, 1, CHUNK_BYTES / 4 - 1, CHUNK_BYTES / 4, CHUNK_BYTES, CHUNK_BYTES + 1),
  fc.nat({ max: 20_000 }),
  fc.nat({ max: 5 * CHUNK_BYTES }),
);
const files = fc
  .array(size, { maxLength: 60 })
  .map((sizes) => sizes.map((sizeBytes, index) => ({ path: `file-${index}`, sizeBytes })));

test('every byte of every file is in exactly one chunk, in its order', () => {
  fc.assert(
    fc.property(files, (all) => {
      const pieces = planPacks(all).flat();
      for (const file of all) {
        const own = pieces.filter((piece) => piece.file === file);
        const ends = own.map(({ offset, length }) => offset + length);
        expect(own.map(({ offset }) => offset)).toEqual(
          [0, ...ends.slice(0, -1)].slice(0, own.length),
        );
        expect(ends.at(-1) ?? 0).toBe(file.sizeBytes);
      }
    }),
  );
});

test('no chunk is empty or too large, and only whole files share one', () => {
  fc.assert(
    fc.property(files, (all) => {
      for (const chunk of planPacks(all)) {
        const bytes = chunk.reduce((sum, { length }) => sum + length, packListBytes(chunk.length));
        expect(bytes).toBeGreaterThan(packListBytes(chunk.length));
        expect(bytes).toBeLessThanOrEqual(CHUNK_BYTES);
        const shared = chunk.length > 1 ? chunk : [];
        expect(shared.every(({ file, length }) => file.sizeBytes === length)).toBe(true);
      }
    }),
  );
});

test('a large file stands in chunks of its own, one after the other', () => {
  const all = [
    { path: 'a', sizeBytes: 10 },
    { path: 'b', sizeBytes: 2.5 * CHUNK_BYTES },
    { path: 'c', sizeBytes: 10 },
  ];
  const names = planPacks(all).map((chunk) => chunk.map(({ file }) => file.path).join('+'));
  expect(names).toEqual(['a+c', 'b', 'b', 'b']);
});

test('many small files fill few chunks', () => {
  const all = Array.from({ length: 1_000 }, (_, n) => ({ path: `f${n}`, sizeBytes: 4_096 }));
  expect(planPacks(all).length).toBeLessThan(16);
});

test('a file of many chunks is one file still', () => {
  const [first, ...rest] = planPacks([{ path: 'a', sizeBytes: 130 * 2 ** 30 }]);
  expect(rest).toHaveLength(133_119);
  expect(first).toMatchObject([{ offset: 0, length: CHUNK_BYTES }]);
});
