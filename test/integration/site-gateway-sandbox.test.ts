import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sandboxFeatures } from '../../core/job/sandbox.ts';
import type { Offer } from '../../proto/gen/grid/v1/common.ts';
import { Acceptance } from '../../proto/gen/grid/v1/site.ts';
import { openLog } from '../../service/log.ts';
import { openSandbox } from '../../site-gateway/lrms/sandbox/sandbox.ts';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
import { resourcesOf } from '../fakes/offers.ts';
import { EPOCH, type Placed, startTestSite, type TestSite } from '../fakes/test-site.ts';
import { needs } from '../setup/needs.ts';

needs('bwrap', 'bubblewrap');
const trial = mkdtempSync(join(tmpdir(), 'hanse-trial-'));
const log = openLog('test', 'silent');
const { best, groups } = await openSandbox({
  spool: trial,
  wanted: 'auto',
  path: '/usr/bin:/bin',
  hidden: [],
  log,
});
groups[Symbol.dispose]();
rmSync(trial, { recursive: true });

/** No GPU is in a machine that tests run on: these stand for the device files of three, the first of two models. */
const GPUS = `gpus:
  - {model: Card X1, devices: [/dev/fuse], env: {CUDA_VISIBLE_DEVICES: '5'}}
  - {model: Card X2, devices: [/dev/loop-control, /dev/kmsg], env: {CUDA_VISIBLE_DEVICES: '7'}}`;
const SOON = { timeout: 60_000, interval: 50 };
let grid: LiveGrid;
let site: TestSite;
let bare: TestSite;
beforeAll(async () => {
  grid = await openLiveGrid();
  const size = ['cpus: 4', 'memory: 4G', 'staging-patience: 0s', GPUS];
  site = await startTestSite(grid, 'boxed', size);
  bare = await startTestSite(grid, 'bare', [...size, 'sandbox: account']);
});
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await bare[Symbol.asyncDispose]();
  await grid[Symbol.asyncDispose]();
});

const offerOf = async (one: TestSite): Promise<Offer | undefined> => {
  const stop = new AbortController();
  const stream = one.call().advertise({ epoch: EPOCH, leaseMs: 9_000 }, { signal: stop.signal });
  for await (const { offer } of stream) {
    stop.abort();
    return offer;
  }
  return undefined;
};
const featuresOf = async (one: TestSite): Promise<readonly string[]> =>
  (await offerOf(one))?.features.filter((name) => name.startsWith('sandbox:')) ?? [];
const withGpus = (gpus: number, gpuModel = '') => ({
  resources: { ...resourcesOf({}), memoryBytes: 2 ** 26, gpus, gpuModel },
});
const SHOWN = 'cd /dev; ls fuse loop-control kmsg 2>/dev/null; echo "[$CUDA_VISIBLE_DEVICES]"';
const stdoutAt = (one: TestSite, id: string): Promise<string> =>
  readFile(join(one.spool, 'attempts', id, 'stdout'), 'utf8');

test('a site offers what the machine can do, and no more than it is told to', async () => {
  expect(await featuresOf(site)).toEqual([...sandboxFeatures(best)].toSorted());
  expect(await featuresOf(bare)).toEqual([]);
});

test('GPUs of the machine are offered by number and model, and what it has not is refused', async () => {
  expect(await offerOf(site)).toMatchObject({
    ...{ totalGpus: 2, freeGpus: 2, gpuModels: ['Card X1', 'Card X2'] },
  });
  const place = (part: ReturnType<typeof withGpus>, id: string) =>
    bare.place([{ id, spec: { command: ['true'], ...part } }]);
  expect(await place(withGpus(3), 'too-many')).toMatchObject([
    { reason: 'TOO_LARGE', detail: 'it asks for 3 GPUs, the site has 2' },
  ]);
  await place(withGpus(2, 'x1'), 'too-many-of-one');
  expect(await bare.outcomeOf('too-many-of-one')).toMatchObject({
    reason: 'SITE_REFUSED',
    detail: 'it asks for 2 GPUs of model x1, and this machine has 1',
  });
});

