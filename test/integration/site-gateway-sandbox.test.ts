import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sandboxFeatures } from '../../core/job/sandbox.ts';
import { Acceptance } from '../../proto/gen/grid/v1/site.ts';
import { openLog } from '../../service/log.ts';
import { openSandbox } from '../../site-gateway/lrms/sandbox/sandbox.ts';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
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

let grid: LiveGrid;
let site: TestSite;
let bare: TestSite;
beforeAll(async () => {
  grid = await openLiveGrid();
  site = await startTestSite(grid, 'boxed', ['cpus: 2', 'memory: 4G', 'staging-patience: 0s']);
  bare = await startTestSite(grid, 'bare', ['cpus: 2', 'memory: 4G', 'sandbox: account']);
});
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await bare[Symbol.asyncDispose]();
  await grid[Symbol.asyncDispose]();
});

const featuresOf = async (one: TestSite): Promise<readonly string[]> => {
  const stop = new AbortController();
  const stream = one.call().advertise({ epoch: EPOCH, leaseMs: 9_000 }, { signal: stop.signal });
  for await (const { offer } of stream) {
    stop.abort();
    return (offer?.features ?? []).filter((name) => name.startsWith('sandbox:'));
  }
  return [];
};

test('a site offers what the machine can do, and no more than it is told to', async () => {
  expect(await featuresOf(site)).toEqual([...sandboxFeatures(best)].toSorted());
  expect(await featuresOf(bare)).toEqual([]);
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
  const stdoutOf = (id: string): Promise<string> =>
    readFile(join(site.spool, 'attempts', id, 'stdout'), 'utf8');

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

  test('without a network it has but itself, and a job that says so gets namespaces', async () => {
    const { id } = await run('grep -c : /proc/net/dev', { network: 'none', sandbox: 'account' });
    expect(await stdoutOf(id)).toBe('1\n');
    const open = await run('grep -c : /proc/net/dev');
    expect(Number(await stdoutOf(open.id))).toBeGreaterThan(0);
  });

  test('it ends as it would outside', async () => {
    expect(await run('exit 1')).toMatchObject({ reason: 'EXIT_NONZERO', exitCode: 1 });
    expect(await run('kill -SEGV $$')).toMatchObject({ reason: 'KILLED_BY_SIGNAL', signal: 11 });
    const missing = await run('', { command: ['no-such-program'] });
    expect(missing).toMatchObject({ reason: 'COMMAND_NOT_FOUND', exitCode: 127 });
  });

  test('what it leaves behind is ended and named, what keeps the namespaces is not', async () => {
    const { detail } = await run('(setsid sleep 300 &) & sleep 0.2; exit 0');
    expect(detail).toBe('1 process left behind was ended: sleep');
    expect(await run('true')).toMatchObject({ detail: '' });
  });
});
