import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readStarted, startOf } from '../../site-gateway/lrms/task-files.ts';
import { TASK_WRAPPER } from '../../site-gateway/lrms/task-wrapper.ts';

let parent = '';
let directory = '';
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'hanse-wrapper-'));
  directory = join(parent, 'attempt-1');
  mkdirSync(join(directory, 'work'), { recursive: true });
});
afterEach(() => rmSync(parent, { recursive: true }));

/** What a shell says that gets this order and no other. */
async function reportsOf(order: string): Promise<string> {
  const shell = spawn('/bin/sh', ['-s'], { stdio: ['pipe', 'pipe', 'inherit'] });
  shell.stdin.end(TASK_WRAPPER + order);
  return text(shell.stdout);
}

const order = (cpuMs: number): string =>
  `{ _grid_open ${directory} ${cpuMs} && { (echo ran >>ran); _grid_code=$?; }; }
_grid_close ${directory}\n`;

test.each(['is not there yet', 'is there, and empty'])(
  'of many shells with one order one runs the task, where `started` %s',
  async (where) => {
    if (where.endsWith('empty')) writeFileSync(join(directory, 'started'), '');
    await expect(readStarted(directory)).resolves.toBeUndefined();
    const reports = await Promise.all(Array.from({ length: 6 }, (_, at) => reportsOf(order(at))));
    expect(readFileSync(join(directory, 'work', 'ran'), 'utf8')).toBe('ran\n');
    const winners = reports.filter((said) => said.startsWith('s '));
    expect(reports.filter((said) => said === 'e attempt-1\n')).toHaveLength(5);
    expect(winners).toHaveLength(1);
    const [, said = ''] = /^s attempt-1 (.*)\n/.exec(winners[0] ?? '') ?? [];
    const started = await readStarted(directory);
    expect(started?.start).toEqual(startOf(said));
    expect(started?.start?.earlierCpuMs).toBe(reports.indexOf(winners[0] ?? ''));
    expect(started?.bootId).toMatch(/^[\da-f-]{36}$/);
  },
);

test('what a wrapper of an earlier version left is understood', async () => {
  const stat = `1234 (a (b) c) S 1 1234 1234 0 -1 4194560 9 8 0 0 1 2 7 5 20 0 1 0 4711 2`;
  writeFileSync(join(directory, 'started'), `${stat}\n77.50\nboot\n`);
  await expect(readStarted(directory)).resolves.toMatchObject({
    start: { wrapper: { pid: 1234, startTicks: 4711 }, uptimeMs: 77_500, earlierCpuMs: 120 },
    bootId: 'boot',
  });
});