test('without a sandbox a task is told which GPUs are its own, or that none is', async () => {
  const run = async (id: string, gpus: number, model = '') => {
    await bare.place([{ id, spec: { command: ['sh', '-c', SHOWN], ...withGpus(gpus, model) } }]);
    expect(await bare.outcomeOf(id)).toMatchObject({ exitCode: 0 });
    return stdoutAt(bare, id);
  };
  const all = 'fuse\nkmsg\nloop-control\n';
  expect(await run('has-one', 1, 'x2')).toBe(`${all}[7]\n`);
  expect(await run('has-none', 0)).toBe(`${all}[]\n`);
});

test('a site without the sandbox refuses a task that demands it, and says both', async () => {
  const spec = { command: ['true'], sandbox: 'namespaces' } as const;
  expect(await bare.place([{ id: 'exposed', spec }])).toMatchObject([
    {
      acceptance: Acceptance.ACCEPTANCE_REFUSED,
      reason: 'SANDBOX_MISSING',
      detail: 'it demands sandbox namespaces, the site has account',
    },
  ]);
});

test('a site that shall have namespaces and can make none ends with what bubblewrap said', async () => {
  const spool = mkdtempSync(join(tmpdir(), 'hanse-trial-'));
  try {
    const denied = 'bwrap: No permissions to create new namespace';
    const opened = (path: string) =>
      openSandbox({ spool, wanted: 'cgroup', path, hidden: [], log });
    await expect(opened('/nonexistent')).rejects.toThrow('there is none in /nonexistent');
    // As where sysctl kernel.unprivileged_userns_clone is 0.
    writeFileSync(join(spool, 'bwrap'), `#!/bin/sh\necho '${denied}' >&2; exit 1\n`, {
      mode: 0o755,
    });
    await expect(opened(spool)).rejects.toThrow(
      `${join(spool, 'bwrap')} can make no namespaces: ${denied} (see sysctl user.max_user_namespaces`,
    );
  } finally {
    rmSync(spool, { recursive: true });
  }
});

