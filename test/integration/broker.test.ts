import { afterEach, beforeEach, expect, test } from 'vitest';
import { FailureKind, State, Stream } from '../../proto/gen/grid/v1/common.ts';
import { brokerContract } from '../contract/broker.contract.ts';
import { type BrokerGrid, newJob, openBrokerGrid, until } from '../fakes/broker-grid.ts';
import type { FakeGateway } from '../fakes/fake-gateway.ts';
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

brokerContract('SQLite', () => openBrokerGrid());

test('a batch with one bad job is refused as a whole, with every problem', async () => {
  const jobs = [newJob(), newJob({ command: [], retries: -1 >>> 0, requirements: 'site.cpu > 1' })];
  const refusal = await grid
    .as('Alice')
    .submit({ submitKey: 'k', jobs, flow: undefined, s3: [] })
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

test('a tree of files does not go with the manifest of another one', async () => {
  const { inputs } = newJob();
  const mixed = { ...inputs, digest: Buffer.alloc(32, 1), manifest: Buffer.from('of another') };
  const jobs = [{ ...newJob(), inputs: mixed }];
  const wish = { submitKey: 'k', jobs, flow: undefined, s3: [] };
  await expect(grid.as('Alice').submit(wish)).rejects.toThrow('manifest is not the one of tree 01');
});

test('who is in no VO cannot submit, and sees of the jobs of others nothing at all', async () => {
  const id = await grid.submit();
  const eve = grid.as('Eve');
  const bob = grid.as('Bob');
  const whole = { jobId: id, summaryOnly: true, firstTask: 0, maxTasks: 0 };
  const wish = { states: [], everyone: true, limit: 0, pageToken: '', name: '' };
  expect(
    await codeOf(eve.submit({ submitKey: 'k', jobs: [newJob()], flow: undefined, s3: [] })),
  ).toBe('VO_DENIED');
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

test('a digest is told to nobody but who may read what it names', async () => {
  const digest = 'ab'.repeat(32);
  const site = await grid.site('aachen', { warmTrees: [digest] });
  const { sites } = await grid.as('Bob').listSites({});
  expect(sites.map(({ offer }) => offer?.warmTrees)).toEqual([[]]);
  const id = await grid.submit();
  await placedAt(site);
  const detail = `chunk ${digest} has 3 bytes with another digest`;
  site.report(
    lastPlaced(site),
    ...([State.STATE_FAILED, FailureKind.FAILURE_KIND_LIMIT, 'CHUNK_CORRUPT', detail] as const),
  );
  await ends(id, 'failed');
  const wish = { states: [], everyone: true, limit: 0, pageToken: '', name: '' };
  const [seen] = (await grid.as('Bob').listJobs(wish)).jobs;
  expect(seen?.detail).toContain('chunk abababab... has 3 bytes with another digest');
  const whole = { jobId: id, summaryOnly: true, firstTask: 0, maxTasks: 0 };
  expect((await grid.as('Alice').getJob(whole)).summary?.detail).toContain(digest);
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
  expect(why.answer).toBe(
    'it waits: no single site is large enough, and a task never spreads over sites',
  );
  expect(why.sites).toMatchObject([
    { site: 'aachen', matches: false, refusal: 'too-few-cpus', detail: 'needs 8 cpus, offers 4' },
    {
      site: 'bremen',
      matches: false,
      refusal: 'too-little-memory',
      detail: 'needs 1 GiB, offers 512 MiB',
    },
  ]);
  expect(why.advice).toEqual([
    'with `cpus: 4`, 1 site could run it: aachen',
    'with `memory: 512M`, 1 site could run it: bremen',
  ]);
  const wide = await grid.submit({
    resources: resourcesOf({ cpus: 32, memoryBytes: 2 ** 20, walltimeMs: 60_000 }),
  });
  expect((await grid.as('Alice').whyJob({ jobId: wide })).advice).toEqual([
    'with `cpus: 16`, 1 site could run it: bremen',
  ]);
});

test('output comes from the site while it has it', async () => {
  const site = await grid.site('aachen');
  const id = await grid.submit();
  await placedAt(site);
  await until(async () => (await grid.job(id)).tasks.length === 1);
  const wish = {
    jobId: id,
    ordinal: 0,
    stream: Stream.STREAM_STDOUT,
    file: '',
    offset: 0,
    follow: false,
  };
  const seen: string[] = [];
  for await (const { data } of grid.as('Alice').tailTask(wish)) seen.push(data.toString());
  expect(seen).toEqual([`output of ${id}.0.1`]);
});
