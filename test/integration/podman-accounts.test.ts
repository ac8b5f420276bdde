/** podman without root, as mapped users have it on nodes, in namespaces where there is one kind of control groups. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { handOver } from '../../site-gateway/accounts/hand-over.ts';
import { inImage } from '../../site-gateway/software/run-image.ts';
import { needs } from '../setup/needs.ts';
import { changeAccounts, makeTestAccount, type TestAccount } from '../setup/test-account.ts';
import { limitsHere, makeArchive } from '../support/image-store.ts';

needs('newuidmap', 'uidmap');
needs('podman', 'podman', 'crun', 'catatonit', 'busybox-static');
const IMAGE = 'localhost/lab/tool:1';
const APART = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"';
let dir: string;
let podman: string;
let account: TestAccount;
beforeAll(() => {
  account = makeTestAccount('p');
  // An account of people has these.
  const numbers = `${account.uid * 65_536}-${account.uid * 65_536 + 65_535}`;
  changeAccounts('usermod', '--add-subuids', numbers, '--add-subgids', numbers, account.name);
  dir = mkdtempSync('/var/tmp/hanse-podman-');
  const home = join(dir, 'home');
  mkdirSync(home);
  chownSync(home, account.uid, account.gid);
  chmodSync(dir, 0o711);
  changeAccounts('usermod', '--home', home, account.name);
  podman = join(dir, 'podman');
  writeFileSync(
    podman,
    `#!/bin/sh\nexec podman --storage-driver vfs --cgroup-manager cgroupfs "$@"\n`,
  );
  chmodSync(podman, 0o755);
  const archive = makeArchive(dir);
  chmodSync(archive, 0o644);
  execFileSync('unshare', asAccount([podman, 'import', '--quiet', archive, IMAGE]), {
    stdio: 'pipe',
  });
});
afterAll(() => {
  endAll();
  account[Symbol.dispose]();
  rmSync(dir, { recursive: true });
  for (const name of [`podman-run-${account.uid}`, `containers-user-${account.uid}`])
    rmSync(join('/tmp', name), { recursive: true, force: true });
  rmSync(`/dev/shm/libpod_rootless_lock_${account.uid}`, { force: true });
});

const asAccount = (words: readonly string[]): string[] => [
  ...['-m', '/bin/sh', '-c', `cd /; HOME=${dir}/home; ${APART}`, 'sh'],
  ...['runuser', '-u', account.name, '--', ...words],
];

/** As a batch system ends a job, and what it left: all at once, the process that keeps podman's namespaces, too. */
function endAll(): void {
  const { stdout } = spawnSync('ps', ['-o', 'pid=', '-u', account.name], { encoding: 'utf8' });
  for (const pid of stdout.trim().split(/\s+/).filter(Boolean)) spawnSync('kill', ['-KILL', pid]);
}

async function begin(id: string, script: string) {
  const directory = join(dir, 'attempts', id);
  for (const own of ['work', 'tmp', 'container'])
    mkdirSync(join(directory, own), { recursive: true });
  await handOver(directory, account);
  const runtime = { name: 'podman', program: podman, args: limitsHere() } as const;
  const command = ['sh', '-c', script];
  const task = { id, directory, image: IMAGE, network: 'any', command, env: {} } as const;
  const { command: words } = inImage(runtime, task);
  const child = spawn('unshare', asAccount(words), { stdio: ['ignore', 'pipe', 'pipe'] });
  return { child, directory, stdout: text(child.stdout), stderr: text(child.stderr) };
}

test('a task in an image is root inside and its account outside', async () => {
  const { stdout, stderr, directory } = await begin('one', 'id -u; cat /etc/inside; : >made');
  expect([await stdout, await stderr]).toEqual(['0\ninside\n', expect.not.stringMatching(/grid:/)]);
  expect(statSync(join(directory, 'work/made')).uid).toBe(account.uid);
});

test('a job that was killed with all around it does not keep the next of its account from running', async () => {
  const killed = await begin('killed', 'echo up; sleep 300');
  await new Promise((resolve) => killed.child.stdout.once('data', resolve));
  endAll();
  await killed.stdout;
  const { stdout } = await begin('next', 'echo again');
  expect(await stdout).toBe('again\n');
});
