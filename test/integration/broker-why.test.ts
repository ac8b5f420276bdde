import { afterEach, beforeEach, expect, test } from 'vitest';
import { jobId } from '../../core/ids.ts';
import { State } from '../../proto/gen/grid/v1/common.ts';
import { type BrokerGrid, newJob, openBrokerGrid, until } from '../fakes/broker-grid.ts';
import type { FakeGateway } from '../fakes/fake-gateway.ts';
import { resourcesOf } from '../fakes/offers.ts';

let grid: BrokerGrid;
beforeEach(async () => {
  grid = await openBrokerGrid();
});
afterEach(() => grid[Symbol.asyncDispose]());

const WALLTIME_MS = 3_600_000;
const MINUTE_MS = 60_000;

/** A site of four cores that runs `count` jobs of Alice, each on `cpus` of them, and has nothing else free. */
async function busySite(count: number, cpus: number): Promise<FakeGateway> {
  const site = await grid.site('aachen');
  site.onPlaced = (attempt) => site.report(attempt, State.STATE_RUNNING);
  const resources = resourcesOf({ cpus, walltimeMs: WALLTIME_MS });
  const ids = await Promise.all(Array.from({ length: count }, () => grid.submit({ resources })));
  for (const id of ids) await until(async () => (await grid.stateOf(id)) === 'running');
  site.offer({ freeCpus: 4 - count * cpus });
  return site;
}
const whyOf = (id: string, person = 'Alice') => grid.as(person).whyJob({ jobId: id });
const submitAs = async (person: string, cpus: number): Promise<string> => {
  const resources = resourcesOf({ cpus, walltimeMs: WALLTIME_MS });
  const jobs = [newJob({ resources })];
  const { jobIds } = await grid
    .as(person)
    .submit({ submitKey: person, jobs, flow: undefined, s3: [] });
  return jobIds[0] ?? '';
};

test('a job that waits for room hears whose turn it is, when there is room and with what it could start now', async () => {
  await busySite(1, 3);
  const older = await grid.submit({ resources: resourcesOf({ cpus: 2, walltimeMs: WALLTIME_MS }) });
  const id = await submitAs('Bob', 3);
  await until(async () => (await whyOf(older)).sites[0]?.refusal === 'no-free-slots');
  const why = await whyOf(id, 'Bob');
  expect(why).toMatchObject({
    answer: 'it waits: the site that could take it is full; nothing is ahead of it',
    sites: [{ site: 'aachen', refusal: 'no-free-slots', detail: 'needs 3 cpus, 1 is free' }],
    tasksAhead: 0,
    ownTasksAhead: 0,
    advice: ['with `cpus: 1`, it could start now at 1 site: aachen'],
    changes: [{ changes: ['with `cpus: 1`'], sites: ['aachen'], startsNow: true }],
    expectedStart: { site: 'aachen', reserved: false },
  });
  // Alice has used more: her job is older and has its turn later.
  expect(await whyOf(older)).toMatchObject({
    answer: 'it waits: the site that could take it is full; 1 task is ahead of it',
    tasksAhead: 1,
    ownTasksAhead: 0,
  });
  expect(why.turns.map(({ node, place, waiting }) => [node, place, waiting])).toEqual([
    ['/demo', 1, 1],
    ['/demo/', 1, 1],
    ['/demo:/DC=org/DC=test/CN=Bob', 1, 2],
  ]);
  const inMs = (why.expectedStart?.byMs ?? 0) - Date.now();
  expect(inMs).toBeGreaterThan(WALLTIME_MS - MINUTE_MS);
  expect(inMs).toBeLessThanOrEqual(WALLTIME_MS);
  expect(Date.now() - (why.sites[0]?.lastHeardAtMs ?? 0)).toBeLessThan(MINUTE_MS);
});

test('a job for which room is kept hears that it is', async () => {
  await busySite(2, 2);
  const id = await grid.submit({ resources: resourcesOf({ cpus: 4, walltimeMs: WALLTIME_MS }) });
  await until(async () => (await whyOf(id)).expectedStart?.reserved === true);
  expect((await whyOf(id)).answer).toContain('it waits: the site that could take it is full');
});

