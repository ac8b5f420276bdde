import { afterEach, beforeEach, expect, test } from 'vitest';
import { jobId } from '../../core/ids.ts';
import { FailureKind, State } from '../../proto/gen/grid/v1/common.ts';
import { type BrokerGrid, openBrokerGrid, until } from '../fakes/broker-grid.ts';
import { type FakeGateway, finishAll } from '../fakes/fake-gateway.ts';

let grid: BrokerGrid;
beforeEach(async () => {
  grid = await openBrokerGrid();
});
afterEach(() => grid[Symbol.asyncDispose]());

const GIB = 2 ** 30;
const ends = (id: string, state: string): Promise<void> =>
  until(async () => (await grid.stateOf(id)) === state);
const placedAt = (gateway: FakeGateway, count = 1): Promise<void> =>
  until(() => gateway.placed.length >= count);
const lastPlaced = (gateway: FakeGateway): string => gateway.placed.at(-1)?.attempt.attemptId ?? '';
const memoriesOf = ({ placed }: FakeGateway): readonly number[] =>
  placed.map(({ attempt }) => attempt.memoryBytes / GIB);

test('a task that had too little memory gets more, also after a restart, until it has the most', async () => {
  const site = await grid.site('aachen');
  const id = await grid.submit({ retryMemory: 4 });
  const outOfMemory = () =>
    site.report(
      lastPlaced(site),
      State.STATE_FAILED,
      FailureKind.FAILURE_KIND_LIMIT,
      'MEMORY_EXCEEDED',
    );
  await placedAt(site);
  outOfMemory();
  await placedAt(site, 2);
  await grid.restart();
  outOfMemory();
  await placedAt(site, 3);
  outOfMemory();
  await ends(id, 'failed');
  expect(memoriesOf(site)).toEqual([0, 4, 8]);
  expect((await grid.job(id)).summary?.detail).toBe(
    'the test said so; 8 GiB is 8 times what the job asked for, and the most',
  );
});

const MILLION = { kind: 'range', first: 1, last: 1_000_000, step: 1 } as const;
const array = (last: number) => ({ array: { ...MILLION, last } });
const hold = (id: string, who = 'Alice') =>
  grid.as(who).holdJobs({ jobIds: [id], reason: 'wrong input' });
const free = (id: string, who = 'Alice') => grid.as(who).releaseJobs({ jobIds: [id] });
const again = (id: string, wish: { failedOnly?: boolean; ordinals?: number[] } = {}) =>
  grid.as('Alice').retryJob({ jobId: id, failedOnly: false, ordinals: [], ...wish });
const refusal = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'no error',
    ({ code, message }: { code: string; message: string }) => `${code}: ${message}`,
  );
const failed = (gateway: FakeGateway, id: string) =>
  gateway.report(id, State.STATE_FAILED, FailureKind.FAILURE_KIND_JOB);
/** A site with two cores, which are busy from its first attempt on. */
const smallSite = async (): Promise<FakeGateway> => {
  const site = await grid.site('aachen', { totalCpus: 2, freeCpus: 2 });
  site.onPlaced = () => site.offer({ freeCpus: 0 });
  return site;
};
const letRun = (site: FakeGateway): void => {
  site.onPlaced = finishAll(site);
  site.offer({ freeCpus: 2 });
};
const countsOf = async (id: string) => (await grid.job(id)).summary?.counts;

test('an array that is held stays where it is, also after a restart, and costs no rows', async () => {
  const id = await grid.submit({ array: MILLION });
  expect(await hold(id)).toEqual({ held: [id] });
  expect(await hold(id)).toEqual({ held: [id] });
  await grid.restart();
  const site = await grid.site('aachen');
  const other = await grid.submit();
  await placedAt(site);
  expect(site.placed.map(({ attempt }) => attempt.jobId)).toEqual([other]);
  expect(await countsOf(id)).toMatchObject({ queued: 0, held: 1_000_000 });
  expect((await grid.job(id)).summary).toMatchObject({
    state: State.STATE_HELD,
    reason: 'HELD_BY_OWNER',
    detail: 'held by /DC=org/DC=test/CN=Alice: wrong input',
  });
  const why = await grid.as('Alice').whyJob({ jobId: id });
  expect(why).toMatchObject({
    answer: 'it is held by /DC=org/DC=test/CN=Alice: wrong input',
    advice: [`\`grid release ${id}\``],
  });
  await free(id);
  await placedAt(site, 2);
  expect(await countsOf(id)).toMatchObject({ held: 0 });
  expect((await grid.job(id)).summary).toMatchObject({ reason: '', detail: '' });
});

test('what runs of a held job runs on, and what comes back is held', async () => {
  const site = await smallSite();
  const id = await grid.submit({ ...array(3), retries: 5 });
  await placedAt(site, 2);
  await hold(id);
  const [first, second] = site.placed.map(({ attempt }) => attempt.attemptId);
  site.report(first ?? '', State.STATE_DONE);
  failed(site, second ?? '');
  await ends(id, 'held');
  expect(await countsOf(id)).toMatchObject({ done: 1, held: 2, queued: 0 });
  letRun(site);
  await free(id);
  await ends(id, 'done');
});

