import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { attemptId } from '../../core/ids.ts';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import { openForkLrms } from '../../site-gateway/lrms/fork/fork.ts';
import type { Lrms, TaskEnd } from '../../site-gateway/lrms/lrms.ts';
import { BARE_SANDBOX } from '../../site-gateway/lrms/sandbox/sandbox.ts';

const MIB = 2 ** 20;
const log = openLog('test', 'silent');
let spool: string;
beforeEach(() => {
  spool = mkdtempSync(join(tmpdir(), 'hanse-memory-'));
});
afterEach(() => rmSync(spool, { recursive: true }));

/** Runs one command to its end. */
async function run(command: readonly string[], memoryBytes: number): Promise<TaskEnd> {
  const ended = Promise.withResolvers<TaskEnd>();
  await using lrms: Lrms = await openForkLrms({
    sandbox: BARE_SANDBOX,
    spool,
    cpus: 1,
    memoryBytes: 2 ** 30,
    cores: [],
    firstCore: 0,
    clock: systemClock,
    log,
    listener: {
      started: () => undefined,
      ended: (_id, end) => ended.resolve(end),
      changed: () => undefined,
    },
  });
  const directory = join(spool, 'attempts', 'one');
  for (const own of ['work', 'tmp']) mkdirSync(join(directory, own), { recursive: true });
  lrms.submit({
    id: attemptId('one'),
    directory,
    command,
    env: { PATH: '/usr/bin:/bin' },
    stdin: '/dev/null',
    nodes: 1,
    gpus: 0,
    cpus: 1,
    memoryBytes,
    walltimeMs: 60_000,
    sandbox: 'account',
    network: 'any',
  });
  return await ended.promise;
}

test('memory that processes share counts once', async () => {
  const shares = 'my $x = "x" x (1 << 25); fork; fork; sleep 3';
  const end = await run(['perl', '-e', shares], 96 * MIB);
  expect(end).toMatchObject({ kind: 'exited', exitCode: 0 });
  expect(end).toHaveProperty(
    'usage.peakMemoryBytes',
    expect.toSatisfy((bytes: number) => bytes > 60 * MIB && bytes < 96 * MIB),
  );
});

test('what each of them has of its own counts as often', async () => {
  const greedy = 'fork; fork; my $x = "x" x (1 << 25); sleep 60';
  expect(await run(['perl', '-e', greedy], 96 * MIB)).toMatchObject({
    kind: 'limit',
    limit: 'memory',
    measured: expect.toSatisfy((bytes: number) => bytes > 96 * MIB) as number,
  });
});
