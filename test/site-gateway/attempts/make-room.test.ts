import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../../service/clock.ts';
import { openLog } from '../../../service/log.ts';
import { openMakeRoom } from '../../../site-gateway/attempts/make-room.ts';
import { openDisk } from '../../../site-gateway/staging/disk.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
let spool: string;
beforeEach(() => {
  spool = mkdtempSync(join(tmpdir(), 'hanse-room-'));
  mkdirSync(join(spool, 'attempts'));
});
afterEach(() => rmSync(spool, { recursive: true }));

/** A disk on which `keptBytes` beside what is free now have to stay free, and what its cache was asked for. */
async function diskWith(keptBytes: number) {
  const { bavail, bsize } = statfsSync(spool);
  const freed: number[] = [];
  const disk = await openDisk({
    spool,
    minFreeBytes: bavail * bsize + keptBytes,
    mostBytes: undefined,
    cache: {
      free: (bytes) => Promise.resolve(void freed.push(bytes)),
      clearable: () => Promise.resolve(0),
    },
    log: openLog('test', 'silent'),
    onChange: () => undefined,
  });
  freed.length = 0;
  return { disk, freed };
}

const holder = (name: string, promisedBytes: number, vacated = false) => {
  const directory = join(spool, 'attempts', name);
  mkdirSync(directory, { recursive: true });
  return { directory, promisedBytes, vacated };
};

test('tasks that start together do not count on the same part of the cache', async () => {
  const { disk, freed } = await diskWith(0);
  using _ = disk;
  const [one, other] = [holder('one', 100 * GIB), holder('other', 200 * GIB)];
  const makeRoom = openMakeRoom({ disk, clock: systemClock });
  await makeRoom(one, [one]);
  await makeRoom(other, [one, other, holder('ended', 400 * GIB, true)]);
  expect(freed.map((bytes) => Math.round(bytes / (100 * GIB)))).toEqual([1, 3]);
});

test('what a task has filled is not made room for once more', async () => {
  const { disk, freed } = await diskWith(100 * GIB);
  using _ = disk;
  const [old, young] = [holder('old', 64 * MIB), holder('young', GIB)];
  const wanted: number[] = [];
  const watched = {
    isShort: (bytes: number) => disk.isShort(bytes),
    makeRoom: (bytes: number) => {
      wanted.push(bytes);
      return disk.makeRoom(bytes);
    },
  };
  writeFileSync(join(old.directory, 'filled'), randomBytes(48 * MIB));
  const makeRoom = openMakeRoom({ disk: watched, clock: systemClock });
  await makeRoom(young, [old, young]);
  await makeRoom(holder('modest', 0), [old, young]);
  expect(wanted.map((bytes) => Math.round(bytes / MIB))).toEqual([1_024 + 16]);
  expect(freed).toHaveLength(1);
});

test('where there is room for all, nothing is cleared', async () => {
  const { disk, freed } = await diskWith(-GIB);
  using _ = disk;
  const one = holder('one', MIB);
  await openMakeRoom({ disk, clock: systemClock })(one, [one]);
  expect(freed).toEqual([]);
});

test('hundreds of tasks that start together look at each directory once, a few at a time', async () => {
  let nowMs = 0;
  let [looks, underway, most] = [0, 0, 0];
  const wanted: number[] = [];
  const makeRoom = openMakeRoom({
    disk: {
      isShort: () => Promise.resolve(true),
      makeRoom: (bytes) => Promise.resolve(void wanted.push(bytes)),
    },
    clock: { monotonicMs: () => nowMs },
    filledIn: async () => {
      looks += 1;
      underway += 1;
      most = Math.max(most, underway);
      await new Promise(setImmediate);
      underway -= 1;
      return GIB;
    },
  });
  const all = Array.from({ length: 200 }, (_, at) => ({
    directory: String(at),
    promisedBytes: 3 * GIB,
    vacated: false,
  }));
  await Promise.all(all.map((one) => makeRoom(one, all)));
  expect([looks, most]).toEqual([200, 4]);
  expect(new Set(wanted)).toEqual(new Set([400 * GIB]));
  nowMs = 60_000;
  await Promise.all(all.slice(0, 2).map((one) => makeRoom(one, all)));
  expect(looks).toBe(400);
});
