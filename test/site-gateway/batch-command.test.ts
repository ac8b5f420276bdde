import { execFile } from 'node:child_process';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openCommandRunner } from '../../site-gateway/lrms/batch/batch-command.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hanse-batch-command-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const run = openCommandRunner({ PATH: '/usr/bin:/bin' });
const stateOf = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2] ?? '';
  } catch {
    return 'gone';
  }
};

test.for([
  ['waits for its child', 'wait'],
  ['has gone before its child', 'exit 0'],
])('nothing is left of a command that %s at its time-out', async ([, how]) => {
  const script = `sleep 60 & echo $! >${dir}/pid; ${how}`;
  await expect(run('sh', ['-c', script], 2_000)).rejects.toThrow('sh gave no answer in 2 s');
  const pid = readFileSync(join(dir, 'pid'), 'utf8').trim();
  await expect.poll(() => stateOf(pid)).toMatch(/^(gone|Z)$/);
});

/** What this process has open: each pipe and socket has a number of its own. */
const openFiles = (): readonly string[] =>
  readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      // That of the listing itself.
      return [];
    }
  });

test('a child in a session of its own keeps nothing open here', async () => {
  const before = new Set(openFiles());
  const script = `setsid sleep 60 & echo $! >${dir}/pid`;
  await expect(run('sh', ['-c', script], 2_000)).rejects.toThrow('sh gave no answer in 2 s');
  // What tests before this one have left here may close meanwhile.
  await expect.poll(() => openFiles().filter((file) => !before.has(file))).toEqual([]);
  process.kill(Number(readFileSync(join(dir, 'pid'), 'utf8')));
});

test('where no file can be opened any more there is no answer, and the gateway goes on', async () => {
  const runner = join(import.meta.dirname, '../../site-gateway/lrms/batch/batch-command.ts');
  const full = `
    import { openSync } from 'node:fs';
    import { openCommandRunner } from '${runner}';
    const run = openCommandRunner({ PATH: '/usr/bin:/bin' });
    try { for (;;) openSync('/dev/null'); } catch {}
    const error = await run('true', [], 100).catch((error) => error);
    setTimeout(() => process._rawDebug(error.name + ': ' + error.message), 300);`;
  const program = join(dir, 'full.ts');
  writeFileSync(program, full);
  const limited = ['-c', `ulimit -n 64; exec '${process.execPath}' ${program}`];
  const { stderr } = await promisify(execFile)('sh', limited);
  expect(stderr.trim()).toBe(
    'BatchSilence: true cannot be run: this process has too many files open',
  );
});
