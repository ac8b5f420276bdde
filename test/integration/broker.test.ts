import { afterEach, beforeEach, expect, test } from 'vitest';
import { jobId } from '../../core/ids.ts';
import { FailureKind, State, Stream } from '../../proto/gen/grid/v1/common.ts';
import { type BrokerGrid, newJob, openBrokerGrid, until } from '../fakes/broker-grid.ts';
import { type FakeGateway, finishAll } from '../fakes/fake-gateway.ts';
import { resourcesOf } from '../fakes/offers.ts';

let grid: BrokerGrid;
beforeEach(async () => {
  grid = await openBrokerGrid();
});
afterEach(() => grid[Symbol.asyncDispose]());

const ends = (id: string, state: string): Promise<void> =>
  until(async () => (await grid.stateOf(id)) === state);
const placedAt = (gateway: FakeGateway, count = 1): Promise<void> =>
  until(() => gateway.placed.length >= count);
const lastPlaced = (gateway: FakeGateway): string => gateway.placed.at(-1)?.attempt.attemptId ?? '';
const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'no error',
    (error: { code: string }) => error.code,
  );

test('a job goes to a site, and its events tell the story', async () => {
  const site = await grid.site('aachen');
  site.onPlaced = finishAll(site);
  const id = await grid.submit({ name: 'hello', array: { kind: 'list', values: ['red', 'blue'] } });
  await ends(id, 'done');
  const { summary, tasks } = await grid.job(id);
  expect(summary).toMatchObject({ name: 'hello', tasks: 2, sites: ['aachen'] });
  expect(summary?.counts).toMatchObject({ queued: 0, active: 0, done: 2 });
  expect(tasks.map(({ value, state, attempts }) => [value, state, attempts])).toEqual([
    ['red', State.STATE_DONE, 1],
    ['blue', State.STATE_DONE, 1],
  ]);
  const events: string[] = [];
  for await (const event of grid.as('Alice').watchJob({ jobId: id, afterSeq: 0, follow: true }))
    events.push(`${event.ordinal} ${event.kind}`);
  expect(events.filter((line) => line.startsWith('0'))).toEqual(['0 match', '0 start', '0 finish']);
  expect([events[0], events.at(-1)]).toEqual(['-1 accept', '-1 end']);
  const [first] = site.placed;
  expect(first?.job.owner).toEqual({
    dn: '/DC=org/DC=test/CN=Alice',
    vo: 'demo',
    fqans: ['/demo'],
  });
  expect(first?.attempt).toMatchObject({ attemptId: `${id}.0.1`, ordinal: 0, taskValue: 'red' });
});

test('submitting twice with one key is submitting once, also at the same time and after a restart', async () => {
  const request = { submitKey: 'k', jobs: [newJob({ name: 'one' }), newJob({ name: 'two' })] };
  const submit = (wanted: typeof request) => grid.as('Alice').submit(wanted);
  const [first, second] = await Promise.all([submit(request), submit(request)]);
  expect(first.jobIds).toHaveLength(2);
  expect(second).toEqual(first);
  await grid.restart();
  expect(await submit(request)).toEqual(first);
  expect(await codeOf(submit({ submitKey: 'k', jobs: [newJob()] }))).toBe('SUBMIT_KEY_REUSED');
  expect((await grid.as('Bob').submit(request)).jobIds).not.toEqual(first.jobIds);
  const wish = { states: [], everyone: false, limit: 0, pageToken: '', name: '' };
  const { jobs } = await grid.as('Alice').listJobs(wish);
  expect(jobs.map(({ name }) => name)).toEqual(['two', 'one']);
});

test('a batch with one bad job is refused as a whole, with every problem', async () => {
  const jobs = [newJob(), newJob({ command: [], retries: -1 >>> 0, requirements: 'site.cpu > 1' })];
  const refusal = await grid
    .as('Alice')
    .submit({ submitKey: 'k', jobs })
    .catch((error: { code: string; problems: { where: string }[] }) => error);
  expect(refusal).toMatchObject({ code: 'SPEC_INVALID' });
  expect('problems' in refusal && refusal.problems.map(({ where }) => where)).toEqual([
    'jobs[1].command',
    'jobs[1].retries',
    'jobs[1].requirements:1:6',
  ]);
  const wish = { states: [], everyone: false, limit: 0, pageToken: '', name: '' };
  expect((await grid.as('Alice').listJobs(wish)).jobs).toEqual([]);
});

