import { mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
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

test('of what comes from elsewhere at the same time the first has its room first, and tasks have what is left', async () => {
  const spool = mkdtempSync(join(tmpdir(), 'hanse-disk-'));
  mkdirSync(join(spool, 'attempts'));
  const freed: number[] = [];
  using disk = await openDisk({
    spool,
    minFreeBytes: 0,
    // So that others who write to this disk do not matter.
    mostBytes: 2 ** 20,
    cache: {
      free: (bytes) => Promise.resolve(void freed.push(bytes)),
      clearable: () => Promise.resolve(0),
    },
    log: openLog('test', 'silent'),
    onChange: () => undefined,
  });
  const claims = [disk.claim(), disk.claim()] as const;
  const [one, other] = claims;
  const rooms = await Promise.all([one.want(800_000), other.want(800_000)]);
  expect(rooms).toEqual([2 ** 20, 2 ** 20 - 800_000]);
  expect(disk.space().availableBytes).toBe(0);
  expect(freed).toEqual([]);
  other[Symbol.dispose]();
  one.came(700_000);
  expect(disk.space().availableBytes).toBe(2 ** 20 - 100_000);
  expect(await disk.isShort(0)).toBe(false);
  const { blocks, bsize } = statfsSync(spool);
  await one.want(blocks * bsize);
  expect(await disk.isShort(0)).toBe(true);
  expect(freed).toHaveLength(1);
  await disk.makeRoom(2 ** 30);
  expect(freed[1]).toBeGreaterThan(2 ** 29 + (freed[0] ?? 0));
  one[Symbol.dispose]();
  expect(await disk.isShort(0)).toBe(false);
  rmSync(spool, { recursive: true });
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
