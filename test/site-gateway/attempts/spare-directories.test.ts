import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { appendFile, chmod, link, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { pause } from '../../../service/background.ts';
import { openLog } from '../../../service/log.ts';
import {
  openSpareDirectories,
  type SpareDirectories,
} from '../../../site-gateway/attempts/spare-directories.ts';

let spool = '';
let spares: SpareDirectories;
beforeEach(async () => {
  spool = mkdtempSync(join(tmpdir(), 'hanse-spare-'));
  spares = await openSpareDirectories(spool, openLog('test', 'error'));
});
afterEach(() => rmSync(spool, { recursive: true }));

const HOSTS = 'localhost\n';
const how = { hosts: HOSTS, again: false };
const directoryOf = (id: string): string => join(spool, 'attempts', id);
const readyOnes = (): readonly string[] => readdirSync(join(spool, 'spare'));

/** What the wrapper leaves there when the task has ended. */
async function run(id: string, task: (work: string) => Promise<void>): Promise<void> {
  await appendFile(join(directoryOf(id), 'started'), `of ${id}`);
  await task(join(directoryOf(id), 'work'));
  await appendFile(join(directoryOf(id), 'status'), `of ${id}`);
}

const silent = (): Promise<void> => Promise.resolve();

/** One that was made ahead, old enough to be used. */
async function oneReady(): Promise<void> {
  await spares.makeAhead(HOSTS, 1);
  await pause(50);
}

async function again(task: (work: string) => Promise<void>, isSilent = true): Promise<boolean> {
  await oneReady();
  await spares.make(directoryOf('second'), how);
  expect(readyOnes()).toHaveLength(0);
  await run('second', task);
  spares.ended(directoryOf('second'), isSilent);
  return !existsSync(directoryOf('second'));
}

test('a directory in which nothing has happened is used again, with no file of the task in it', async () => {
  expect(await again(silent)).toBe(true);
  await spares.make(directoryOf('third'), how);
  expect(readyOnes()).toHaveLength(0);
  const names = readdirSync(directoryOf('third'), { recursive: true }).map(String);
  const written = ['started', 'status', 'stderr', 'stdout'];
  expect(names.toSorted()).toEqual([...written, 'tmp', 'tmp/grid-hosts', 'work']);
  for (const name of written)
    expect(readFileSync(join(directoryOf('third'), name), 'utf8')).toBe('');
  expect(readFileSync(join(directoryOf('third'), 'tmp', 'grid-hosts'), 'utf8')).toBe(HOSTS);
});

test.each<[string, (work: string) => Promise<void>]>([
  ['a file stays', (work) => writeFile(join(work, 'left'), '')],
  [
    'a file came and went',
    async (work) => {
      await writeFile(join(work, 'left'), '');
      await rm(join(work, 'left'));
    },
  ],
  ['something is in tmp/', (work) => mkdir(join(work, '..', 'tmp', 'left'))],
  [
    'the hostfile is another',
    (work) => appendFile(join(work, '..', 'tmp', 'grid-hosts'), 'else\n'),
  ],
  ['it said something', (work) => appendFile(join(work, '..', 'stdout'), 'word')],
  [
    'it said something and took it back',
    async (work) => {
      await appendFile(join(work, '..', 'stderr'), 'word');
      await writeFile(join(work, '..', 'stderr'), '');
    },
  ],
  ['stdout has a second name', (work) => link(join(work, '..', 'stdout'), join(spool, 'other'))],
  ['the mode of work/ is another, even the same one set anew', (work) => chmod(work, 0o755)],
  [
    '`started` has a second name',
    (work) => link(join(work, '..', 'started'), join(spool, 'other')),
  ],
  ['there is a file beside', (work) => writeFile(join(work, '..', 'limit'), '')],
  [
    'work/ is another folder',
    async (work) => {
      await rm(work, { recursive: true });
      await mkdir(work);
    },
  ],
])('not when %s; then a new one is made ahead', async (_what, task) => {
  expect(await again(task)).toBe(false);
  await vi.waitFor(() => expect(readyOnes()).toHaveLength(1), 30_000);
});

test('not when somebody may have its files open, or its task was not the first that could be told apart', async () => {
  expect(await again(silent, false)).toBe(false);
  await spares.make(directoryOf('third'), { hosts: 'other\n', again: false });
  await run('third', silent);
  spares.ended(directoryOf('third'), true);
  expect(existsSync(directoryOf('third'))).toBe(true);
});

test('as many as are wanted are made before the first task comes', async () => {
  await spares.makeAhead(HOSTS, 3);
  expect(readyOnes()).toHaveLength(3);
  await pause(50);
  await spares.make(directoryOf('first'), how);
  expect(readyOnes()).toHaveLength(2);
  await run('first', silent);
  spares.ended(directoryOf('first'), true);
  expect(readyOnes()).toHaveLength(3);
});

test('only for a task with the same hostfile, and never for an attempt of an earlier run', async () => {
  await oneReady();
  await spares.make(directoryOf('two cpus'), { hosts: HOSTS + HOSTS, again: false });
  mkdirSync(join(directoryOf('earlier'), 'work', 'left'), { recursive: true });
  await spares.make(directoryOf('earlier'), { hosts: HOSTS, again: true });
  expect(readdirSync(join(directoryOf('earlier'), 'work'))).toEqual([]);
  expect(readyOnes()).toHaveLength(1);
});

test('where the batch system makes the hostfile there is none, and what an earlier gateway kept ready goes', async () => {
  await oneReady();
  await spares.make(directoryOf('batch'), { hosts: undefined, again: false });
  expect(readdirSync(directoryOf('batch')).toSorted()).toEqual(['tmp', 'work']);
  expect(readyOnes()).toHaveLength(1);
  await openSpareDirectories(spool, openLog('test', 'error'));
  expect(readyOnes()).toHaveLength(0);
});
