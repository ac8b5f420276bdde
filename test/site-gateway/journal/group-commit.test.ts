import { DatabaseSync } from 'node:sqlite';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openLog } from '../../../service/log.ts';
import { type GroupCommit, openGroupCommit } from '../../../site-gateway/journal/group-commit.ts';

let database: DatabaseSync;
let commits: GroupCommit;
let troubles: string[];
beforeEach(() => {
  database = new DatabaseSync(':memory:');
  // A disk of ten pages.
  database.exec('PRAGMA max_page_count = 10; CREATE TABLE notes (text TEXT)');
  troubles = [];
  commits = openGroupCommit({
    database,
    log: openLog('test', 'silent'),
    onCommit: () => undefined,
    onTrouble: (error) => troubles.push(error?.message ?? 'well'),
  });
});
afterEach(() => {
  if (database.isOpen) database.close();
});

const note = (bytes: number) => (): void => {
  database.prepare('INSERT INTO notes VALUES (?)').run('x'.repeat(bytes));
};
const FULL = 'database or disk is full';
/** More than a page, and more than a disk. */
const [SMALL, LARGE] = [5_000, 100_000];

test('what the disk does not take is an error, or is kept until there is room', async () => {
  await commits.write(note(SMALL));
  await expect(commits.write(note(LARGE))).rejects.toThrow(FULL);
  const insisted = commits.insist(note(LARGE));
  await expect.poll(() => troubles).toEqual([FULL, FULL]);
  database.exec('PRAGMA max_page_count = 1000');
  await insisted;
  expect(troubles.at(-1)).toBe('well');
});

test('what the disk does not take is given up in silence when it is closed, and nothing more is taken', async () => {
  const ends: unknown[] = [];
  void commits.insist(note(LARGE)).then(
    () => ends.push('written'),
    (error: unknown) => ends.push(error),
  );
  await expect.poll(() => troubles).toEqual([FULL]);
  commits.close();
  database.close();
  // It would be tried again after a second.
  await wait(1_200);
  expect(ends).toEqual([]);
  await expect(commits.write(note(SMALL))).rejects.toMatchObject({ code: 'INTERRUPTED' });
});

test('what waits is committed when it is closed', async () => {
  await commits.write(note(SMALL));
  const waiting = commits.write(note(SMALL));
  commits.close();
  await waiting;
  expect(database.prepare('SELECT count(*) AS notes FROM notes').get()).toEqual({ notes: 2 });
});
