import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { copySparse } from '../../../service/staging/copy-sparse.ts';
import { testDirs } from '../../support/test-dirs.ts';

const MIB = 2 ** 20;
const makeDir = testDirs('copy');
let dir: string;
/** Where no file can be shared with `dir`, whatever its file system can do. */
let memory: string;
beforeEach(() => {
  dir = makeDir();
  memory = mkdtempSync('/dev/shm/hanse-copy-');
});
afterEach(() => rmSync(memory, { recursive: true }));

const BYTES = randomBytes(12 * MIB + 5);

/** Copies of one large file, all begun at the same time. */
async function copiesOf(signal?: AbortSignal) {
  const source = join(memory, 'large');
  await writeFile(source, BYTES);
  const targets = Array.from({ length: 10 }, (_, n) => join(dir, `copy-${n}`));
  return { targets, copies: targets.map((target) => copySparse(source, target, signal)) };
}

test('large copies stop when they are told to, and leave nothing', async () => {
  const stop = new AbortController();
  const { targets, copies } = await copiesOf(stop.signal);
  const ends = Promise.allSettled(copies);
  const [first = ''] = targets;
  const hasBegun = () =>
    stat(first)
      .then(({ size }) => size > 0)
      .catch(() => false);
  while (!(await hasBegun()));
  stop.abort();
  expect(new Set((await ends).map(({ status }) => status))).toEqual(new Set(['rejected']));
  await expect(Promise.all(copies)).rejects.toThrow('aborted');
  expect(await readdir(dir)).toEqual([]);
});

test('large copies leave threads for other files, and are what they are copied from', async () => {
  const small = join(memory, 'small');
  await writeFile(small, 'small');
  const { targets, copies } = await copiesOf();
  let isOneOver = false;
  void Promise.race(copies).finally(() => {
    isOneOver = true;
  });
  let looks = 0;
  for (; !isOneOver; looks += 1) await stat(small);
  await Promise.all(copies);
  // Copies that hold their threads to the end let hardly one through before.
  expect(looks).toBeGreaterThan(20);
  for (const target of targets) expect(BYTES.equals(await readFile(target))).toBe(true);
});
