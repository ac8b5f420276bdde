import { mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openLog } from '../../../service/log.ts';
import { type Disk, openDisk } from '../../../site-gateway/staging/disk.ts';

test('looks at the same time do not take one another for a disk that cannot be written', async () => {
  const spool = mkdtempSync(join(tmpdir(), 'hanse-disk-'));
  mkdirSync(join(spool, 'attempts'));
  const reasons: string[] = [];
  const opened: { disk?: Disk } = {};
  using disk = await openDisk({
    spool,
    minFreeBytes: 0,
    mostBytes: undefined,
    cache: { free: () => Promise.resolve(), clearable: () => Promise.resolve(0) },
    log: openLog('test', 'silent'),
    onChange: () => reasons.push(opened.disk?.closedReason() ?? ''),
  });
  opened.disk = disk;
  await Promise.all(Array.from({ length: 40 }, () => disk.probe()));
  expect(reasons.filter((reason) => reason !== '')).toEqual([]);
  expect(readdirSync(join(spool, 'attempts'))).toEqual([]);
  rmSync(spool, { recursive: true });
});

test('what the cache would give up counts as free, and room is made before it is filled', async () => {
  const spool = mkdtempSync(join(tmpdir(), 'hanse-disk-'));
  mkdirSync(join(spool, 'attempts'));
  const { blocks, bavail, bsize } = statfsSync(spool);
  // So much is to stay free that nothing is.
  const minFreeBytes = (bavail * bsize + blocks * bsize) / 2;
  const short = minFreeBytes - bavail * bsize;
  const freed: number[] = [];
  using disk = await openDisk({
    spool,
    minFreeBytes,
    mostBytes: undefined,
    cache: {
      free: (bytes) => Promise.resolve(void freed.push(bytes)),
      clearable: () => Promise.resolve(short + 2 ** 30),
    },
    log: openLog('test', 'silent'),
    onChange: () => undefined,
  });
  expect(Math.abs(disk.space().availableBytes - 2 ** 30)).toBeLessThan(2 ** 29);
  using claim = disk.claim();
  expect(await claim.want(2 ** 30)).toBe(0);
  expect(Math.abs((freed.at(-1) ?? 0) - short - 2 ** 30)).toBeLessThan(2 ** 29);
  rmSync(spool, { recursive: true });
});

describe('of what comes from elsewhere at the same time', () => {
  const GIB = 2 ** 30;
  /** In whole GiB: others write to this disk, too. */
  const inGib = (bytes: number): number => Math.round(bytes / GIB);

  /** A disk of which so many bytes are the grid's at this moment. */
  async function diskOf(freeBytes: number, mostBytes?: number) {
    const spool = mkdtempSync(join(tmpdir(), 'hanse-disk-'));
    mkdirSync(join(spool, 'attempts'));
    const { bavail, bsize } = statfsSync(spool);
    const freed: number[] = [];
    const disk = await openDisk({
      spool,
      minFreeBytes: bavail * bsize - freeBytes,
      mostBytes,
      cache: {
        free: (bytes) => Promise.resolve(void freed.push(inGib(bytes))),
        clearable: () => Promise.resolve(0),
      },
      log: openLog('test', 'silent'),
      onChange: () => undefined,
    });
    return {
      freed,
      disk,
      [Symbol.dispose]: () => {
        disk[Symbol.dispose]();
        rmSync(spool, { recursive: true });
      },
    };
  }

  test('the first has its room first, and tasks have what is left', async () => {
    using opened = await diskOf(12 * GIB);
    const { disk, freed } = opened;
    const [one, other] = [disk.claim(), disk.claim()];
    const rooms = await Promise.all([one.want(8 * GIB), other.want(8 * GIB)]);
    expect(rooms.map(inGib)).toEqual([12, 4]);
    expect(disk.space().availableBytes).toBe(0);
    expect(new Set(freed)).toEqual(new Set([4]));
    other[Symbol.dispose]();
    one.came(6 * GIB);
    expect(inGib(disk.space().availableBytes)).toBe(10);
    expect(await disk.isShort(0)).toBe(false);
    await one.want(20 * GIB);
    expect(await disk.isShort(0)).toBe(true);
    expect(freed.at(-1)).toBe(8);
    await disk.makeRoom(GIB);
    expect(freed.at(-1)).toBe(9);
    one[Symbol.dispose]();
    expect(await disk.isShort(0)).toBe(false);
  });

  test('the first is who was granted its room first, not whose server was asked first', async () => {
    using opened = await diskOf(12 * GIB);
    const [slow, fast] = [opened.disk.claim(), opened.disk.claim()];
    expect(inGib(await fast.want(10 * GIB))).toBe(12);
    expect(inGib(await slow.want(10 * GIB))).toBe(2);
    slow.came(10 * GIB);
    expect(inGib(await slow.want(GIB))).toBe(2);
    fast.came(9 * GIB);
    expect(inGib(await fast.want(4 * GIB))).toBe(11);
  });

  test('the most that the grid may fill bounds each, and is not the room that they share', async () => {
    using opened = await diskOf(12 * GIB, 5 * GIB);
    const { disk } = opened;
    const [one, other, third] = [disk.claim(), disk.claim(), disk.claim()];
    expect(inGib(await one.want(5 * GIB))).toBe(5);
    expect(inGib(await other.want(5 * GIB))).toBe(5);
    expect(inGib(await third.want(5 * GIB))).toBe(2);
    third[Symbol.dispose]();
    expect(inGib(disk.space().availableBytes)).toBe(2);
    other[Symbol.dispose]();
    expect(disk.space().availableBytes).toBe(5 * GIB);
  });
});

test('neither the start nor a look waits for a walk over the cache', async () => {
  const spool = mkdtempSync(join(tmpdir(), 'hanse-disk-'));
  mkdirSync(join(spool, 'attempts'));
  const walk = Promise.withResolvers<number>();
  let walks = 0;
  using disk = await openDisk({
    spool,
    minFreeBytes: 0,
    mostBytes: undefined,
    cache: {
      free: () => Promise.resolve(),
      clearable: () => {
        walks += 1;
        return walk.promise;
      },
    },
    log: openLog('test', 'silent'),
    onChange: () => undefined,
  });
  const before = disk.space().availableBytes;
  rmSync(spool, { recursive: true });
  await disk.probe();
  expect(disk.closedReason()).toContain('the spool cannot be written');
  expect(walks).toBe(1);
  mkdirSync(join(spool, 'attempts'), { recursive: true });
  walk.resolve(2 ** 40);
  await disk.probe();
  expect(disk.space().availableBytes - before).toBeGreaterThan(2 ** 39);
  rmSync(spool, { recursive: true });
});
