import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBook } from '../fakes/open-book.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'hanse-small-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', dir]);
});
afterAll(() => {
  execFileSync('umount', [dir]);
  rmdirSync(dir);
});

test('on a full disk nothing more is accepted, what was acknowledged stays, and with room it goes on', async () => {
  const file = join(dir, 'ledger.db');
  const acknowledged: string[] = [];
  {
    await using book = await openBook(file);
    await book.add({ first: {} });
    execFileSync('sh', ['-c', `head -c 7000K /dev/zero >${join(dir, 'somebody-elses')} || true`]);
    const addUntilRefused = async (): Promise<void> => {
      for (let n = 0; ; n += 1) {
        await book.add({ [`job${n}`]: {} });
        acknowledged.push(`job${n}`);
      }
    };
    await expect(addUntilRefused()).rejects.toMatchObject({
      code: 'DISK_FULL',
      message: 'the ledger cannot be written: its disk is full',
    });
    await expect(book.add({ later: {} })).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(book.failures).toHaveLength(1);
  }
  rmSync(join(dir, 'somebody-elses'));
  await using again = await openBook(file);
  expect([...again.table.jobs.keys()]).toEqual(['first', ...acknowledged].toSorted());
  await again.add({ last: {} });
});
