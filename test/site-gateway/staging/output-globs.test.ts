import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findOutputs } from '../../../site-gateway/staging/output-globs.ts';

let work: string;
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'hanse-globs-'));
  for (const path of [
    'in/a.csv',
    'in/new.csv',
    'out/x.csv',
    'out/deep/y.txt',
    'out/.hidden',
    '.grid/stdout',
    'odd[1].txt',
  ]) {
    mkdirSync(dirname(join(work, path)), { recursive: true });
    writeFileSync(join(work, path), path);
  }
  mkdirSync(join(work, 'empty'));
  symlinkSync('out/x.csv', join(work, 'latest.csv'));
  symlinkSync('/etc', join(work, 'etc'));
});
afterAll(() => rmSync(work, { recursive: true }));

test.for<[string, string[]]>([
  ['out', ['out/deep/y.txt', 'out/x.csv']],
  ['out/', ['out/deep/y.txt', 'out/x.csv']],
  ['./out/*.csv', ['out/x.csv']],
  ['**/*.csv', ['in/new.csv', 'latest.csv', 'out/x.csv']],
  ['in/a.csv', ['in/a.csv']],
  ['out/.hidden', ['out/.hidden']],
  ['out/.*', ['out/.hidden']],
  ['etc', ['etc']],
  ['odd\\[1\\].txt', ['odd[1].txt']],
])('%s finds %o', async ([glob, expected]) => {
  const found = await findOutputs(work, [glob], new Set(['in/a.csv']));
  expect(found.files.toSorted()).toEqual(expected);
  expect(found.missing).toEqual([]);
});

test('a pattern that would take a regular expression years takes no time', async () => {
  const names = ['(a+)+b', '*a'.repeat(30) + 'b', '{a,aa}'.repeat(40) + 'b', '{'.repeat(500)];
  const dir = join(work, 'slow');
  mkdirSync(dir);
  writeFileSync(join(dir, 'a'.repeat(60)), '');
  const { missing } = await findOutputs(dir, names, new Set());
  expect(missing).toEqual(names);
  rmSync(dir, { recursive: true });
});

/** Paths of what this process has open. */
const openFiles = (): readonly string[] =>
  readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      // That of the listing itself.
      return [];
    }
  });

test('folders that become links while they are looked for lead nowhere', async () => {
  const dir = join(work, 'moving');
  const folders = Array.from({ length: 300 }, (_, at) => join(dir, `a${at}`));
  for (const folder of folders) mkdirSync(folder, { recursive: true });
  const finding = findOutputs(dir, ['a*'], new Set());
  // The names are known once the first of the folders is looked into.
  while (!openFiles().some((file) => file.startsWith(`${dir}/a`))) await stat(dir);
  for (const folder of folders) {
    rmdirSync(folder);
    symlinkSync('/etc', folder);
  }
  // Nor are they found themselves, as they would be if they had been links from the beginning.
  expect((await finding).files).toEqual([]);
  rmSync(dir, { recursive: true });
});

test.for(['nothing-here', '*.grid', 'empty', '.grid/*', 'etc/passwd'])(
  '%s finds nothing and is named',
  async (glob) => {
    expect(await findOutputs(work, [glob, 'out'], new Set())).toMatchObject({ missing: [glob] });
  },
);
