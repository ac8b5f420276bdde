import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readPlain, readPlainFiles } from '../../site-gateway/read-plain.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'hanse-plain-'));
});
afterAll(() => rmSync(dir, { recursive: true }));
const make = (line: string): void => {
  execFileSync('sh', ['-ec', line], { cwd: dir });
};
const read = (name: string, uids?: readonly number[]): Promise<string | undefined> =>
  readPlain(join(dir, name), { most: 8, uids });

test('the end of a plain file is read', async () => {
  make('printf short >short; printf "long, and longer" >long; : >empty');
  expect(await read('short')).toBe('short');
  expect(await read('long')).toBe('d longer');
  expect(await read('empty')).toBe('');
});

test.for([
  ['nothing', 'true'],
  ['a link', 'printf secret >secret; ln -s secret thing'],
  ['a pipe that nobody writes to', 'mkfifo thing'],
  ['a folder', 'mkdir thing'],
  ['a device', 'ln -s /dev/zero thing'],
  ['a loop', 'ln -s thing thing'],
])('%s is no plain file, and nobody waits for it', async ([, line = '']) => {
  make(`rm -rf thing; ${line}`);
  expect(await read('thing')).toBeUndefined();
});

test('a file without end costs no more than its end', async () => {
  make('rm -rf thing; truncate -s 1T thing; printf end >>thing');
  expect((await read('thing'))?.length).toBe(8);
});

test('a file of another account is not believed', async () => {
  make('rm -rf thing; printf words >thing');
  const uid = process.getuid?.() ?? 0;
  expect(await read('thing', [uid])).toBe('words');
  expect(await read('thing', [uid + 1])).toBeUndefined();
});

test('of the files in a folder those that are plain are read, so many at most', async () => {
  make(
    'rm -rf folder; mkdir folder; cd folder; printf a >a; printf b >b; mkfifo c; ln -s /etc/passwd d',
  );
  const options = { most: 8, names: 10 };
  const texts = await readPlainFiles(join(dir, 'folder'), options);
  expect(Object.fromEntries(texts)).toEqual({ a: 'a', b: 'b', c: '', d: '' });
  expect((await readPlainFiles(join(dir, 'folder'), { ...options, names: 3 })).size).toBe(3);
});

test.for([
  ['nothing', 'true'],
  ['a link to one', 'mkdir other; printf x >other/x; ln -s other thing'],
  ['a pipe', 'mkfifo thing'],
  ['a file', ': >thing'],
])('%s is no folder', async ([, line = '']) => {
  make(`rm -rf thing; ${line}`);
  expect((await readPlainFiles(join(dir, 'thing'), { most: 8, names: 10 })).size).toBe(0);
});
