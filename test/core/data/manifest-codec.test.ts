import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CHUNK_BYTES, type ManifestEntry } from '../../../core/data/manifest.ts';
import { decodeInParts, encodeManifest } from '../../../core/data/manifest-codec.ts';
import {
  checkListSize,
  decodeManifestIndex,
  encodeManifestIndex,
} from '../../../core/data/manifest-index.ts';
import { byPath } from '../../../core/data/paths.ts';
import { GridError } from '../../../core/errors.ts';

const digest = fc.stringMatching(/^[0-9a-f]{64}$/);
const name = fc.stringMatching(/^[a-zé日 ._-]{1,8}$/).filter((text) => !/^\.\.?$/.test(text));
const mode = fc.integer({ min: 0, max: 0o777 });
const slice = fc.record({
  digest,
  offset: fc.integer({ min: 0, max: CHUNK_BYTES / 2 }),
  length: fc.integer({ min: 1, max: CHUNK_BYTES / 2 }),
});
const sizeOf = (slices: readonly { readonly length: number }[]) =>
  slices.reduce((sum, { length }) => sum + length, 0);

/** Folders are `d...`, so that no file or link is the parent of anything. */
const path = fc
  .tuple(
    fc.array(
      name.map((text) => `d${text}`),
      { maxLength: 3 },
    ),
    name.map((text) => `f${text}`),
  )
  .map(([folders, last]) => [...folders, last].join('/').normalize('NFC'));
const entry: fc.Arbitrary<ManifestEntry> = fc.oneof(
  fc.record({ kind: fc.constant('directory' as const), path, mode }),
  fc.record({ kind: fc.constant('link' as const), path, target: name.map((text) => `x${text}`) }),
  fc
    .record({
      kind: fc.constant('file' as const),
      path,
      mode,
      digest,
      slices: fc.array(slice, { maxLength: 4 }),
    })
    .map((file) => ({ ...file, sizeBytes: sizeOf(file.slices) })),
);
const tree = fc.uniqueArray(entry, { maxLength: 20, selector: (one) => one.path });
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (content: string) => new TextEncoder().encode(content);

const entriesIn = (content: Uint8Array) =>
  [...decodeInParts(content)].flatMap((part) => part.entries);

const [D, E] = ['d'.repeat(64), 'e'.repeat(64)];
const FILE = `["f","a",420,3,"${D}",[0,0,3]]`;
const encoded = (entries: string, chunks = `"${D}"`) =>
  bytes(`{"manifest":1,"chunks":[${chunks}],"entries":[${entries}]}`);

const entriesOf = (count: number) => {
  const row = (_: unknown, n: number) => `["d","${n.toString(36).padStart(6, '0')}",493]`;
  return `{"manifest":1,"chunks":[],"entries":[${Array.from({ length: count }, row).join(',')}]}`;
};

/** Longer than what is looked at at a time; it ends with a letter of three bytes. */
const FAR = bytes(`${entriesOf(20_000).slice(0, -2)},["d","日`);

test('what is encoded is decoded, sorted by path', () => {
  fc.assert(
    fc.property(tree, (entries) => {
      const again = entriesIn(encodeManifest({ entries }));
      expect(again.map((one) => one.path)).toEqual(entries.map((one) => one.path).toSorted());
      expect(again).toEqual(expect.arrayContaining(entries));
    }),
  );
});

test('a tree has one encoding, in whatever order its entries come', () => {
  fc.assert(
    fc.property(tree, (entries) => {
      const reversed = encodeManifest({ entries: entries.toReversed() });
      expect(text(reversed)).toBe(text(encodeManifest({ entries })));
    }),
  );
});

test('a changed byte gives another tree or is refused, but never the same tree', () => {
  fc.assert(
    fc.property(tree, fc.nat(), fc.integer({ min: 1, max: 255 }), (entries, place, flip) => {
      const good = encodeManifest({ entries });
      const bad = Uint8Array.from(good);
      const at = place % bad.length;
      bad[at] = (bad[at] ?? 0) ^ flip;
      let outcome: unknown;
      try {
        outcome = entriesIn(bad);
      } catch (error) {
        outcome = error instanceof GridError ? error.code : error;
      }
      expect(outcome).not.toEqual(entriesIn(good));
      expect(Array.isArray(outcome) || outcome === 'MANIFEST_INVALID').toBe(true);
    }),
  );
});

