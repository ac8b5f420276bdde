/** A plain PC of somebody: real gateways, a real terminal, real load; only the battery is made of files. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { State } from '../../proto/gen/grid/v1/common.ts';
import type { AttemptUpdate } from '../../proto/gen/grid/v1/site.ts';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
import { EPOCH, specOf, startTestSite, type TestSite } from '../fakes/test-site.ts';
import { openTerminal, type Terminal } from '../support/terminal.ts';

const SOON = { timeout: 120_000, interval: 200 };
let grid: LiveGrid;
let terminal: Terminal;
const started: AsyncDisposable[] = [];

beforeAll(async () => {
  grid = await openLiveGrid();
  terminal = await openTerminal();
});
afterAll(async () => {
  await Promise.all(started.map((one) => one[Symbol.asyncDispose]()));
  terminal[Symbol.dispose]();
  await grid[Symbol.asyncDispose]();
});

/** Where the gateway looks for the machine: the one terminal of this test, the real load on demand, a battery of files. */
function makeRoot(
  name: string,
  parts: { readonly hasLoad?: boolean; readonly hasTerminal?: boolean } = {},
): string {
  const root = join(grid.dir, `${name}-root`);
  mkdirSync(join(root, 'dev/pts'), { recursive: true });
  if (parts.hasTerminal === true)
    symlinkSync(`/dev/pts/${terminal.name}`, join(root, 'dev/pts', terminal.name));
  if (parts.hasLoad === true) symlinkSync('/proc', join(root, 'proc'));
  const battery = join(root, 'sys/class/power_supply/BAT0');
  mkdirSync(battery, { recursive: true });
  writeFileSync(join(battery, 'type'), 'Battery\n');
  setBattery(root, 'Full');
  return root;
}

const setBattery = (root: string, status: string): void =>
  writeFileSync(join(root, 'sys/class/power_supply/BAT0/status'), `${status}\n`);

/** `more` are further lines of its configuration. */
async function startPc(
  name: string,
  root: string,
  settings: object,
  more: readonly string[] = [],
): Promise<TestSite> {
  const owner = { root, 'idle-after': '3s', 'resume-after': '2s', ...settings };
  const site = await startTestSite(grid, name, [
    'cpus: 2',
    'memory: 4G',
    'staging-patience: 0s',
    `owner: ${JSON.stringify(owner)}`,
    ...more,
  ]);
  started.push(site);
  return site;
}

/** What the site says of itself now. */
async function offerOf(site: TestSite) {
  const stop = new AbortController();
  const stream = site.call().advertise({ epoch: EPOCH, leaseMs: 9_000 }, { signal: stop.signal });
  for await (const { offer } of stream) {
    stop.abort();
    if (offer !== undefined) return offer;
  }
  throw new Error('the site said nothing');
}

const closedReason = async (site: TestSite): Promise<string> => (await offerOf(site)).closedReason;

/** All updates so far, as they come. */
function follow(site: TestSite): { readonly updates: readonly AttemptUpdate[] } & Disposable {
  const updates: AttemptUpdate[] = [];
  const stop = new AbortController();
  const read = async (): Promise<void> => {
    const request = { epoch: EPOCH, afterSeq: 0 };
    for await (const update of site.call().watch(request, { signal: stop.signal }))
      updates.push(update);
  };
  read().catch(() => undefined);
  return { updates, [Symbol.dispose]: () => stop.abort() };
}

