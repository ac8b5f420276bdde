import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { State, TreeRef } from '../../proto/gen/grid/v1/common.ts';
import type { Advertisement } from '../../proto/gen/grid/v1/site.ts';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
import { resourcesOf } from '../fakes/offers.ts';
import { EPOCH, startTestSite, type TestSite } from '../fakes/test-site.ts';

let grid: LiveGrid;
beforeAll(async () => {
  grid = await openLiveGrid();
});
afterAll(() => grid[Symbol.asyncDispose]());

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const linesOf = async (file: string): Promise<readonly string[]> =>
  (await readFile(file, 'utf8')).trim().split('\n');

/** Names of the control groups that tasks have; none where the machine has no such groups. */
function groupsOf({ spool }: TestSite): readonly string[] {
  const file = join(spool, 'control-groups.json');
  if (!existsSync(file)) return [];
  const { tree } = JSON.parse(readFileSync(file, 'utf8')) as { readonly tree: string };
  return readdirSync(tree);
}

describe('a gateway that is killed', () => {
  let site: TestSite;
  beforeAll(async () => {
    site = await startTestSite(grid, 'crash', ['cpus: 20', 'memory: 20G', 'staging-patience: 0s']);
  });
  afterAll(() => site[Symbol.asyncDispose]());

  test('runs each of 30 tasks exactly once, whatever they were doing', async () => {
    const file = join(site.dir, 'ran');
    // Some end while no gateway runs, some later, some have not begun when it is killed.
    const attempts = Array.from({ length: 30 }, (_, at) => ({
      id: `once-${at}`,
      spec: { command: ['sh', '-c', `echo ${at} >>${file}; sleep ${0.3 + (at % 5) * 0.4}`] },
    }));
    await site.place(attempts);
    await pause(200);
    await site.kill();
    await pause(700);
    await site.start();
    const ids = attempts.map(({ id }) => id);
    const updates = await site.untilEnded(ids);
    const ends = updates.filter(({ outcome }) => outcome !== undefined);
    expect(ends.map(({ attemptId }) => attemptId).toSorted()).toEqual(ids.toSorted());
    expect(new Set(ends.map(({ state }) => state))).toEqual(new Set([State.STATE_DONE]));
    const ran = await linesOf(file);
    expect(ran.toSorted()).toEqual(attempts.map((_, at) => String(at)).toSorted());
  });

  test('again and again in the middle of many short tasks, loses none and repeats none', async () => {
    const file = join(site.dir, 'short');
    const attempts = Array.from({ length: 150 }, (_, at) => ({
      id: `short-${at}`,
      spec: { command: ['sh', '-c', `echo ${at} >>${file}`] },
    }));
    await site.place(attempts);
    for (const ms of [40, 90, 150]) {
      await pause(ms);
      await site.kill();
      await site.start();
    }
    const ids = attempts.map(({ id }) => id);
    const updates = await site.untilEnded(ids);
    const ended = updates.filter(({ outcome, attemptId }) => outcome && ids.includes(attemptId));
    expect(ended.filter(({ state }) => state !== State.STATE_DONE)).toEqual([]);
    const ran = await linesOf(file);
    expect(ran.toSorted()).toEqual(attempts.map((_, at) => String(at)).toSorted());
  });

  test('tells of a task whose wrapper was killed meanwhile that it vanished', async () => {
    await site.place([{ id: 'lost', spec: { command: ['sleep', '300'] } }]);
    const started = join(site.spool, 'attempts', 'lost', 'started');
    await expect.poll(() => readFileSync(started, 'utf8')).toMatch(/^\d+ /);
    await site.kill();
    process.kill(Number.parseInt(readFileSync(started, 'utf8'), 10), 'SIGKILL');
    await site.start();
    expect(await site.outcomeOf('lost')).toMatchObject({
      failure: 'site',
      reason: 'TASK_VANISHED',
    });
  });

  test('does not run a task again whose fence a power cut took', async () => {
    const ran = join(site.dir, 'power');
    const command = ['sh', '-c', `echo ran >>${ran}; exec sleep 300`];
    await site.place([{ id: 'power', spec: { command } }]);
    for await (const { attemptId, state } of site.call().watch({ epoch: EPOCH, afterSeq: 0 }))
      if (attemptId === 'power' && state === State.STATE_RUNNING) break;
    await expect.poll(() => existsSync(ran)).toBe(true);
    const started = join(site.spool, 'attempts', 'power', 'started');
    await site.kill();
    process.kill(-Number.parseInt(readFileSync(started, 'utf8'), 10), 'SIGKILL');
    // What was written last had not reached the disk.
    writeFileSync(started, '');
    await site.start();
    expect(await site.outcomeOf('power')).toMatchObject({
      failure: 'site',
      reason: 'TASK_VANISHED',
    });
    expect(await linesOf(ran)).toEqual(['ran']);
    await expect.poll(() => groupsOf(site)).not.toContain('power');
  });

  test('does not blame a task for the signal that it got when the machine was shut down', async () => {
    const ids = ['shut-down', 'ended-itself'];
    await site.place(ids.map((id) => ({ id, spec: { command: ['sleep', '300'] } })));
    const file = (id: string, name: string): string => join(site.spool, 'attempts', id, name);
    for (const id of ids)
      await expect.poll(() => readFileSync(file(id, 'started'), 'utf8')).toMatch(/-.*\n$/);
    await site.kill();
    const begun = readFileSync(file('shut-down', 'started'), 'utf8');
    writeFileSync(file('shut-down', 'started'), begun.replace(/\n.*\n$/, '\nan-earlier-boot\n'));
    for (const id of ids) {
      process.kill(-Number.parseInt(readFileSync(file(id, 'started'), 'utf8'), 10), 'SIGTERM');
      await expect.poll(() => readFileSync(file(id, 'status'), 'utf8')).toContain('end ');
    }
    await site.start();
    expect(await site.outcomeOf('shut-down')).toMatchObject({
      failure: 'site',
      reason: 'TASK_VANISHED',
      detail: 'the machine was shut down while it ran',
    });
    expect(await site.outcomeOf('ended-itself')).toMatchObject({ failure: 'job', signal: 15 });
  });

  test('ends a cancelled task although it was killed right after it had promised to', async () => {
    await site.place([{ id: 'promised', spec: { command: ['sleep', '300'] } }]);
    await pause(200);
    await site.call().control({ epoch: EPOCH, cancel: ['promised'], acknowledgedSeq: 0 });
    await site.kill();
    await site.start();
    expect(await site.outcomeOf('promised')).toMatchObject({ state: State.STATE_CANCELLED });
  });

  test('still minds the walltime of a task that it took up again', async () => {
    const resources = resourcesOf({ memoryBytes: 2 ** 26, walltimeMs: 1_500 });
    await site.place([{ id: 'late', spec: { command: ['sleep', '300'], resources } }]);
    await pause(300);
    await site.kill();
    await site.start();
    expect(await site.outcomeOf('late')).toMatchObject({ reason: 'WALLTIME_EXCEEDED' });
  });

  test('stopped gracefully it leaves tasks running and takes them up again', async () => {
    const file = join(site.dir, 'graceful');
    const wait = `until [ -e ${file}-goes-on ]; do sleep 0.1; done`;
    const command = ['sh', '-c', `echo begun >>${file}; ${wait}; echo ended >>${file}`];
    await site.place([{ id: 'graceful', spec: { command } }]);
    await pause(200);
    // It does not wait for the task, which waits for what comes next.
    await site.stop();
    await site.start();
    writeFileSync(`${file}-goes-on`, '');
    expect(await site.outcomeOf('graceful')).toMatchObject({ state: State.STATE_DONE });
    expect(await linesOf(file)).toEqual(['begun', 'ended']);
  });

  test('takes up tasks though data was being moved beside them', async () => {
    await using moving = await startTestSite(grid, 'moving', ['staging-patience: 60s']);
    const warm = { command: ['grid:warm'], inputs: [{ from: '.', to: '.' }] };
    const inputs = { ...TreeRef.create(), digest: '0'.repeat(64), files: 1, totalBytes: 1 };
    await moving.place([
      { id: 'moves', spec: warm, inputs },
      { id: 'beside', spec: { command: ['sleep', '1'] } },
    ]);
    await pause(300);
    await moving.kill();
    await moving.start();
    expect(await moving.outcomeOf('beside')).toMatchObject({ state: State.STATE_DONE });
    const fromMs = performance.now();
    await moving.stop();
    expect(performance.now() - fromMs).toBeLessThan(45_000);
  });

  test('its journal keeps its name and its numbers', async () => {
    const first = async (): Promise<Advertisement | undefined> => {
      for await (const one of site.call().advertise({ epoch: EPOCH, leaseMs: 9_000 })) return one;
      return undefined;
    };
    const before = await first();
    await site.kill();
    await site.start();
    const after = await first();
    expect(after?.journal).toBe(before?.journal);
    expect(after?.instance).not.toBe(before?.instance);
  });
});