test('a job whose owner has reached a quota hears which', async () => {
  await grid.site('aachen');
  const most = { none: false, most: 1 };
  await grid.as('Root').setQuota({ node: '/demo', runningCpus: most, queuedTasks: undefined });
  const id = await grid.submit({ resources: resourcesOf({ cpus: 2, walltimeMs: WALLTIME_MS }) });
  expect(await whyOf(id)).toMatchObject({
    answer: 'it waits: the only site cannot take it (needs 2 cpus, demo runs 0 of at most 1)',
    sites: [{ refusal: 'quota-reached' }],
    advice: ['with `cpus: 1`, 1 site could run it: aachen'],
  });
});

test('a job that runs is told where, and when that was heard', async () => {
  await busySite(1, 1);
  const wish = { states: [], everyone: false, limit: 1, pageToken: '', name: '' };
  const [job] = (await grid.as('Alice').listJobs(wish)).jobs;
  const why = await whyOf(job?.id ?? '');
  expect(why).toMatchObject({
    answer: 'it is running at aachen',
    sites: [{ site: 'aachen', matches: true, detail: 'it is there' }],
    turns: [],
    advice: [],
  });
  expect(Date.now() - (why.sites[0]?.lastHeardAtMs ?? 0)).toBeLessThan(MINUTE_MS);
});

test('a job that waits in the queue of a site hears why, as that changes', async () => {
  const site = await grid.site('aachen');
  const waits = (attempt: string, detail: string): void =>
    site.report(attempt, State.STATE_SUBMITTED, undefined, undefined, detail);
  site.onPlaced = (attempt) => waits(attempt, 'waits in Slurm');
  const id = await grid.submit({ resources: resourcesOf({ cpus: 1, walltimeMs: WALLTIME_MS }) });
  const answer = async (): Promise<string> => (await whyOf(id)).answer;
  await expect.poll(answer).toBe('it is submitted at aachen: waits in Slurm');
  waits(`${id}.0.1`, 'waits in Slurm: Resources');
  await expect.poll(answer).toBe('it is submitted at aachen: waits in Slurm: Resources');
});

const explain = (person: string, details: Parameters<typeof newJob>[0] = {}) =>
  grid.as(person).explainJob({ spec: newJob(details).spec });

test('a job is explained before there is one, and nothing is stored', async () => {
  await busySite(1, 3);
  const resources = resourcesOf({ cpus: 3, walltimeMs: WALLTIME_MS });
  const inputs = [{ from: 'data.txt', to: 'data.txt' }];
  const why = await explain('Bob', { resources, inputs, stdin: 'data.txt' });
  expect(why).toMatchObject({
    summary: undefined,
    answer: 'it would wait: the site that could take it is full; nothing is ahead of it',
    sites: [{ site: 'aachen', refusal: 'no-free-slots' }],
    advice: ['with `cpus: 1`, it could start now at 1 site: aachen'],
    expectedStart: { site: 'aachen', reserved: false },
  });
  expect((await explain('Bob')).answer).toBe('it could be placed now at aachen');
  const wish = { states: [], everyone: true, limit: 9, pageToken: '', name: '' };
  expect((await grid.as('Bob').listJobs(wish)).jobs).toHaveLength(1);
});

test('a job that could not be submitted is refused in the same words', async () => {
  const codeOf = (call: Promise<unknown>): Promise<string> =>
    call.then(
      () => 'no error',
      (error: { code: string }) => error.code,
    );
  const resources = resourcesOf({ cpus: 0 });
  expect(await codeOf(explain('Alice', { resources }))).toBe('SPEC_INVALID');
  expect(await codeOf(explain('Alice', { requirements: 'site.cpu > 1' }))).toBe('SPEC_INVALID');
  expect(await codeOf(explain('Eve'))).toBe('VO_DENIED');
  expect(await codeOf(explain('Alice', { group: '/demo/none' }))).toBe('VO_DENIED');
  expect(await codeOf(grid.as('Alice').explainJob({ spec: undefined }))).toBe('REQUEST_INVALID');
  const none = { none: false, most: 0 };
  await grid.as('Root').setQuota({ node: '/demo', runningCpus: undefined, queuedTasks: none });
  expect(await codeOf(explain('Alice'))).toBe('QUOTA_EXCEEDED');
});