/** What became of an attempt; where its start takes long it is told as submitted before, which is left out. */
function statesOf(updates: readonly AttemptUpdate[], id: string): readonly State[] {
  const states = updates.filter(({ attemptId }) => attemptId === id).map(({ state }) => state);
  const isSubmittedFirst = states[0] === State.STATE_SUBMITTED && states.includes(RUNNING);
  return states.slice(isSubmittedFirst ? 1 : 0);
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
/** Counts in a file of its own, ten times a second, until it may go. */
const COUNTS = 'n=0; until [ -e go ]; do n=$((n+1)); echo $n >>count; sleep 0.1; done';
const countedBy = (site: TestSite, id: string): number => {
  const file = join(site.spool, 'attempts', id, 'work', 'count');
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0;
};
const { STATE_RUNNING: RUNNING, STATE_SUSPENDED: SUSPENDED, STATE_DONE: DONE } = State;

// Side by side: they wait most of the time.
describe.concurrent('the owner of a PC', { timeout: 300_000 }, () => {
  test('types: nothing of the machine is free, what runs stands still and can be cancelled', async ({
    expect,
  }) => {
    // The kernel notes at a terminal only that it was used within 8 seconds.
    const settings = { 'idle-after': '9s', 'resume-after': '9s' };
    const site = await startPc('types', makeRoot('types', { hasTerminal: true }), settings);
    await expect.poll(() => closedReason(site), SOON).toBe('');
    expect(await offerOf(site)).toMatchObject({ freeCpus: 2 });
    await site.place([{ id: 'typed', spec: { command: ['sleep', '600'] } }]);
    using seen = follow(site);
    await expect.poll(() => statesOf(seen.updates, 'typed'), SOON).toEqual([RUNNING]);
    using _typing = terminal.typing();
    await expect.poll(() => statesOf(seen.updates, 'typed'), SOON).toEqual([RUNNING, SUSPENDED]);
    const words = /^its owner is at the machine since \d\d:\d\d \(UTC/;
    expect(seen.updates.at(-1)?.detail).toMatch(words);
    expect(await closedReason(site)).toMatch(words);
    expect(await offerOf(site)).toMatchObject({ freeCpus: 0, totalCpus: 2 });
    await site.call().control({ epoch: EPOCH, cancel: ['typed'], acknowledgedSeq: 0 });
    expect(await site.outcomeOf('typed')).toMatchObject({ state: State.STATE_CANCELLED });
  });

  test.for([
    ['signals', 'account'],
    ['its control group', 'auto'],
  ] as const)(
    'unplugs it: a task stands still by %s, also while no gateway runs, and that is no walltime',
    async ([, sandbox], { expect }) => {
      const name = `unplugs-${sandbox}`;
      const root = makeRoot(name);
      const lines = [`sandbox: ${sandbox}`];
      const site = await startPc(name, root, { 'when-back': 'keep' }, lines);
      await expect.poll(() => closedReason(site), SOON).toBe('');
      const resources = { ...specOf({ command: [] }).resources, walltimeMs: 12_000 };
      await site.place([{ id: name, spec: { command: ['sh', '-c', COUNTS], resources } }]);
      await expect.poll(() => countedBy(site, name), SOON).toBeGreaterThan(0);
      setBattery(root, 'Discharging');
      await expect.poll(() => closedReason(site), SOON).toMatch(/^it runs on battery since/);
      await site.kill();
      const counted = countedBy(site, name);
      await wait(7_000);
      await site.start();
      await wait(7_000);
      expect(countedBy(site, name)).toBe(counted);
      setBattery(root, 'Charging');
      await expect.poll(() => countedBy(site, name), SOON).toBeGreaterThan(counted);
      writeFileSync(join(site.spool, 'attempts', name, 'work', 'go'), '');
      const { usage } = await site.outcomeOf(name);
      expect(usage.wallMs).toBeLessThan(12_000);
      const updates = await site.untilEnded([name]);
      expect(statesOf(updates, name)).toEqual([RUNNING, SUSPENDED, RUNNING, DONE]);
    },
  );

  test('wants it back at once: what runs and what waits is given back, nothing new is taken', async ({
    expect,
  }) => {
    const root = makeRoot('stops');
    const site = await startPc('stops', root, { 'when-back': 'stop' });
    await expect.poll(() => closedReason(site), SOON).toBe('');
    const resources = { ...specOf({ command: [] }).resources, cpus: 2 };
    const ids = ['stop-runs', 'stop-waits'];
    using seen = follow(site);
    for (const [id, state] of [
      ['stop-runs', RUNNING],
      ['stop-waits', State.STATE_SUBMITTED],
    ] as const) {
      await site.place([{ id, spec: { command: ['sleep', '600'], resources } }]);
      await expect.poll(() => statesOf(seen.updates, id), SOON).toContain(state);
    }
    setBattery(root, 'Discharging');
    for (const id of ids) {
      const outcome = await site.outcomeOf(id);
      expect(outcome).toMatchObject({ failure: 'owner', reason: 'OWNER_RETURNED' });
      expect(outcome.detail).toMatch(/^it runs on battery since/);
    }
    expect(statesOf(seen.updates, 'stop-runs')).not.toContain(SUSPENDED);
    const [refused] = await site.place([{ id: 'stop-late', spec: { command: ['true'] } }]);
    expect(refused).toMatchObject({ reason: 'SITE_CLOSED' });
  });

  test('leaves it to tasks no longer than that when they stand still', async ({ expect }) => {
    const root = makeRoot('patience');
    const site = await startPc('patience', root, { 'suspend-for': '4s' });
    await expect.poll(() => closedReason(site), SOON).toBe('');
    await site.place([{ id: 'patient', spec: { command: ['sleep', '600'] } }]);
    using seen = follow(site);
    await expect.poll(() => statesOf(seen.updates, 'patient'), SOON).toContain(RUNNING);
    setBattery(root, 'Discharging');
    const outcome = await site.outcomeOf('patient');
    expect(outcome).toMatchObject({ failure: 'owner', reason: 'OWNER_RETURNED' });
    expect(outcome.detail).toContain('tasks stand still for 4.0 s and then begin again elsewhere');
    expect(statesOf(seen.updates, 'patient')).toEqual([RUNNING, SUSPENDED, State.STATE_FAILED]);
  });

  test('lets programs of his own compute', async ({ expect }) => {
    const settings = { load: 0.3, 'when-back': 'keep' };
    const site = await startPc('computes', makeRoot('computes', { hasLoad: true }), settings);
    const loops = [1, 2].map(() => spawn('sh', ['-c', 'while :; do :; done']));
    try {
      await expect
        .poll(() => closedReason(site), SOON)
        .toMatch(/^programs of its owner keep it busy since/);
    } finally {
      for (const loop of loops) loop.kill('SIGKILL');
    }
  });
});