test('a held job is cancelled like any other, and retried like any other', async () => {
  const id = await grid.submit({ array: MILLION });
  await hold(id);
  await grid.as('Alice').cancelJobs({ jobIds: [id], reason: '' });
  await ends(id, 'cancelled');
  expect(await countsOf(id)).toMatchObject({ cancelled: 1_000_000, held: 0, queued: 0 });
  expect(await again(id)).toEqual({ tasks: 1_000_000 });
  expect(await countsOf(id)).toMatchObject({ cancelled: 0, queued: 1_000_000 });
});

test('a job that has failed while it was held can be retried', async () => {
  const site = await grid.site('aachen');
  const id = await grid.submit();
  await placedAt(site);
  await hold(id);
  failed(site, lastPlaced(site));
  await ends(id, 'failed');
  letRun(site);
  expect(await again(id)).toEqual({ tasks: 1 });
  await ends(id, 'done');
});

test('what an administrator holds its owner cannot release', async () => {
  const id = await grid.submit();
  await hold(id);
  await hold(id, 'Root');
  await hold(id);
  expect(await refusal(free(id))).toBe(
    `PERMISSION_DENIED: job ${id} is held by /DC=org/DC=test/CN=Root: wrong input`,
  );
  expect(await free(id, 'Root')).toEqual({ released: [id] });
});

test('a task whose credential has ended is held with what to do, and runs once it is released', async () => {
  const site = await grid.site('aachen');
  const id = await grid.submit();
  await placedAt(site);
  site.report(lastPlaced(site), State.STATE_FAILED, FailureKind.FAILURE_KIND_CREDENTIAL);
  await ends(id, 'held');
  const why = await grid.as('Alice').whyJob({ jobId: id });
  expect(why.answer).toBe('it is held: the test said so');
  expect(why.advice).toEqual([
    `renew what the detail names, then \`grid release ${id}\`, for S3 inputs \`grid release ${id} --s3\``,
  ]);
  await grid.restart();
  site.onPlaced = finishAll(site);
  await free(id);
  await ends(id, 'done');
});

test('of an array that has ended only what failed is tried again, under the same id', async () => {
  const site = await grid.site('aachen', { totalCpus: 8, freeCpus: 8 });
  site.onPlaced = (attempt) => {
    const bad = /\.[13]\.1$/.test(attempt);
    if (bad) failed(site, attempt);
    else finishAll(site)(attempt);
  };
  const id = await grid.submit(array(5));
  await ends(id, 'failed');
  const before = site.placed.length;
  await grid.restart();
  expect(await again(id, { failedOnly: true })).toEqual({ tasks: 2 });
  await ends(id, 'done');
  const retried = site.placed.slice(before).map(({ attempt }) => attempt.attemptId);
  expect(retried).toEqual([`${id}.1.2`, `${id}.3.2`]);
  const { summary, tasks } = await grid.job(id);
  expect(summary).toMatchObject({ reason: '', detail: '' });
  expect(summary?.counts).toMatchObject({ done: 5, failed: 0 });
  expect(tasks.map(({ attempts }) => attempts)).toEqual([1, 2, 1, 2, 1]);
  const kinds: string[] = [];
  for await (const { kind, detail } of grid
    .as('Alice')
    .watchJob({ jobId: id, afterSeq: 0, follow: true }))
    kinds.push(`${kind} ${detail}`.trim());
  expect(kinds).toContain('retry-job retried by /DC=org/DC=test/CN=Alice');
  expect(kinds.filter((kind) => kind.startsWith('end'))).toHaveLength(2);
});

test('failed tasks of an array that goes on are tried again, named one by one', async () => {
  const site = await grid.site('aachen', { totalCpus: 2, freeCpus: 2 });
  const id = await grid.submit(array(2));
  await placedAt(site, 2);
  failed(site, `${id}.0.1`);
  await until(async () => (await countsOf(id))?.failed === 1);
  expect(await again(id, { ordinals: [0] })).toEqual({ tasks: 1 });
  await placedAt(site, 3);
  expect(lastPlaced(site)).toBe(`${id}.0.2`);
  site.report(`${id}.0.2`, State.STATE_DONE);
  site.report(`${id}.1.1`, State.STATE_DONE);
  await ends(id, 'done');
});

test('two retries at once are one', async () => {
  const site = await grid.site('aachen');
  const id = await grid.submit();
  await placedAt(site);
  failed(site, lastPlaced(site));
  await ends(id, 'failed');
  const answers = await Promise.all([refusal(again(id)), refusal(again(id))]);
  expect(answers.toSorted()).toEqual([
    `JOB_EVENT_REFUSED: job ${id} has no task that failed or was cancelled`,
    'no error',
  ]);
  await placedAt(site, 2);
});

