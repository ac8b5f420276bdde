import { afterEach, beforeEach, expect, test } from 'vitest';
import { siteId } from '../../core/ids.ts';
import { Eviction, SiteState } from '../../proto/gen/grid/v1/broker.ts';
import { FailureKind, State } from '../../proto/gen/grid/v1/common.ts';
import { type BrokerGrid, newJob, openBrokerGrid, until } from '../fakes/broker-grid.ts';
import { type FakeGateway, finishAll } from '../fakes/fake-gateway.ts';

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
test('a restart keeps jobs that wait and attempts that run, under a higher epoch', async () => {
  const site = await grid.site('aachen', { totalCpus: 1, freeCpus: 1 });
  const running = await grid.submit();
  await placedAt(site);
  site.offer({ freeCpus: 0 });
  site.report(lastPlaced(site), State.STATE_RUNNING);
  await ends(running, 'running');
  const waiting = await grid.submit({ array: { kind: 'range', first: 1, last: 3, step: 1 } });
  const before = grid.epoch();
  await grid.restart();
  expect(grid.epoch()).toBe(before + 1);
  expect(await grid.stateOf(running)).toBe('running');
  expect(await grid.stateOf(waiting)).toBe('queued');
  await until(() => site.epochs.has(before + 1));
  site.report(lastPlaced(site), State.STATE_DONE);
  await ends(running, 'done');
  site.onPlaced = finishAll(site);
  site.offer({ freeCpus: 1 });
  await ends(waiting, 'done');
  expect(site.placed.map(({ attempt }) => attempt.attemptId).toSorted()).toEqual(
    [`${running}.0.1`, `${waiting}.0.1`, `${waiting}.1.1`, `${waiting}.2.1`].toSorted(),
  );
});

test('updates that were made while the broker was away arrive once', async () => {
  const site = await grid.site('aachen');
  const id = await grid.submit();
  await placedAt(site);
  site.report(lastPlaced(site), State.STATE_RUNNING);
  await ends(id, 'running');
  await site.cut();
  site.report(lastPlaced(site), State.STATE_STAGING_OUT);
  site.report(lastPlaced(site), State.STATE_DONE);
  await site.join();
  await ends(id, 'done');
  expect(site.placed).toHaveLength(1);
});

test('a site that falls silent is lost, its task runs elsewhere, and a late result counts', async () => {
  const first = await grid.site('aachen', { totalCpus: 4, freeCpus: 4 });
  const id = await grid.submit();
  await placedAt(first);
  first.report(lastPlaced(first), State.STATE_RUNNING);
  await ends(id, 'running');
  const second = await grid.site('bremen');
  await first.cut();
  await placedAt(second);
  const { sites } = await grid.as('Alice').listSites({});
  expect(sites.map(({ id: name, state }) => [name, state])).toEqual([
    ['aachen', SiteState.SITE_STATE_LOST],
    ['bremen', SiteState.SITE_STATE_UP],
  ]);
  // Why, by the last try to reach it.
  await until(async () => {
    const [lost] = (await grid.as('Alice').listSites({})).sites;
    return /^silent for longer than .* s: nothing listens at /.test(lost?.detail ?? '');
  });
  second.report(lastPlaced(second), State.STATE_RUNNING);
  first.report(lastPlaced(first), State.STATE_DONE);
  await first.join();
  await ends(id, 'done');
  const { tasks } = await grid.job(id);
  expect(tasks[0]).toMatchObject({ site: 'aachen', attemptId: `${id}.0.1`, attempts: 2 });
  await until(() => second.cancelled.includes(`${id}.0.2`));
});

test('a job that is to be kept stays with its lost site', async () => {
  const site = await grid.site('aachen');
  const id = await grid.submit({ onLost: 'keep' });
  await placedAt(site);
  site.report(lastPlaced(site), State.STATE_RUNNING);
  await ends(id, 'running');
  const other = await grid.site('bremen');
  await site.cut();
  await until(async () => {
    const { sites } = await grid.as('Alice').listSites({});
    return sites[0]?.state === SiteState.SITE_STATE_LOST;
  });
  expect(await grid.stateOf(id)).toBe('running');
  expect(other.placed).toEqual([]);
});

test('an attempt that its gateway has forgotten is placed again', async () => {
  const site = await grid.site('aachen');
  const id = await grid.submit();
  await placedAt(site);
  await site.cut();
  site.forget();
  site.onPlaced = finishAll(site);
  await site.join();
  await ends(id, 'done');
  expect(site.placed.map(({ attempt }) => attempt.attemptId)).toEqual([`${id}.0.1`, `${id}.0.2`]);
});