test('a job whose inputs no site fetches hears from where each does', async () => {
  const site = await grid.site('aachen');
  const digest = 'ab'.repeat(32);
  const from = (address: string) => ({
    from: `${address}#sha256=${digest}`,
    to: address.slice(-1),
  });
  const inputs = [from('https://a.data.org/x'), from('https://other.net:8443/y')];
  expect((await explain('Alice', { inputs })).answer).toBe('it could be placed now at aachen');
  site.offer({ fetchFrom: [{ host: '*.data.org', port: 443 }] });
  await until(async () => (await explain('Alice', { inputs })).sites[0]?.matches === false);
  expect(await explain('Alice', { inputs })).toMatchObject({
    sites: [
      {
        refusal: 'not-fetched',
        detail: 'needs a file from other.net:8443, fetches from *.data.org',
      },
    ],
  });
  const ids = [await grid.submit({ inputs }), await grid.submit({ inputs: inputs.slice(0, 1) })];
  await until(async () => (await grid.stateOf(ids[1] ?? '')) !== 'queued');
  expect(await grid.stateOf(ids[0] ?? '')).toBe('queued');
  expect(site.placed.map(({ attempt }) => attempt.jobId)).toEqual([ids[1]]);
  site.offer({ fetchFrom: [] });
  await until(
    async () => (await whyOf(ids[0] ?? '')).sites[0]?.detail.endsWith('no host') === true,
  );
});

test('a job in an image hears what each site has for it', async () => {
  const site = await grid.site('aachen', { features: [] });
  const job = { image: 'python:3.12', network: 'none' } as const;
  const refusalOf = async (): Promise<string | undefined> =>
    (await explain('Alice', job)).sites[0]?.detail;
  expect(await explain('Alice', job)).toMatchObject({
    sites: [{ refusal: 'no-image', detail: 'needs image python:3.12, offers no containers' }],
  });
  site.offer({ containers: { runtime: 'podman', images: ['ghcr.io/lab/'] } });
  await until(
    async () =>
      (await refusalOf()) === 'needs image python:3.12, offers images of ghcr.io/lab/ only',
  );
  // The image keeps the network away by itself, and the site has no other sandbox.
  site.offer({ containers: { runtime: 'podman', images: [] } });
  await until(
    async () => (await explain('Alice', job)).answer === 'it could be placed now at aachen',
  );
  expect(await explain('Alice', { network: 'none' })).toMatchObject({
    sites: [{ refusal: 'no-sandbox' }],
  });
});

test('a job that comes after others would wait for those that have not ended', async () => {
  const first = await grid.submit();
  const why = await explain('Alice', { after: [{ job: jobId(first), when: 'ok' }] });
  expect(why).toMatchObject({ answer: `it would wait for ${first} to end`, waitsFor: [first] });
});

test('a job that is held while a task of it runs hears that it runs on', async () => {
  const site = await grid.site('aachen');
  site.onPlaced = (attempt) => site.report(attempt, State.STATE_RUNNING);
  const id = await grid.submit({ resources: resourcesOf({ cpus: 1 }) });
  await until(async () => (await grid.stateOf(id)) === 'running');
  await grid.as('Alice').holdJobs({ jobIds: [id], reason: ' calibra\u001b[2J\ntion\n' });
  expect((await whyOf(id)).answer).toMatch(
    /^it is held by .*CN=Alice: calibra \[2J tion; what is at aachen runs on$/,
  );
});

test('with the change that why advises a job does start', async () => {
  await busySite(1, 3);
  const resources = resourcesOf({ cpus: 3, walltimeMs: WALLTIME_MS });
  const id = await grid.submit({ resources });
  await until(async () => (await whyOf(id)).sites[0]?.refusal === 'no-free-slots');
  expect((await whyOf(id)).changes).toMatchObject([
    { changes: ['with `cpus: 1`'], startsNow: true },
  ]);
  const changed = await grid.submit({ resources: { ...resources, cpus: 1 } });
  await until(async () => (await grid.stateOf(changed)) === 'running');
  expect(await grid.stateOf(id)).toBe('queued');
});

test('jobs of a VO that is served no more wait until it is again, and hear why', async () => {
  const site = await grid.site('aachen', { freeCpus: 0, backlog: 0 });
  const id = await grid.submit();
  await grid.restart(['other']);
  site.offer({ freeCpus: 4 });
  await until(async () => (await grid.as('Root').listSites({})).sites[0]?.offer?.freeCpus === 4);
  expect(await whyOf(id)).toMatchObject({
    answer: 'it waits: this broker does not serve VO demo any more (serves: other)',
    sites: [],
    advice: ['ask an administrator of the grid to add the VO to `vos` of its broker'],
  });
  expect(site.placed).toEqual([]);
  await grid.restart();
  await until(() => site.placed.length === 1);
});
