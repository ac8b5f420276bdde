import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
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
    makeRoom: () => Promise.resolve(),
    log: openLog('test', 'silent'),
    onChange: () => reasons.push(opened.disk?.closedReason() ?? ''),
  });
  opened.disk = disk;
  await Promise.all(Array.from({ length: 40 }, () => disk.probe()));
  expect(reasons.filter((reason) => reason !== '')).toEqual([]);
  expect(readdirSync(join(spool, 'attempts'))).toEqual([]);
  rmSync(spool, { recursive: true });
});
