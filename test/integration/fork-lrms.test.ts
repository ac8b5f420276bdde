import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { attemptId } from '../../core/ids.ts';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import { NO_GROUPS, openTaskGroups } from '../../site-gateway/lrms/cgroups.ts';
import { openForkLrms } from '../../site-gateway/lrms/fork.ts';
import type { LrmsListener, TaskEnd } from '../../site-gateway/lrms/lrms.ts';
import { lrmsContract } from '../contract/lrms.contract.ts';

const openFork = (spool: string, listener: LrmsListener, groups = NO_GROUPS) =>
  openForkLrms({
    groups,
    spool,
    cpus: 2,
    memoryBytes: 2 ** 30,
    cores: [],
    firstCore: 0,
    clock: systemClock,
    log,
    listener,
  });

const log = openLog('test', 'silent');
const manner = { many: 200, inOrder: true };
lrmsContract('ForkLrms of class account', openFork, manner);
lrmsContract(
  'ForkLrms with control groups',
  async (spool, listener) => openFork(spool, listener, await openTaskGroups(spool, log)),
  manner,
);

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