test('a site that refuses is avoided, and its reason is in the log', async () => {
  const first = await grid.site('aachen');
  const second = await grid.site('bremen');
  first.refusal = { reason: 'POLICY_DENIED', detail: 'not on Sundays' };
  second.onPlaced = finishAll(second);
  const id = await grid.submit({ rank: 'site.id == "aachen" ? 1 : 0' });
  await ends(id, 'done');
  const events: string[] = [];
  for await (const { kind, site, reason, detail } of grid
    .as('Alice')
    .watchJob({ jobId: id, afterSeq: 0, follow: false }))
    events.push([kind, site, reason, detail].join(' ').trim());
  expect(events).toContain('release aachen POLICY_DENIED not on Sundays');
  expect(second.placed).toHaveLength(1);
});

test("failures: a site's go elsewhere, the job's own use up its retries", async () => {
  const first = await grid.site('aachen');
  const second = await grid.site('bremen');
  first.onPlaced = (id) => first.report(id, State.STATE_FAILED, FailureKind.FAILURE_KIND_SITE);
  second.onPlaced = (id) => second.report(id, State.STATE_FAILED, FailureKind.FAILURE_KIND_JOB);
  const id = await grid.submit({ retries: 1, rank: 'site.id == "aachen" ? 1 : 0' });
  await ends(id, 'failed');
  const { summary, tasks } = await grid.job(id);
  expect(tasks[0]).toMatchObject({ attempts: 3, reason: 'TEST_FAILED', site: 'bremen' });
  expect(summary).toMatchObject({ reason: 'TEST_FAILED', detail: 'the test said so' });
});

test('a cancelled job whose site is away ends when the site comes back', async () => {
  const site = await grid.site('aachen');
  const id = await grid.submit();
  await placedAt(site);
  await site.cut();
  await grid.as('Alice').cancelJobs({ jobIds: [id], reason: '' });
  expect(await grid.stateOf(id)).toBe('matched');
  await site.join();
  await ends(id, 'cancelled');
});

test('a drained site finishes what it has and gets nothing new until it is resumed', async () => {
  const site = await grid.site('aachen', { admins: [] });
  const set = (state: SiteState) =>
    grid.as('Root').setSiteState({ id: 'aachen', state, eviction: 0 });
  await set(SiteState.SITE_STATE_DRAINING);
  const id = await grid.submit();
  const why = await grid.as('Alice').whyJob({ jobId: id });
  expect(why.sites).toMatchObject([{ refusal: 'site-draining' }]);
  await grid.restart();
  expect(site.placed).toEqual([]);
  await set(SiteState.SITE_STATE_UP);
  await placedAt(site);
});

const draining = (eviction: Eviction) =>
  grid.as('Root').setSiteState({ id: 'aachen', state: SiteState.SITE_STATE_DRAINING, eviction });

test('a draining site gives back what has not started, or all', async () => {
  const site = await grid.site('aachen', { totalCpus: 2, freeCpus: 2 });
  const runs = await grid.submit();
  await placedAt(site);
  const running = lastPlaced(site);
  site.report(running, State.STATE_RUNNING);
  await ends(runs, 'running');
  const waits = await grid.submit();
  await placedAt(site, 2);
  const waiting = lastPlaced(site);
  site.report(waiting, State.STATE_SUBMITTED);
  await ends(waits, 'submitted');
  const other = await grid.site('bremen');
  other.onPlaced = finishAll(other);

  await draining(Eviction.EVICTION_WAITING);
  await until(() => site.cancelled.includes(waiting));
  site.report(waiting, State.STATE_CANCELLED);
  await ends(waits, 'done');
  expect(site.cancelled).not.toContain(running);
  expect(await grid.stateOf(runs)).toBe('running');

  await draining(Eviction.EVICTION_ALL);
  await until(() => site.cancelled.includes(running));
  site.report(running, State.STATE_CANCELLED);
  await ends(runs, 'done');
  const reasons: string[] = [];
  for await (const { kind, reason } of grid
    .as('Alice')
    .watchJob({ jobId: runs, afterSeq: 0, follow: false }))
    if (kind === 'release') reasons.push(reason);
  expect(reasons).toEqual(['SITE_DRAINED']);
});

