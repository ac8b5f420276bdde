import { mkdir, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fetchResults, placesOf } from '../../../cli/jobs/fetch-results.ts';
import { taskOrdinal } from '../../../cli/jobs/task-ordinal.ts';
import type { ArraySpec } from '../../../core/job/spec.ts';
import { loadManifest } from '../../../service/staging/read-tree.ts';
import { sendTree, type TransferProgress } from '../../../service/staging/send-tree.ts';
import { memoryStore } from '../../fakes/memory-store.ts';
import { testDirs } from '../../support/test-dirs.ts';

const directory = testDirs('results');
const MIB = 2 ** 20;

/** The results of a task in a store, and a directory for them. */
async function resultsOf(
  files: Readonly<Record<string, string>>,
  links: Readonly<Record<string, string>> = {},
) {
  const root = directory();
  for (const [path, target] of Object.entries(links)) await symlink(target, join(root, path));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(root, path, '..'), { recursive: true });
    await writeFile(join(root, path), text);
  }
  const store = memoryStore();
  const { tree } = await sendTree(store, { root, paths: ['.'] });
  const dir = join(directory(), 'out');
  const shown: string[] = [];
  const enough = new AbortController();
  let atMost = Infinity;
  const interrupt = (updates: number): void => {
    atMost = updates;
  };
  const show = (what: string) =>
    Promise.resolve({
      update: ({ doneBytes, totalBytes }: TransferProgress) =>
        shown.push(`${what} ${doneBytes} of ${totalBytes}`) === atMost &&
        enough.abort(new Error('enough')),
      stop: () => void shown.push(`${what} ended`),
    });
  const fetch = (force: boolean) =>
    fetchResults({
      store,
      results: [{ tree, dir }],
      force,
      signal: enough.signal,
      show,
    });
  return { dir, fetch, shown, interrupt, manifest: await loadManifest(store, tree) };
}

const MADE = {
  '.grid/stdout': 'out',
  '.grid/stderr': '',
  'plots/a.svg': '<svg/>',
  'fit.json': '{}',
};

describe('fetching results', () => {
  test('puts them in their places, with both streams beside them', async () => {
    const { dir, fetch } = await resultsOf(MADE);
    expect(await fetch(false)).toEqual({ files: 4, totalBytes: 11, hereBytes: 0 });
    expect((await readdir(dir, { recursive: true })).toSorted()).toEqual(
      ['fit.json', 'plots', 'plots/a.svg', 'stderr', 'stdout'].toSorted(),
    );
    expect(await readFile(join(dir, 'stdout'), 'utf8')).toBe('out');
  });

  test('leaves a stream in .grid where the job made a file of its name', async () => {
    const { manifest } = await resultsOf({ ...MADE, stdout: 'mine' });
    expect(placesOf(manifest)).toContainEqual({ from: '.grid/stdout', to: '.grid/stdout' });
    expect(placesOf(manifest)).toContainEqual({ from: 'stdout', to: 'stdout' });
  });

  test('may be repeated', async () => {
    const { fetch } = await resultsOf(MADE);
    await fetch(false);
    expect(await fetch(false)).toEqual({ files: 4, totalBytes: 11, hereBytes: 11 });
  });

  test('tells how far it is while it compares, and reads nothing twice', async () => {
    const { fetch, shown } = await resultsOf({ 'a.bin': 'a'.repeat(2 * MIB) });
    await fetch(false);
    shown.length = 0;
    await fetch(false);
    expect(shown).toEqual([
      `comparing ${MIB} of ${2 * MIB}`,
      `comparing ${2 * MIB} of ${2 * MIB}`,
      'comparing ended',
      `fetching ${2 * MIB} of ${2 * MIB}`,
      'fetching ended',
    ]);
  });

  test('tells how far it is while it looks for what it needs not overwrite', async () => {
    const { dir, fetch, shown } = await resultsOf({ 'a.bin': 'a'.repeat(2 * MIB) });
    await fetch(false);
    await writeFile(join(dir, 'a.bin'), 'b'.repeat(2 * MIB));
    shown.length = 0;
    await fetch(true);
    expect(shown.slice(1, 5)).toEqual([
      `fetching 0 of ${2 * MIB}`,
      `fetching ${MIB} of ${2 * MIB}`,
      `fetching ${2 * MIB} of ${2 * MIB}`,
      `fetching 0 of ${2 * MIB}`,
    ]);
    expect(await readFile(join(dir, 'a.bin'), 'utf8')).toBe('a'.repeat(2 * MIB));
  });

  test('ends at once when it is interrupted while it compares', async () => {
    const { dir, fetch, interrupt, shown } = await resultsOf({ 'a.bin': 'a'.repeat(64 * MIB) });
    await fetch(false);
    shown.length = 0;
    interrupt(2);
    await expect(fetch(false)).rejects.toThrow('enough');
    expect(shown.length).toBeLessThan(32);
    expect(await readdir(dir)).toEqual(['a.bin']);
  });

  test('refuses to overwrite what differs, before anything is written, unless forced', async () => {
    const { dir, fetch } = await resultsOf(MADE);
    await mkdir(dir);
    await writeFile(join(dir, 'fit.json'), 'by hand');
    await expect(fetch(false)).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      problems: [{ where: join(dir, 'fit.json'), message: 'differs from what is fetched' }],
    });
    expect(await readdir(dir)).toEqual(['fit.json']);
    await fetch(true);
    expect(await readFile(join(dir, 'fit.json'), 'utf8')).toBe('{}');
  });

  test('puts a link in the place of nothing that differs, unless forced', async () => {
    const links = { latest: 'fit.json', plot: 'plots/a.svg', same: 'fit.json' };
    const { dir, fetch } = await resultsOf(MADE, links);
    await mkdir(dir);
    await writeFile(join(dir, 'latest'), 'by hand');
    await symlink('mine', join(dir, 'plot'));
    await symlink('fit.json', join(dir, 'same'));
    const message = 'differs from what is fetched';
    await expect(fetch(false)).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      problems: ['latest', 'plot'].map((name) => ({ where: join(dir, name), message })),
    });
    expect(await readFile(join(dir, 'latest'), 'utf8')).toBe('by hand');
    await fetch(true);
    expect(await readlink(join(dir, 'latest'))).toBe('fit.json');
    expect(await readlink(join(dir, 'plot'))).toBe('plots/a.svg');
  });
});

describe('a task by its value', () => {
  const range: ArraySpec = { kind: 'range', first: 10, last: 20, step: 5 };
  const list: ArraySpec = { kind: 'list', values: ['red', '7'] };

  test.for<[ArraySpec, string, number]>([
    [range, '10', 0],
    [range, '20', 2],
    [list, 'red', 0],
    [list, '7', 1],
  ])('%j has %s at %i', ([array, value, ordinal]) =>
    expect(taskOrdinal({ array }, value)).toBe(ordinal),
  );

  test.for<[ArraySpec | undefined, string | undefined, string]>([
    [range, '11', "the job has no task '11': from 10 to 20"],
    [range, '25', "the job has no task '25': from 10 to 20"],
    [range, 'x', "the job has no task 'x': from 10 to 20"],
    [range, undefined, 'the job is an array: name a task with --task, from 10 to 20'],
    [undefined, '3', "the job is no array: it has no task '3'"],
  ])('%j has no %s', ([array, value, message]) =>
    expect(() => taskOrdinal(array === undefined ? {} : { array }, value)).toThrow(message),
  );

  test('a job that is no array has one task', () => expect(taskOrdinal({}, undefined)).toBe(0));
});