describe('a gateway that has lost its broker', () => {
  test('ends what may be lost before the lease does, and keeps what is to be kept', async () => {
    await using site = await startTestSite(grid, 'lease', ['cpus: 4', 'staging-patience: 0s']);
    // Its tasks are told to end five seconds before it does, and killed half way.
    const leaseMs = 25_000;
    const stop = new AbortController();
    const stream = site.call().advertise({ epoch: EPOCH, leaseMs }, { signal: stop.signal });
    let beacon: Advertisement | undefined;
    for await (const advertisement of stream) {
      beacon = advertisement;
      break;
    }
    stop.abort();
    const { beaconMs = 0, instance = '' } = beacon ?? {};
    const renewal = { epoch: EPOCH, beaconMs, instance, leaseMs, tickets: [], signedUrls: [] };
    await site.call().renew(renewal);
    const begunAtMs = Date.now();
    const stubborn = ['sh', '-c', "trap '' TERM; while :; do sleep 0.1; done"];
    await site.place([
      { id: 'released', spec: { command: stubborn } },
      { id: 'kept', spec: { command: ['sleep', '27'], onLost: 'keep' } },
    ]);
    // The beacon of another run renews nothing.
    await site.call().renew({ ...renewal, instance: 'another', beaconMs: beaconMs + 60_000 });
    const updates = await site.untilEnded(['released', 'kept']);
    const endOf = (id: string) =>
      updates.find(({ attemptId, outcome }) => attemptId === id && outcome !== undefined);
    expect(endOf('released')?.outcome).toMatchObject({ reason: 'LEASE_EXPIRED' });
    const lastedMs = (endOf('released')?.atMs ?? 0) - begunAtMs;
    expect(lastedMs).toBeGreaterThan(leaseMs / 2);
    expect(lastedMs).toBeLessThan(leaseMs);
    expect(endOf('kept')?.state).toBe(State.STATE_DONE);
    const [late] = await site.place([{ id: 'too-late', spec: { command: ['true'] } }]);
    expect(late).toMatchObject({ reason: 'SITE_CLOSED' });
  });
});