test('an array that was cancelled half-way goes on where it was', async () => {
  const site = await smallSite();
  const id = await grid.submit(array(4));
  await placedAt(site, 2);
  site.report(`${id}.0.1`, State.STATE_DONE);
  await grid.as('Alice').cancelJobs({ jobIds: [id], reason: '' });
  await ends(id, 'cancelled');
  expect(await refusal(again(id, { failedOnly: true }))).toBe(
    `JOB_EVENT_REFUSED: job ${id} was cancelled before 2 of its 4 tasks began: it can only be retried as a whole`,
  );
  letRun(site);
  expect(await again(id)).toEqual({ tasks: 3 });
  await ends(id, 'done');
  expect(await countsOf(id)).toMatchObject({ done: 4 });
});

test('what waited in vain is retried after what it waited for', async () => {
  const site = await grid.site('aachen');
  const first = await grid.submit();
  const second = await grid.submit({ after: [{ job: jobId(first), when: 'ok' }] });
  await placedAt(site);
  failed(site, lastPlaced(site));
  await ends(second, 'cancelled');
  expect(await refusal(again(second))).toBe(
    `JOB_EVENT_REFUSED: job ${second} waits for ${first}, which has ended failed: retry that one first`,
  );
  await again(first);
  await again(second);
  await placedAt(site, 2);
  expect(await grid.stateOf(second)).toBe('queued');
  site.onPlaced = finishAll(site);
  site.report(`${first}.0.2`, State.STATE_DONE);
  await ends(second, 'done');
});

test('what cannot be held, released or retried is refused, and says why', async () => {
  const site = await grid.site('aachen');
  const id = await grid.submit();
  await placedAt(site);
  site.report(lastPlaced(site), State.STATE_RUNNING);
  await ends(id, 'running');
  const code = `JOB_EVENT_REFUSED: job ${id}`;
  expect(await refusal(free(id))).toBe(`${code} is running, not held`);
  expect(await refusal(again(id))).toBe(`${code} has no task that failed or was cancelled`);
  expect(await refusal(again(id, { ordinals: [0] }))).toBe(
    `JOB_EVENT_REFUSED: task 0 of job ${id} is none that has failed or was cancelled`,
  );
  const owned = `PERMISSION_DENIED: job ${id} belongs to /DC=org/DC=test/CN=Alice`;
  const bob = grid.as('Bob');
  const wish = { jobId: id, failedOnly: false, ordinals: [] };
  expect(await refusal(bob.retryJob(wish))).toBe(owned);
  expect(await refusal(bob.holdJobs({ jobIds: [id], reason: '' }))).toBe(owned);
  expect(await refusal(bob.releaseJobs({ jobIds: [id] }))).toBe(owned);
  const unknown = "JOB_NOT_FOUND: there is no job 'j0'";
  expect(await refusal(again('j0'))).toBe(unknown);
  expect(await refusal(hold('j0'))).toBe(unknown);
  const flow = "there is no job 'f0123456789a' (that is a flow: `grid flow status f0123456789a`)";
  expect(await refusal(again('f0123456789a'))).toBe(`JOB_NOT_FOUND: ${flow}`);
  site.report(lastPlaced(site), State.STATE_DONE);
  await ends(id, 'done');
  expect(await refusal(hold(id))).toBe(`${code} has ended: it cannot be held`);
  expect(await refusal(again(id))).toBe(`${code} has no task that failed or was cancelled`);
});

test('of an array with max-running no more are at sites than it says', async () => {
  const site = await grid.site('aachen', { totalCpus: 16, freeCpus: 16, backlog: 8 });
  const live = new Set<string>();
  const most: number[] = [];
  site.onPlaced = (attempt) => {
    live.add(attempt);
    most.push(live.size);
    setTimeout(() => {
      live.delete(attempt);
      site.report(attempt, State.STATE_DONE);
    }, 5);
  };
  const id = await grid.submit({ ...array(40), maxRunning: 3 });
  await ends(id, 'done');
  expect(most).toHaveLength(40);
  expect(Math.max(...most)).toBe(3);
});

test('a million tasks come to a few ranges, the telling ones first', async () => {
  const site = await smallSite();
  const id = await grid.submit({ array: MILLION });
  await placedAt(site, 2);
  failed(site, `${id}.1.1`);
  await until(async () => (await countsOf(id))?.failed === 1);
  const ask = () => grid.as('Alice').listTaskRanges({ jobId: id, maxTelling: 1 });
  const { ranges, cut, telling } = await ask();
  expect(ranges).toEqual([
    { state: State.STATE_MATCHED, first: 0, last: 0 },
    { state: State.STATE_FAILED, first: 1, last: 1 },
    { state: State.STATE_QUEUED, first: 2, last: 999_999 },
  ]);
  expect(cut).toBe(false);
  expect(telling.map(({ ordinal, reason }) => [ordinal, reason])).toEqual([[1, 'TEST_FAILED']]);
  await hold(id);
  expect((await ask()).ranges.at(-1)).toEqual({ state: State.STATE_HELD, first: 2, last: 999_999 });
});