test('who is in no VO cannot submit, and sees of the jobs of others nothing at all', async () => {
  const id = await grid.submit();
  const eve = grid.as('Eve');
  const bob = grid.as('Bob');
  const whole = { jobId: id, summaryOnly: true, firstTask: 0, maxTasks: 0 };
  const wish = { states: [], everyone: true, limit: 0, pageToken: '', name: '' };
  expect(await codeOf(eve.submit({ submitKey: 'k', jobs: [newJob()] }))).toBe('VO_DENIED');
  expect(await codeOf(eve.getJob(whole))).toBe('JOB_NOT_FOUND');
  expect(await codeOf(bob.getJob(whole))).toBe('PERMISSION_DENIED');
  expect(await codeOf(bob.cancelJobs({ jobIds: [id], reason: '' }))).toBe('PERMISSION_DENIED');
  expect((await eve.listJobs(wish)).jobs).toEqual([]);
  expect((await bob.listJobs(wish)).jobs.map((job) => job.id)).toEqual([id]);
  expect((await bob.listJobs({ ...wish, everyone: false })).jobs).toEqual([]);
  expect(await codeOf(bob.enrolSite({ id: 'x', address: 'h:1', dn: '/CN=h' }))).toBe(
    'PERMISSION_DENIED',
  );
});

test('a job waits for those after which it comes, and ends when one of them has failed', async () => {
  const site = await grid.site('aachen');
  const first = await grid.submit();
  await placedAt(site);
  const second = await grid.submit({ after: [jobId(first)] });
  const third = await grid.submit({ after: [jobId(second)] });
  const why = await grid.as('Alice').whyJob({ jobId: second });
  expect(why).toMatchObject({ waitsFor: [first], answer: `it waits for ${first} to end` });
  await grid.restart();
  site.report(lastPlaced(site), State.STATE_DONE);
  await placedAt(site, 2);
  expect(lastPlaced(site)).toBe(`${second}.0.1`);
  site.report(lastPlaced(site), State.STATE_FAILED, FailureKind.FAILURE_KIND_JOB);
  await ends(third, 'cancelled');
  expect((await grid.job(third)).summary).toMatchObject({
    reason: 'DEPENDENCY_FAILED',
    detail: `it waited for ${second}, which has ended failed`,
  });
  const late = await grid.submit({ after: [jobId(second)] });
  expect(await grid.stateOf(late)).toBe('cancelled');
  const unknown = newJob({ after: [jobId('j00000000000')] });
  const answer = grid.as('Alice').submit({ submitKey: 'x', jobs: [unknown] });
  expect(await codeOf(answer)).toBe('SPEC_INVALID');
});

test('cancelling ends what waits at once and what runs when its site says so', async () => {
  const site = await grid.site('aachen', { totalCpus: 1, freeCpus: 1 });
  const id = await grid.submit({ array: { kind: 'range', first: 1, last: 1_000_000, step: 1 } });
  await placedAt(site);
  site.report(lastPlaced(site), State.STATE_RUNNING);
  const request = { jobIds: [id], reason: 'changed my mind' };
  expect(await grid.as('Alice').cancelJobs(request)).toEqual({
    cancelling: [id],
    alreadyEnded: [],
  });
  await ends(id, 'cancelled');
  const { summary, tasks } = await grid.job(id);
  expect(summary?.counts).toMatchObject({ queued: 0, active: 0, cancelled: 1_000_000 });
  expect(summary?.detail).toBe('cancelled by /DC=org/DC=test/CN=Alice: changed my mind');
  expect(tasks).toHaveLength(1);
  expect(site.cancelled).toEqual([`${id}.0.1`]);
  expect(await grid.as('Alice').cancelJobs(request)).toEqual({
    cancelling: [],
    alreadyEnded: [id],
  });
});

test('why says of each site what fails, with both values, and what would help', async () => {
  await grid.site('aachen');
  await grid.site('bremen', { totalCpus: 16, freeCpus: 16, totalMemoryBytes: 2 ** 29 });
  const id = await grid.submit({
    resources: resourcesOf({ cpus: 8, walltimeMs: 60_000 }),
  });
  const why = await grid.as('Alice').whyJob({ jobId: id });
  expect(why.answer).toBe('it waits: none of the 2 sites can take it as it is');
  expect(why.sites).toEqual([
    { site: 'aachen', matches: false, refusal: 'too-few-cpus', detail: 'needs 8 cpus, offers 4' },
    {
      site: 'bremen',
      matches: false,
      refusal: 'too-little-memory',
      detail: 'needs 1 GiB, offers 512 MiB',
    },
  ]);
  expect(why.advice).toEqual([]);
  const wide = await grid.submit({
    resources: resourcesOf({ cpus: 32, memoryBytes: 2 ** 20, walltimeMs: 60_000 }),
  });
  expect((await grid.as('Alice').whyJob({ jobId: wide })).advice).toEqual([
    'with `cpus: 16`, 1 site',
  ]);
});

test('output comes from the site while it has it', async () => {
  const site = await grid.site('aachen');
  const id = await grid.submit();
  await placedAt(site);
  await until(async () => (await grid.job(id)).tasks.length === 1);
  const wish = { jobId: id, ordinal: 0, stream: Stream.STREAM_STDOUT, offset: 0, follow: false };
  const seen: string[] = [];
  for await (const { data } of grid.as('Alice').tailTask(wish)) seen.push(data.toString());
  expect(seen).toEqual([`output of ${id}.0.1`]);
});
