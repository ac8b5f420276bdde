import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { pause } from '../../service/background.ts';
import { systemClock } from '../../service/clock.ts';
import { SETPRIV } from '../../site-gateway/accounts/account.ts';
import type { BatchSystem } from '../../site-gateway/lrms/batch/batch-system.ts';
import { loadTemplate, shippedTemplate } from '../../site-gateway/lrms/command/load-template.ts';
import { openCommand } from '../../site-gateway/lrms/command/open-command.ts';
import { openSlurm } from '../../site-gateway/lrms/slurm/slurm.ts';
import { commandOptionsOf } from '../fakes/command-options.ts';
import { SELF } from '../fakes/job-owners.ts';
import { makeTestAccount, type TestAccount } from '../setup/test-account.ts';
import { openPort } from '../support/lrms-port.ts';
import { type SlurmCluster, startSlurm } from '../support/slurm-cluster.ts';

const PATH = process.env['PATH'] ?? '';
let cluster: SlurmCluster;
let account: TestAccount;
let dir: string;
beforeAll(async () => {
  account = makeTestAccount('asks');
  cluster = await startSlurm({ nodes: 1, cpus: 2, memoryMb: 1_000 });
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  account[Symbol.dispose]();
});
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hanse-slurm-hidden-'));
  chmodSync(dir, 0o755);
  mkdirSync(join(dir, 'bin'));
  // Slurm hides nothing from root: these ask as an account of their own.
  const words = `${SETPRIV} --reuid=${account.uid} --regid=${account.gid} --init-groups`;
  for (const command of ['squeue', 'scontrol'])
    writeFileSync(
      join(dir, 'bin', command),
      `#!/bin/sh\nPATH='${PATH}'\nexec ${words} ${command} "$@"\n`,
      { mode: 0o755 },
    );
});
afterEach(async () => {
  await change('Hidden=NO', 'AllowGroups=ALL', 'State=UP');
  rmSync(dir, { recursive: true, maxRetries: 5 });
});

const change = (...words: readonly string[]): Promise<string> =>
  cluster.run('scontrol', 'update', 'PartitionName=main', ...words);
const path = (): string => [join(dir, 'bin'), PATH].join(delimiter);
const slurm = (partitions: readonly string[] = []): BatchSystem =>
  openSlurm({
    ...{ conf: cluster.conf, path: path(), partitions, account: '', reservation: '' },
    ...{ licences: {}, extraArgs: [], clock: systemClock },
  });
const byTemplate = (): BatchSystem =>
  openCommand(
    commandOptionsOf(loadTemplate(shippedTemplate('slurm')), {
      path: path(),
      env: { SLURM_CONF: cluster.conf },
    }),
  );

test.for([
  ['hidden', slurm, 'Hidden=YES'],
  ['closed to the account of the gateway', slurm, 'AllowGroups=adm'],
  ['hidden, and seen by the template', byTemplate, 'Hidden=YES'],
] as const)('tasks outlive that their partition is %s', async ([, open, how]) => {
  await using port = await openPort(open(), dir);
  port.submit('one', `until test -e ${dir}/go; do sleep 0.1; done; exit 3`);
  await port.begun('one');
  await change(how);
  // Six looks: after two without the task it was given up.
  await pause(3_000);
  expect(port.ends.get('one')).toBe(undefined);
  writeFileSync(join(dir, 'go'), '');
  expect(await port.endOf('one')).toMatchObject({ kind: 'exited', exitCode: 3 });
});

test('a hidden partition is offered where it is chosen, and only there', async () => {
  await change('Hidden=YES');
  const offered = async (names?: readonly string[]) => {
    const { capacity, closedReason } = await slurm(names).poll(SELF);
    return [capacity.queues.map(({ name }) => name), capacity.cpus, closedReason];
  };
  expect(await offered()).toEqual([['main'], 2, '']);
  expect(await offered(['main'])).toEqual([['main'], 2, '']);
  expect(await offered(['long'])).toEqual([['long'], 2, '']);
});

test('a partition that the account may not use offers nothing', async () => {
  await change('AllowGroups=adm');
  const { capacity, closedReason } = await slurm().poll(SELF);
  expect([capacity.queues, capacity.cpus]).toEqual([[], 0]);
  expect(closedReason).toBe('partition main is closed to the account of the gateway');
  expect((await slurm(['main', 'long']).poll(SELF)).closedReason).toBe('');
});

test('a partition that was closed is seen within four looks, and so is that it is open', async () => {
  const system = slurm();
  const reasonAfter = async (looks: number): Promise<string> => {
    for (let look = 1; look < looks; look += 1) await system.poll(SELF);
    return (await system.poll(SELF)).closedReason;
  };
  expect(await reasonAfter(1)).toBe('');
  await change('State=DOWN');
  expect(await reasonAfter(4)).toBe('partition main is DOWN');
  await change('State=UP');
  expect(await reasonAfter(4)).toBe('');
});