test('the encoding is what the docs say', () => {
  expect(text(encoded(FILE))).toBe(
    text(
      encodeManifest({
        entries: [
          {
            kind: 'file',
            path: 'a',
            mode: 0o644,
            sizeBytes: 3,
            digest: D,
            slices: [{ digest: D, offset: 0, length: 3 }],
          },
        ],
      }),
    ),
  );
  expect(entriesIn(encoded(FILE))).toHaveLength(1);
});

test('the list of a large tree is the same where letters of several bytes are cut', () => {
  const entries = Array.from({ length: 60_000 }, (_, n): ManifestEntry => {
    const folder = `${'日'.repeat(1 + (n % 3))}${n.toString(36).padStart(4, '0')}\u{1f9ea}`;
    return { kind: 'directory', path: folder, mode: 0o755 };
  });
  const content = encodeManifest({ entries });
  expect(content.byteLength).toBeGreaterThan(4 * 262_144);
  expect(entriesIn(content)).toEqual(entries.toSorted(byPath));
});

test('no part of a tree takes long: not its list of chunks, not a file of many pieces, not many entries', () => {
  const slices = Array.from({ length: 2_560 }, (_, n) => ({
    digest: n.toString(16).padStart(64, '0'),
    ...{ offset: 0, length: 1 },
  }));
  const file = { kind: 'file', mode: 0o644, digest: D } as const;
  const entries: ManifestEntry[] = [
    { ...file, path: 'large', sizeBytes: slices.length, slices },
    ...slices.map((one, n) => ({
      ...{ ...file, path: `small-${String(n).padStart(4, '0')}` },
      ...{ sizeBytes: 1, slices: [one] },
    })),
  ];
  const parts = [...decodeInParts(encodeManifest({ entries }))].map((part) => part.entries.length);
  const empty = parts.filter((length) => length === 0);
  expect(empty.length).toBeGreaterThanOrEqual(20);
  expect(Math.max(...parts)).toBeLessThanOrEqual(256);
  expect(parts.reduce((sum, length) => sum + length)).toBe(entries.length);
});

describe('decoding refuses', () => {
  test.for<[string, Uint8Array]>([
    ['nothing', bytes('')],
    ['what is not JSON', bytes('{"manifest":1')],
    ['what is not UTF-8', Uint8Array.of(0x22, 0xff, 0x22)],
    ['another version', bytes('{"manifest":2,"chunks":[],"entries":[]}')],
    ['a list', bytes('[]')],
    ['null', bytes('null')],
    ['missing entries', bytes('{"manifest":1,"chunks":[]}')],
    ['an unknown key', bytes('{"manifest":1,"chunks":[],"entries":[],"x":1}')],
    ['white space', bytes('{"manifest":1, "chunks":[],"entries":[]}')],
    ['a byte order mark', bytes('\uFEFF{"manifest":1,"chunks":[],"entries":[]}')],
    ['a chunk that nobody uses', encoded('')],
    ['an entry that is no list', encoded('{}', '')],
    ['an unknown kind', encoded('["p","a",420]', '')],
    ['a mode with the setuid bit', encoded('["d","a",2541]', '')],
    ['a negative mode', encoded('["d","a",-1]', '')],
    ['a path that climbs', encoded('["d","../a",493]', '')],
    ['an absolute path', encoded('["d","/a",493]', '')],
    ['a link that leads out', encoded('["l","a","../b"]', '')],
    ['a path twice', encoded('["d","a",493],["d","a",493]', '')],
    ['paths out of order', encoded('["d","b",493],["d","a",493]', '')],
    ['a file below a file', encoded(`${FILE},["d","a/b",493]`)],
    ['a file below a link', encoded('["l","a","b"],["d","a-","493"],["d","a/b",493]', '')],
    ['a digest that is none', encoded('["f","a",420,0,"xyz"]', '')],
    ['an upper-case digest', encoded(`["f","a",420,0,"${'D'.repeat(64)}"]`, '')],
    ['a slice of no chunk', encoded(`["f","a",420,3,"${D}",[1,0,3]]`)],
    ['a chunk twice', encoded(FILE, `"${D}","${D}"`)],
    [
      'chunks in another order than that of their use',
      encoded(`["f","a",420,3,"${D}",[1,0,3]],["f","b",420,3,"${D}",[0,0,3]]`, `"${E}","${D}"`),
    ],
    ['a chunk that is none', encoded('', '"xyz"')],
    ['a comma before the first entry', encoded('["d","a",493]', ',')],
    ['no comma between two entries', encoded('["d","a",493]["d","b",493]', '')],
    ['a number with a zero before it', encoded(`["f","a",420,3,"${D}",[0,00,3]]`)],
    ['a folder with slices', encoded('["d","a",493,[0,0,3]]')],
    ['a folder with a size', encoded(`["d","a",493,0,"${D}"]`, '')],
    ['a letter that is escaped for nothing', encoded('["d","\\u0061",493]', '')],
    ['anything behind the end', bytes(`${text(encoded('["d","a",493]', ''))} `)],
    ['what is not UTF-8 far from its beginning', Buffer.concat([FAR, Uint8Array.of(0xff)])],
    ['a letter that ends with the bytes', FAR.subarray(0, -1)],
    ['a slice outside of a chunk', encoded(`["f","a",420,3,"${D}",[0,1048574,3]]`)],
    ['an empty slice', encoded(`["f","a",420,0,"${D}",[0,0,0]]`)],
    ['slices that are too short', encoded(`["f","a",420,4,"${D}",[0,0,3]]`)],
    ['a size that is no number', encoded(`["f","a",420,1e999,"${D}"]`, '')],
    ['2^50 bytes in one slice', encoded(`["f","a",420,${2 ** 50},"${D}",[0,0,1048576]]`)],
    ['a slice of 2^50 bytes', encoded(`["f","a",420,${2 ** 50},"${D}",[0,0,${2 ** 50}]]`)],
    [
      'an index, which may not name other indexes',
      encodeManifestIndex({ totalBytes: 1, chunks: [D] }),
    ],
    ['an entry that does not end', encoded('["d","a",493', '')],
    ['a comma behind the last entry', encoded('["d","a",493],', '')],
    ['two million entries and more', bytes(entriesOf(2 ** 21 + 1))],
    ['an offset that is negative', encoded(`["f","a",420,3,"${D}",[0,-1,3]]`)],
  ])('%s', ([, content]) => {
    expect(() => entriesIn(content)).toThrow(expect.objectContaining({ code: 'MANIFEST_INVALID' }));
  });
});

