/**
 * Crashes in the middle of an array, on real processes. Each task appends its number to a file outside its directory:
 * the file is the witness of how often it started.
 */
import { chmodSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { processesBelow } from '../../cli/up/process.ts';
import type { BrokerService } from '../../proto/gen/grid/v1/broker.ts';
import type { JobSpec } from '../../proto/gen/grid/v1/common.ts';
import { pause } from '../../service/background.ts';
import type { RpcClient } from '../../service/rpc/rpc.ts';
import { jobEnd, SMALL, submitJobs, wireSpec } from '../support/jobs.ts';
import { eventually, type LocalGrid, startLocalGrid } from '../support/local-grid.ts';

const TASKS = 40;
const array = { first: 1, last: TASKS, step: 1, values: [] };
const everyTask = Array.from({ length: TASKS }, (_, at) => at + 1);

const scratch: string[] = [];
afterEach(() => {
  for (const dir of scratch.splice(0)) rmSync(dir, { recursive: true, force: true });
});

/** Where tasks write down that they have started; they end once they are let go. */
interface Witness {
  readonly file: string;
  readonly starts: () => readonly number[];
  readonly letGo: () => void;
}

function newWitness(): Witness {
  const dir = mkdtempSync(join(tmpdir(), 'hanse-witness-'));
  scratch.push(dir);
  const file = join(dir, 'starts');
  writeFileSync(file, '');
  const starts = (): readonly number[] =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map(Number);
  return { file, starts, letGo: () => writeFileSync(`${file}.go`, '') };
}

/** Submits the array and returns once some tasks, and not all, have started: they wait to be let go. */
async function submitArray(grid: LocalGrid, { file, starts }: Witness): Promise<string> {
  using connection = await grid.broker();
  const wait = `while [ ! -e ${file}.go ]; do sleep 0.1; done`;
  const command = ['sh', '-c', `echo $GRID_TASK >> ${file}; ${wait}; sleep 0.3; echo result`];
  const [id = ''] = await submitJobs(connection.call, [wireSpec(command, { array, retries: 0 })]);
  await eventually('six tasks started', 60_000, async () =>
    starts().length >= 6 ? true : undefined,
  );
  expect(starts().length).toBeLessThan(TASKS);
  return id;
}

/** Submits a job whose tasks need a seat each. */
async function submitSeated(
  broker: RpcClient<BrokerService>,
  command: readonly string[],
  changes: Partial<JobSpec>,
): Promise<string> {
  const resources = { ...SMALL, licences: { seat: 1 } };
  const [id = ''] = await submitJobs(broker, [wireSpec(command, { ...changes, resources })]);
  return id;
}

/** Whether the gateway of a site has so many attempts of a job. */
async function had(broker: RpcClient<BrokerService>, site: string, id: string, many: number) {
  const { attempts } = await broker.inspectSite({ id: site });
  const there = attempts.filter(({ jobId, gatewayState }) => jobId === id && gatewayState !== '');
  return there.length === many ? true : undefined;
}

async function endOf(grid: LocalGrid, id: string) {
  using connection = await grid.broker();
  return await jobEnd(connection.call, id, 240_000);
}

const sorted = (values: readonly number[]): readonly number[] => values.toSorted((a, b) => a - b);

describe('every task ends done, exactly once', () => {
  test('although the broker is killed and started again', async () => {
    await using grid = await startLocalGrid();
    const witness = newWitness();
    const id = await submitArray(grid, witness);
    await grid.crash('broker');
    witness.letGo();
    await pause(500);
    await grid.processes.startBroker();
    const job = await endOf(grid, id);
    expect(job.summary?.counts).toMatchObject({ done: TASKS, failed: 0 });
    expect(sorted(witness.starts())).toEqual(everyTask);
  });

  test('although a gateway is killed and started again', async () => {
    await using grid = await startLocalGrid();
    const witness = newWitness();
    const id = await submitArray(grid, witness);
    const name = grid.plan.sites[0]?.name ?? '';
    await grid.crash(`site-${name}`);
    witness.letGo();
    await pause(500);
    await grid.processes.startSite(name);
    const job = await endOf(grid, id);
    expect(job.summary?.counts).toMatchObject({ done: TASKS, failed: 0 });
    expect(sorted(witness.starts())).toEqual(everyTask);
  });

  test('although nats-server is killed and started again', async () => {
    await using grid = await startLocalGrid();
    const witness = newWitness();
    const id = await submitArray(grid, witness);
    await grid.crash('nats-server');
    witness.letGo();
    const site = grid.plan.sites[0]?.name ?? '';
    const tested = await grid.grid(['site', 'test', site, '--timeout', '5s', '--json']);
    const { links } = JSON.parse(tested.stdout) as { links: readonly unknown[] };
    expect(links.at(-1)).toMatchObject({
      link: 'store',
      ok: false,
      detail: expect.stringMatching(/STAGING_UNAVAILABLE: .*: nothing listens at /),
    });
    await grid.processes.startNats();
    const job = await endOf(grid, id);
    expect(job.summary?.counts).toMatchObject({ done: TASKS, failed: 0 });
    expect(sorted(witness.starts())).toEqual(everyTask);
    const got = await grid.grid(['logs', id, '--task', '7']);
    expect(got).toMatchObject({ code: 0, stdout: 'result\n' });
  });
});

test('tasks of a gateway that never comes back run at the other site', async () => {
  await using grid = await startLocalGrid();
  const witness = newWitness();
  const { starts } = witness;
  const id = await submitArray(grid, witness);
  const lost = grid.plan.sites[0]?.name ?? '';
  await grid.crash(`site-${lost}`);
  witness.letGo();
  const job = await endOf(grid, id);
  expect(job.summary?.counts).toMatchObject({ done: TASKS, failed: 0 });
  expect(new Set(starts())).toEqual(new Set(everyTask));
  // Only what the lost site had may have started twice, and nothing three times.
  const again = starts().length - TASKS;
  expect(again).toBeLessThanOrEqual(TASKS / 2);
  const counts = Map.groupBy(starts(), (task) => task);
  expect(Math.max(...[...counts.values()].map((list) => list.length))).toBeLessThanOrEqual(2);
  using connection = await grid.broker();
  const { sites } = await connection.call.listSites({});
  expect(sites.find((site) => site.id === lost)?.detail).not.toBe('');
});

describe('a site that cannot work', () => {
  test('fails the attempt with a reason, and another site runs the task', async () => {
    const seats = [1, 8].map((seat) => ({ licences: { seat } }));
    await using grid = await startLocalGrid({ siteSettings: seats });
    const [bad = '', good = ''] = grid.plan.sites.map((site) => site.name);
    using connection = await grid.broker();
    // A broken site closes by itself within seconds. It takes some tasks before, which wait there for its only seat.
    const sitter = await submitSeated(connection.call, ['sleep', '300'], { sites: [bad] });
    await eventually('the seat is taken', 60_000, () => had(connection.call, bad, sitter, 1));
    const id = await submitSeated(connection.call, ['true'], {
      array: { first: 1, last: 6, step: 1, values: [] },
      rank: `site.id == "${bad}" ? 1 : 0`,
    });
    await eventually('two tasks wait', 60_000, () => had(connection.call, bad, id, 2));
    const attempts = join(grid.layout.site(bad), 'spool', 'attempts');
    // Root may write anywhere, so a file stands where the directory of attempts should be.
    renameSync(attempts, `${attempts}.away`);
    writeFileSync(attempts, '');
    chmodSync(attempts, 0o000);
    await connection.call.cancelJobs({ jobIds: [sitter], reason: '' });
    const job = await jobEnd(connection.call, id);
    expect(job.summary?.counts).toMatchObject({ done: 6, failed: 0 });
    expect(new Set(job.tasks.map((task) => task.site))).toEqual(new Set([good]));
    const events = [];
    for await (const event of connection.call.watchJob({ jobId: id, afterSeq: 0, follow: false }))
      events.push(event);
    const blamed = events.filter((event) => event.reason === 'SPOOL_UNWRITABLE');
    expect(blamed.map((event) => event.site)).toEqual([bad, bad]);
  });
});

describe('how a task ends is said', () => {
  test.for<[string, readonly string[], Record<string, unknown>]>([
    ['no such command', ['no-such-program'], { exitCode: 127, reason: 'COMMAND_NOT_FOUND' }],
    ['an exit code', ['sh', '-c', 'exit 3'], { exitCode: 3, reason: 'EXIT_NONZERO' }],
    [
      'a signal',
      ['sh', '-c', 'kill -9 $$'],
      { exitCode: 137, signal: 9, reason: 'KILLED_BY_SIGNAL' },
    ],
  ])('%s', async ([, command, expected]) => {
    await using grid = await startLocalGrid({ sites: 1 });
    using connection = await grid.broker();
    const [id = ''] = await submitJobs(connection.call, [wireSpec(command)]);
    const job = await jobEnd(connection.call, id);
    expect(job.tasks[0]?.outcome).toMatchObject(expected);
    expect(job.tasks[0]?.detail).not.toBe('');
  });

  test('100 MB on stdout: the beginning and the end are kept, and the cut is marked', async () => {
    await using grid = await startLocalGrid({ sites: 1 });
    using connection = await grid.broker();
    const script = 'echo first; head -c 104857600 /dev/zero | tr "\\0" x; echo; echo last';
    const [id = ''] = await submitJobs(connection.call, [wireSpec(['sh', '-c', script])]);
    const job = await jobEnd(connection.call, id, 240_000);
    expect(job.summary?.counts).toMatchObject({ done: 1 });
    const { code, stdout } = await grid.grid(['logs', id]);
    expect(code).toBe(0);
    expect(stdout.startsWith('first\n')).toBe(true);
    expect(stdout.endsWith('last\n')).toBe(true);
  });

  test('a double-forked child is ended and named', async () => {
    await using grid = await startLocalGrid({ sites: 1 });
    using connection = await grid.broker();
    const child = '(setsid sh -c "sleep 987 & echo \\$! >pid; wait" >/dev/null 2>&1 &)';
    const script = `${child}; until grep -q sleep "/proc/$(cat pid)/comm"; do sleep 0.1; done; exit 0`;
    const [id = ''] = await submitJobs(connection.call, [wireSpec(['sh', '-c', script])]);
    const job = await jobEnd(connection.call, id);
    expect(job.summary?.counts).toMatchObject({ done: 1 });
    expect(job.tasks[0]?.outcome?.detail).toMatch(/left behind.*sleep/);
    const spool = join(grid.layout.site(grid.plan.sites[0]?.name ?? ''), 'spool');
    expect(processesBelow(join(spool, 'attempts'))).toEqual([]);
  });
});
