import { describe, expect, test } from 'vitest';
import type { Manifest, ManifestEntry } from '../../../core/data/manifest.ts';
import { chunksOf, filterTree, missingOf, selectTree } from '../../../core/data/select.ts';

const file = (path: string, ...chunks: string[]): ManifestEntry => ({
  kind: 'file',
  path,
  mode: 0o644,
  sizeBytes: chunks.length,
  digest: `of ${chunks.join()}`,
  slices: chunks.map((digest) => ({ digest, offset: 0, length: 1 })),
});
const TREE: Manifest = {
  entries: [
    { kind: 'directory', path: 'data', mode: 0o755 },
    file('data/a', 'one'),
    file('data/b', 'two', 'one'),
    { kind: 'link', path: 'data/up', target: '../run' },
    file('database', 'three'),
    file('run', 'four'),
  ],
};
const select = (from: string, to: string) => selectTree(TREE, [{ from, to }]);
const paths = (manifest: Manifest) => manifest.entries.map(({ path }) => path);

describe('selecting', () => {
  test('a file gives it a new name', () => {
    expect(paths(select('run', 'bin/go'))).toEqual(['bin/go']);
  });

  test('a folder takes what is below it, and nothing that only begins like it', () => {
    expect(paths(select('data', 'x/in'))).toEqual(['x/in', 'x/in/a', 'x/in/b', 'x/in/up']);
  });

  test("'.' is the whole tree, or the top of the new one", () => {
    expect(paths(select('.', '.'))).toEqual(paths(TREE));
    expect(paths(selectTree({ entries: [file('d/x', 'one')] }, [{ from: 'd', to: '.' }]))).toEqual([
      'x',
    ]);
  });

  test('the same file for one place twice is one file', () => {
    const twice = [
      { from: 'data/a', to: 'a' },
      { from: 'data/a', to: 'a' },
    ];
    expect(paths(selectTree(TREE, twice))).toEqual(['a']);
  });

  test('two files for one place are refused, by the place', () => {
    const both = [
      { from: 'data/a', to: 'x' },
      { from: 'run', to: 'x' },
    ];
    expect(() => selectTree(TREE, both)).toThrow("two inputs land on 'x'");
  });

  test.for(['run', 'data/up'])('a place below %s, which is no directory, is refused', (from) => {
    const both = [
      { from: 'data/a', to: 'x/s/y' },
      { from, to: 'x/s' },
    ];
    expect(() => selectTree(TREE, both)).toThrow(
      "'x/s/y' lands below an input that is no directory",
    );
  });

  test('what the tree has not is INPUT_MISSING', () => {
    expect(() => select('dat', 'x')).toThrow(expect.objectContaining({ code: 'INPUT_MISSING' }));
  });

  test('a place outside is PATH_REFUSED', () => {
    expect(() => select('run', '../x')).toThrow(expect.objectContaining({ code: 'PATH_REFUSED' }));
  });

  test('a link that would lead out of its new place is PATH_REFUSED', () => {
    expect(() => select('data', '.')).toThrow("link 'up' leads out of the tree");
  });
});

test('as many inputs as a tree has files are selected in a moment', () => {
  const entries = Array.from({ length: 30_000 }, (_, index) => file(`run/${index}`));
  const inputs = entries.map(({ path }) => ({ from: path, to: `here/${path}` }));
  expect(selectTree({ entries }, inputs).entries).toHaveLength(entries.length);
});

test('chunks are named once, in the order of their first use', () => {
  expect(chunksOf(TREE)).toEqual(['one', 'two', 'three', 'four']);
});

test('what is missing is what is wanted and not present, once', () => {
  expect(missingOf(['a', 'b', 'a', 'c'], new Set(['b']))).toEqual(['a', 'c']);
});

test('a filter keeps the entries that it is true of', () => {
  expect(paths(filterTree(TREE, (path) => path.endsWith('a')))).toEqual(['data', 'data/a']);
});
