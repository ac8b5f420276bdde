import { type ExecFileSyncOptionsWithStringEncoding, execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { fetchResults } from '../../cli/jobs/fetch-results.ts';
import type { TreeRef } from '../../core/data/manifest.ts';
import { encodeManifest } from '../../core/data/manifest-codec.ts';
import { sha256 } from '../../service/staging/chunk-store.ts';
import { fetchTree } from '../../service/staging/fetch-tree.ts';
import { checkWritten } from '../../service/staging/folded-names.ts';
import { type TreeFixture, treeFixture } from '../fakes/tree-fixture.ts';
import { needs } from '../setup/needs.ts';

/** A file system that takes `Data` and `data` for one needs the right to mount, and FUSE. */
const mayMount =
  process.getuid?.() === 0 && existsSync('/dev/fuse') && existsSync('/dev/loop-control');

let at: TreeFixture;
beforeEach(async () => {
  at = await treeFixture();
  return () => at[Symbol.asyncDispose]();
});

/** A tree of these files, made without a file system. */
const treeOf = async (files: Readonly<Record<string, string>>): Promise<TreeRef> => {
  const entries = Object.entries(files).map(([path, text]) => {
    const bytes = Buffer.from(text);
    const digest = sha256(bytes);
    const slices = [{ digest, offset: 0, length: bytes.length }];
    const sizeBytes = bytes.length;
    return {
      entry: { kind: 'file', path, mode: 0o644, sizeBytes, digest, slices },
      bytes,
    } as const;
  });
  for (const { entry, bytes } of entries) await at.store.put(entry.digest, bytes);
  const manifest = encodeManifest({ entries: entries.map(({ entry }) => entry) });
  const totalBytes = entries.reduce((sum, { bytes }) => sum + bytes.length, 0);
  return { digest: sha256(manifest), totalBytes, files: entries.length, manifest };
};
const get = (trees: readonly TreeRef[], dirs: readonly string[], force = false) =>
  fetchResults({
    store: at.store,
    results: trees.map((tree, index) => ({ tree, dir: dirs[index] ?? '' })),
    force,
    signal: new AbortController().signal,
    show: () => Promise.resolve({ update: () => undefined, stop: () => undefined }),
  });

test('where names are told apart they are, and nothing is left of the trial', async () => {
  const tree = await treeOf({ 'Data.csv': 'upper', 'data.csv': 'lower' });
  await get([tree], [at.target]);
  expect(readdirSync(at.target).toSorted()).toEqual(['Data.csv', 'data.csv']);
  expect(readdirSync(at.dir).toSorted()).toEqual(['root', 'target']);
});

test('a folder that takes names in another way than the one above it is found out afterwards', async () => {
  const tree = await treeOf({ 'sub/Data.csv': 'upper', 'sub/data.csv': 'lower' });
  await get([tree], [at.target]);
  rmSync(join(at.target, 'sub/data.csv'));
  const twins = [{ first: 'sub/Data.csv', second: 'sub/data.csv' }];
  await expect(checkWritten(twins, at.target)).rejects.toMatchObject({ code: 'NAMES_COLLIDE' });
});

describe.skipIf(!mayMount)('on exFAT', () => {
  let dir: string;
  let unmount: () => void;
  let fixture: TreeFixture;
  beforeAll(async () => {
    needs('mount.exfat-fuse', 'exfat-fuse');
    needs('mkfs.exfat', 'exfatprogs');
    fixture = await treeFixture();
    const image = join(fixture.dir, 'image');
    dir = join(fixture.dir, 'mounted');
    mkdirSync(dir);
    writeFileSync(image, '');
    truncateSync(image, 8 * 2 ** 20);
    const silent: ExecFileSyncOptionsWithStringEncoding = { stdio: 'pipe', encoding: 'utf8' };
    execFileSync('mkfs.exfat', [image], silent);
    const device = execFileSync('losetup', ['-f', '--show', image], silent).trim();
    unmount = () => execFileSync('losetup', ['-d', device], silent);
    execFileSync('mount.exfat-fuse', [device, dir], { ...silent, timeout: 20_000 });
    unmount = () => {
      execFileSync('umount', [dir], silent);
      execFileSync('losetup', ['-d', device], silent);
    };
  }, 120_000);
  afterAll(async () => {
    unmount();
    await fixture[Symbol.asyncDispose]();
  });

  test('names that differ by case are refused before anything is written, each by name', async () => {
    const to = join(dir, 'get/deep');
    const files = { 'Data.csv': 'upper', 'data.csv': 'lower', 'sub/é': 'x', 'sub/É': 'y', z: 'z' };
    const failure: unknown = await get([await treeOf(files)], [to]).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({
      code: 'NAMES_COLLIDE',
      message: `'${to}/Data.csv' and 'data.csv', and 1 more pairs, are one name to the file system there`,
      problems: [
        { where: `${to}/data.csv`, message: "would be the same file as 'Data.csv'" },
        { where: `${to}/sub/é`, message: "would be the same file as 'É'" },
      ],
    });
    expect(readdirSync(dir)).toEqual([]);
  });

  test('also those of the tasks of an array, and with --force', async () => {
    const trees = [await treeOf({ a: '1' }), await treeOf({ a: '2' })];
    const dirs = [join(dir, 'Red'), join(dir, 'red')];
    await expect(get(trees, dirs, true)).rejects.toMatchObject({ code: 'NAMES_COLLIDE' });
    expect(readdirSync(dir)).toEqual([]);
  });

  test('what only looks alike to other file systems comes as it is', async () => {
    const to = join(dir, 'street');
    await get([await treeOf({ straße: 'one', strasse: 'two' })], [to]);
    expect(readFileSync(join(to, 'straße'), 'utf8')).toBe('one');
    expect(readFileSync(join(to, 'strasse'), 'utf8')).toBe('two');
  });

  test('a copy of a gateway is refused before a file of it is written, where others may write too', async () => {
    const tree = await treeOf({ 'Data.csv': 'upper', 'data.csv': 'lower', 'sub/z': 'z' });
    const to = join(dir, 'copy');
    const shared = { within: dir, transfer: 'one' };
    for (const how of [{}, { shared }]) {
      await expect(fetchTree(at.store, tree, to, how)).rejects.toMatchObject({
        code: 'NAMES_COLLIDE',
        message: "'Data.csv' and 'data.csv' are one name to the file system there",
      });
      expect(existsSync(to)).toBe(false);
    }
    const same = await treeOf({ A: 'same', a: 'same' });
    await fetchTree(at.store, same, join(dir, 'same'));
    expect(readFileSync(join(dir, 'same/a'), 'utf8')).toBe('same');
  });
});
