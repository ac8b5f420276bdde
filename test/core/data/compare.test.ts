import { expect, test } from 'vitest';
import { chunkBytes, compareTrees } from '../../../core/data/compare.ts';
import type { ManifestEntry } from '../../../core/data/manifest.ts';

const file = (path: string, digest: string, mode = 0o644): ManifestEntry => ({
  kind: 'file',
  path,
  mode,
  sizeBytes: 10,
  digest,
  slices: [{ digest: `chunk-${digest}`, offset: 0, length: 10 }],
});

test('each path that differs is told once, with how', () => {
  const older = [file('a', '1'), file('b', '2'), file('c', '3'), file('d', '4')];
  const newer: readonly ManifestEntry[] = [
    file('a', '1'),
    file('b', '9'),
    file('c', '3', 0o755),
    { kind: 'link', path: 'd', target: 'a' },
    file('e', '5'),
  ];
  expect(compareTrees({ entries: older }, { entries: newer })).toEqual([
    { path: 'b', kind: 'changed', bytes: 10 },
    { path: 'c', kind: 'mode', bytes: 10 },
    { path: 'd', kind: 'changed', bytes: 0 },
    { path: 'e', kind: 'added', bytes: 10 },
  ]);
  expect(compareTrees({ entries: newer }, { entries: older })).toContainEqual({
    path: 'e',
    kind: 'removed',
    bytes: 10,
  });
});

test('a link that points elsewhere has changed', () => {
  const link = (target: string): ManifestEntry => ({ kind: 'link', path: 'l', target });
  const trees = [{ entries: [link('a')] }, { entries: [link('b')] }] as const;
  expect(compareTrees(...trees)).toEqual([{ path: 'l', kind: 'changed', bytes: 0 }]);
});

test('the list before the files of a pack counts for nobody', () => {
  const packed = (path: string, offset: number, length: number): ManifestEntry => ({
    ...{ kind: 'file', path, mode: 0o644, sizeBytes: length, digest: path },
    slices: [{ digest: 'pack', offset, length }],
  });
  const files = [packed('a', 84, 10), packed('b', 94, 6)];
  expect([...chunkBytes({ entries: files })]).toEqual([['pack', 16]]);
});

test('chunks are counted once, with as much of them as is used', () => {
  const packed: ManifestEntry = {
    kind: 'file',
    path: 'p',
    mode: 0o644,
    sizeBytes: 5,
    digest: 'x',
    slices: [{ digest: 'chunk-1', offset: 10, length: 5 }],
  };
  expect([...chunkBytes({ entries: [file('a', '1'), packed, file('b', '1')] })]).toEqual([
    ['chunk-1', 15],
  ]);
});
