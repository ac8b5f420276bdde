import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { attemptId } from '../../core/ids.ts';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import { openForkLrms } from '../../site-gateway/lrms/fork.ts';
import type { LrmsListener, TaskEnd } from '../../site-gateway/lrms/lrms.ts';
import { lrmsContract } from '../contract/lrms.contract.ts';

const openFork = (spool: string, listener: LrmsListener) =>
  openForkLrms({
    spool,
    cpus: 2,
    memoryBytes: 2 ** 30,
    cores: [],
    firstCore: 0,
    clock: systemClock,
    log: openLog('test', 'silent'),
    listener,
  });

lrmsContract('ForkLrms', openFork, { many: 200, inOrder: true });

test('a directory that cannot be written is the fault of the site', async () => {
  const spool = mkdtempSync(join(tmpdir(), 'hanse-fork-'));
  const directory = join(spool, 'attempts', 'x');
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'work'), 'a file where a directory should be');
  const ended = Promise.withResolvers<TaskEnd>();
  const listener = {
    started: () => undefined,
    ended: (_: string, end: TaskEnd) => ended.resolve(end),
    changed: () => undefined,
  };
  await using lrms = await openFork(spool, listener);
  lrms.submit({
    id: attemptId('x'),
    directory,
    command: ['true'],
    env: {},
    stdin: '/dev/null',
    nodes: 1,
    gpus: 0,
    cpus: 1,
    memoryBytes: 1,
    walltimeMs: 0,
  });
  expect(await ended.promise).toMatchObject({
    kind: 'not-started',
    fault: 'site',
    reason: 'SPOOL_UNWRITABLE',
  });
  rmSync(spool, { recursive: true });
});