describe.for(best === 'account' ? [] : ['in namespaces of its own'])('%s', () => {
  let count = 0;
  const run = async (script: string, part: Partial<Placed['spec']> = {}) => {
    count += 1;
    const id = `boxed-${count}`;
    const spec = { command: ['sh', '-c', script], sandbox: 'namespaces', ...part } as const;
    await site.place([{ id, spec }]);
    return { id, ...(await site.outcomeOf(id)) };
  };
  const stdoutOf = (id: string): Promise<string> => stdoutAt(site, id);

  test('a task writes to its directories and to a /tmp of its own, and nowhere else', async () => {
    const mine = await run('touch a "$TMPDIR/b" /tmp/c && ls / >/dev/null');
    expect(mine).toMatchObject({ reason: '' });
    const outside = join(site.dir, 'outside');
    expect(await run(`touch ${outside} /tmp/outside`)).toMatchObject({ reason: '' });
    expect([outside, '/tmp/outside'].filter((file) => existsSync(file))).toEqual([]);
    expect(await run('touch /usr/outside')).toMatchObject({ reason: 'EXIT_NONZERO' });
  });

  test('it sees neither what the gateway keeps nor the processes of others', async () => {
    const { id } = await run(
      `ls -A ${site.spool}; echo; ls -d /proc/[0-9]* | wc -l; cat ${site.dir}/key.pem`,
    );
    const [seen, , processes = '', ...key] = (await stdoutOf(id)).trim().split('\n');
    expect(seen).toBe('attempts');
    expect(Number(processes)).toBeLessThan(10);
    expect(key).toEqual([]);
  });

  test('it can speak to no service of its account, whatever network it has', async () => {
    const own = `/run/user/${process.getuid?.()}`;
    if (process.getuid?.() === 0) mkdirSync(own, { recursive: true });
    const socket = join(own, `hanse-test-${process.pid}`);
    const service = createServer((call) => call.end('made')).listen(socket);
    try {
      await once(service, 'listening');
      // Each Debian has perl, outside of what may be hidden; this node may lie below /tmp.
      const call =
        'socket(S, PF_UNIX, SOCK_STREAM, 0); connect(S, sockaddr_un(shift)) or print 0 + $!; print <S>';
      const asks = ['/usr/bin/perl', '-MSocket', '-e', call, socket];
      const part = { command: asks, resources: { ...resourcesOf({}), memoryBytes: 2 ** 28 } };
      const { id, ...end } = await run('', part);
      expect(end).toMatchObject({ exitCode: 0 });
      expect(await stdoutOf(id)).toBe(`${constants.errno.ENOENT}`);
      await bare.place([{ id: 'speaks', spec: part }]);
      expect(await bare.outcomeOf('speaks')).toMatchObject({ exitCode: 0 });
      expect(await stdoutAt(bare, 'speaks')).toBe('made');
    } finally {
      service.close();
    }
  });

  test('without a network it has but itself, and a job that says so gets namespaces', async () => {
    const { id } = await run('grep -c : /proc/net/dev', { network: 'none', sandbox: 'account' });
    expect(await stdoutOf(id)).toBe('1\n');
    const open = await run('grep -c : /proc/net/dev');
    expect(Number(await stdoutOf(open.id))).toBeGreaterThan(0);
  });

  test('it sees the device files of its own GPUs and no others', async () => {
    const shown = async (gpus: number, model = '') =>
      stdoutOf((await run(`${SHOWN}; : </dev/kmsg`, withGpus(gpus, model))).id);
    expect(await shown(1, 'x1')).toBe('fuse\n[0]\n');
    expect(await shown(1, 'x2')).toBe('kmsg\nloop-control\n[0]\n');
    expect(await shown(2)).toBe('fuse\nkmsg\nloop-control\n[0,1]\n');
    expect(await shown(0)).toBe('[]\n');
  });

  test('its GPU is no other task’s before it has ended, also after a crash of the gateway', async () => {
    const go = join(site.dir, 'go');
    const wait = ['sh', '-c', `echo up; until [ -e ${go} ]; do sleep 0.1; done`];
    const [first, second] = ['holds', 'wants'] as const;
    await site.place([{ id: first, spec: { command: wait, ...withGpus(1, 'x2') } }]);
    await expect.poll(() => stdoutOf(first).catch(() => ''), SOON).toBe('up\n');
    const free = async () => (await offerOf(site))?.freeGpus;
    await expect.poll(free, SOON).toBe(1);
    await site.kill();
    await site.start();
    const spec = { command: ['ls', go], ...withGpus(1, 'x2') };
    await site.place([{ id: second, spec }]);
    await expect.poll(free, SOON).toBe(0);
    await run('true', withGpus(0));
    const started = join(site.spool, 'attempts', second, 'started');
    expect(statSync(started, { throwIfNoEntry: false })?.size ?? 0).toBe(0);
    writeFileSync(go, '');
    for (const id of [first, second])
      expect(await site.outcomeOf(id)).toMatchObject({ exitCode: 0 });
  });

  test('it ends as it would outside', async () => {
    expect(await run('exit 1')).toMatchObject({ reason: 'EXIT_NONZERO', exitCode: 1 });
    expect(await run('kill -SEGV $$')).toMatchObject({ reason: 'KILLED_BY_SIGNAL', signal: 11 });
    const missing = await run('', { command: ['no-such-program'] });
    expect(missing).toMatchObject({ reason: 'COMMAND_NOT_FOUND', exitCode: 127 });
  });

  test('what it leaves behind is ended and named, what keeps the namespaces is not', async () => {
    const sleeps = `until [ "$(cat /proc/$(cat pid)/comm)" = sleep ]; do sleep 0.1; done 2>/dev/null`;
    const { detail } = await run(`(setsid sleep 300 & echo $! >pid) &\n${sleeps}; exit 0`);
    expect(detail).toBe('1 process left behind was ended: sleep');
    expect(await run('true')).toMatchObject({ detail: '' });
  });
});
