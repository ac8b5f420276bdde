import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { attemptId } from '../../core/ids.ts';
import { SANDBOXES } from '../../core/job/sandbox.ts';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import { openForkLrms } from '../../site-gateway/lrms/fork/fork.ts';
import type { LrmsListener, TaskEnd } from '../../site-gateway/lrms/lrms.ts';
import { NO_GROUPS } from '../../site-gateway/lrms/sandbox/cgroups.ts';
import { BARE_SANDBOX, openSandbox } from '../../site-gateway/lrms/sandbox/sandbox.ts';
import { lrmsContract } from '../contract/lrms.contract.ts';
import { needs } from '../setup/needs.ts';

const openFork = (spool: string, listener: LrmsListener, sandbox = BARE_SANDBOX) =>
  openForkLrms({
    sandbox,
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
const sandboxOf = (spool: string, wanted: 'auto' | 'namespaces') =>
  openSandbox({ spool, wanted, path: '/usr/bin:/bin', hidden: [], log });
lrmsContract('ForkLrms of class account', openFork, manner);
lrmsContract(
  'ForkLrms with what control groups there are',
  async (spool, listener) => openFork(spool, listener, await sandboxOf(spool, 'auto')),
  manner,
);

needs('bwrap', 'bubblewrap');
const trial = mkdtempSync(join(tmpdir(), 'hanse-trial-'));
const { best, groups: tried } = await sandboxOf(trial, 'auto');
tried[Symbol.dispose]();
rmSync(trial, { recursive: true });
// A machine may forbid namespaces to us, root or not.
for (const name of SANDBOXES.slice(1, SANDBOXES.indexOf(best) + 1)) {
  lrmsContract(
    `ForkLrms of class ${name}`,
    async (spool, listener) => {
      const sandbox = await sandboxOf(spool, 'namespaces');
      if (name === 'cgroup') return openFork(spool, listener, sandbox);
      sandbox.groups[Symbol.dispose]();
      return openFork(spool, listener, { ...sandbox, groups: NO_GROUPS });
    },
    manner,
  );
}

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
    sandbox: 'account',
    network: 'any',
  });
  expect(await ended.promise).toMatchObject({
    kind: 'not-started',
    fault: 'site',
    reason: 'SPOOL_UNWRITABLE',
  });
  rmSync(spool, { recursive: true });
});