describe('the index of a large manifest', () => {
  const index = { totalBytes: CHUNK_BYTES + 1, chunks: [D, E] };

  test('is decoded as it was encoded', () => {
    expect(decodeManifestIndex(encodeManifestIndex(index))).toEqual(index);
  });

  test('that nobody could read is not made', () => {
    const tooLong = { totalBytes: 2 ** 28 + 1, chunks: Array.from({ length: 257 }, () => D) };
    expect(() => encodeManifestIndex(tooLong)).toThrow('tree has too many files');
  });

  test('is known to be too long from the names alone', () => {
    const long = { kind: 'file', path: 'x'.repeat(180), sizeBytes: 1 } as const;
    const million = Array.from({ length: 1_000_000 }, () => long);
    expect(() => checkListSize(million)).not.toThrow();
    expect(() => checkListSize([...million, ...million])).toThrow(
      expect.objectContaining({
        code: 'TREE_TOO_LARGE',
        message: expect.stringMatching(/too many files.* 256 MiB is the most/),
      }),
    );
  });

  test('is known to be too long from the numbers of files and of bytes alone', () => {
    const folders = Array.from({ length: 2 ** 21 + 1 }, () => ({
      kind: 'directory' as const,
      path: 'x',
    }));
    expect(() => checkListSize(folders)).toThrow(
      /too many files: 2097152 files, folders and links/,
    );
    const file = { kind: 'file', path: 'x', sizeBytes: 2 ** 41 } as const;
    expect(() => checkListSize([file, file])).not.toThrow();
    expect(() => checkListSize([file, file, { ...file, sizeBytes: 1 }])).toThrow(
      'tree has too many bytes: 4 TiB is the most',
    );
  });

  test('is told from a manifest', () => {
    expect(decodeManifestIndex(encoded(FILE))).toBeUndefined();
  });

  test.for<[string, string]>([
    ['fewer chunks than bytes', `{"index":1,"bytes":1048577,"chunks":["${D}"]}`],
    ['more chunks than bytes', `{"index":1,"bytes":1,"chunks":["${D}","${D}"]}`],
    ['no chunks', '{"index":1,"bytes":0,"chunks":[]}'],
    ['more bytes than anybody can hold', `{"index":1,"bytes":999999999,"chunks":["${D}"]}`],
    ['a digest that is none', '{"index":1,"bytes":1,"chunks":["zz"]}'],
  ])('with %s is refused', ([, content]) => {
    expect(() => decodeManifestIndex(bytes(content))).toThrow(
      expect.objectContaining({ code: 'MANIFEST_INVALID' }),
    );
  });
});
