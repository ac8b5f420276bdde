import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readStatus } from '../../site-gateway/lrms/task-files.ts';

let parent = '';
let directory = '';
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'hanse-status-'));
  directory = join(parent, 'attempt-1');
  mkdirSync(directory);
});
afterEach(() => rmSync(parent, { recursive: true }));

const write = (last: string): void =>
  writeFileSync(join(directory, 'status'), `3 12.34\n0m0.00s 0m0.01s\n0m1.50s 0m0.25s\n${last}\n`);

test.each(['end attempt-1', 'end'])('a status counts with the last line %j', async (last) => {
  write(last);
  const status = { exitCode: 3, cpuMs: 1_750, endedUptimeMs: 12_340 };
  await expect(readStatus(directory)).resolves.toEqual(status);
});

test.each(['end attempt-2', 'en', ''])(
  'it does not with %j: cut short, or of another attempt',
  async (last) => {
    write(last);
    await expect(readStatus(directory)).resolves.toBeUndefined();
  },
);

test('the last record counts, whatever was written before it', async () => {
  const record = '3 12.34\n0m0.00s 0m0.01s\n0m1.50s 0m0.25s\nend attempt-1\n';
  writeFileSync(
    join(directory, 'status'),
    `0 1.00\n0m0s 0m0s\n0m0s 0m0s\nend attempt-1\n${record}`,
  );
  await expect(readStatus(directory)).resolves.toMatchObject({ exitCode: 3, cpuMs: 1_750 });
});