test('a site leaves when it is drained and empty, and is forgotten', async () => {
  const site = await grid.site('aachen', { admins: [] });
  const id = await grid.submit();
  await placedAt(site);
  const remove = (who: string, force = false) => grid.as(who).removeSite({ id: 'aachen', force });
  await expect(remove('Alice')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  await expect(remove('Root')).rejects.toMatchObject({
    code: 'SITE_NOT_DRAINED',
    message: expect.stringContaining('takes work'),
  });
  await draining(Eviction.EVICTION_UNSPECIFIED);
  await expect(remove('Root')).rejects.toMatchObject({
    message: expect.stringContaining('has 1 task'),
  });
  site.report(lastPlaced(site), State.STATE_DONE);
  await ends(id, 'done');
  expect((await remove('Root')).site).toMatchObject({ id: 'aachen' });
  await expect(remove('Root')).rejects.toMatchObject({ code: 'SITE_NOT_FOUND' });
  await grid.restart();
  expect((await grid.as('Root').listSites({})).sites).toEqual([]);
});

test('both sides of a site are shown to its administrators alone', async () => {
  const site = await grid.site('aachen', { admins: [] });
  const [one, other] = [await grid.submit(), await grid.submit()];
  await placedAt(site, 2);
  site.report(`${one}.0.1`, State.STATE_RUNNING);
  await ends(one, 'running');
  const inspect = (who: string) => grid.as(who).inspectSite({ id: 'aachen' });
  await expect(inspect('Alice')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  const both = await inspect('Root');
  expect(both.transfers).toEqual([{ vo: 'demo', moving: 2, waiting: 3, background: 1 }]);
  expect(both.unasked).toBe('');
  expect(both.attempts).toMatchObject(
    [
      { attemptId: `${one}.0.1`, jobId: one, state: State.STATE_RUNNING, gatewayState: 'running' },
      { attemptId: `${other}.0.1`, jobId: other, state: State.STATE_MATCHED },
    ].toSorted((a, b) => (a.attemptId < b.attemptId ? -1 : 1)),
  );
  site.forget();
  expect((await inspect('Root')).attempts).toMatchObject([{ gatewayState: '' }, { batchId: '' }]);
  await site.cut();
  await until(async () => (await inspect('Root')).unasked.includes('cannot be reached'));
});

test('a site that is gone for good is removed with its tasks, which run elsewhere', async () => {
  const site = await grid.site('aachen');
  const id = await grid.submit({ onLost: 'keep' });
  await placedAt(site);
  site.report(lastPlaced(site), State.STATE_RUNNING);
  await ends(id, 'running');
  await site.cut();
  const other = await grid.site('bremen');
  other.onPlaced = finishAll(other);
  await grid.as('Root').removeSite({ id: 'aachen', force: true });
  await ends(id, 'done');
  expect((await grid.job(id)).tasks[0]).toMatchObject({ site: 'bremen', attempts: 2 });
});

test('a host that is not the enrolled one gets nothing', async () => {
  const impostor = await grid.impostor('aachen');
  const id = await grid.submit();
  await until(async () => {
    const { sites } = await grid.as('Root').listSites({});
    return sites[0]?.detail.includes('the gateway is /DC=org/DC=test/CN=impostor') ?? false;
  });
  expect(await grid.stateOf(id)).toBe('queued');
  expect(impostor.placed).toEqual([]);
});

test('a job that a gateway cannot read does not hold up those that are sent with it', async () => {
  const first = await grid.site('aachen');
  first.unreadable = 'odd';
  first.onPlaced = finishAll(first);
  const names = ['one', 'two', 'odd', 'four'];
  const jobs = names.map((name) => newJob({ name }));
  const { jobIds } = await grid
    .as('Alice')
    .submit({ submitKey: 'k', jobs, flow: undefined, s3: [] });
  const [one = '', two = '', odd = '', four = ''] = jobIds;
  for (const id of [one, two, four]) await ends(id, 'done');
  const second = await grid.site('bremen');
  second.onPlaced = finishAll(second);
  await ends(odd, 'done');
  expect((await grid.job(odd)).tasks[0]).toMatchObject({ site: 'bremen' });
});

test('a site that advertises what cannot be gets nothing, says so, and is back with its next offer', async () => {
  const site = await grid.site('aachen');
  site.offer({ totalCpus: 4_294_967_295, freeCpus: 4_294_967_295 });
  const summary = async () => (await grid.as('Root').listSites({})).sites[0];
  const doubt = 'its gateway advertises total cpus of 4294967295, which cannot be';
  await until(async () => (await summary())?.detail === doubt);
  const id = await grid.submit({});
  const why = await grid.as('Alice').whyJob({ jobId: id });
  expect(why.answer).toContain(doubt);
  expect(site.placed).toHaveLength(0);
  site.offer({ totalCpus: 4, freeCpus: 4 });
  await until(async () => site.placed.length === 1);
});

test('a site that calls itself by the id of another gets nothing of what is meant for that', async () => {
  const site = await grid.site('aachen');
  site.offer({ site: siteId('bremen') });
  const id = await grid.submit({ sites: [siteId('bremen')] });
  const summary = async () => (await grid.as('Root').listSites({})).sites[0];
  const fault = "its gateway calls itself 'bremen', and not aachen";
  await until(async () => (await summary())?.detail === fault);
  expect((await grid.as('Alice').whyJob({ jobId: id })).sites).toMatchObject([
    { site: 'aachen', refusal: 'not-in-sites' },
  ]);
  expect(site.placed).toHaveLength(0);
});
