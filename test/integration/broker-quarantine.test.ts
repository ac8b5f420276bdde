import { afterEach, beforeEach, expect, test } from 'vitest';
import { SiteState } from '../../proto/gen/grid/v1/broker.ts';
import { FailureKind, State } from '../../proto/gen/grid/v1/common.ts';
import { type BrokerGrid, newJob, openBrokerGrid, until } from '../fakes/broker-grid.ts';
import { type FakeGateway, finishAll } from '../fakes/fake-gateway.ts';

let grid: BrokerGrid;
beforeEach(async () => {
  grid = await openBrokerGrid();
});
afterEach(() => grid[Symbol.asyncDispose]());

const ends = (id: string, state: string): Promise<void> =>
  expect.poll(() => grid.stateOf(id)).toBe(state);
const siteNamed = async (id: string) => {
  const { sites } = await grid.as('Alice').listSites({});
  return sites.find((site) => site.id === id);
};
/** Fails whatever it gets as soon as it has it. */
const failAll = (site: FakeGateway): void => {
  site.onPlaced = (id) => site.report(id, State.STATE_FAILED, FailureKind.FAILURE_KIND_SITE);
};

test('a site that fails everything at once gets a few tasks of two hundred, and all end done', async () => {
  const hole = await grid.site('aachen', { totalCpus: 4, freeCpus: 4 });
  const good = await grid.site('bremen', { totalCpus: 4, freeCpus: 4 });
  failAll(hole);
  good.onPlaced = finishAll(good);
  const jobs = Array.from({ length: 200 }, (_, n) => newJob({ name: `job-${n}` }));
  const { jobIds } = await grid
    .as('Alice')
    .submit({ submitKey: 'hole', jobs, flow: undefined, s3: [] });
  const wish = { states: [State.STATE_DONE], everyone: false, limit: 0, pageToken: '', name: '' };
  const done = async () => (await grid.as('Alice').listJobs({ ...wish, limit: 1_000 })).jobs.length;
  await expect.poll(done).toBe(jobIds.length);
  expect(hole.placed.length).toBeGreaterThanOrEqual(5);
  expect(hole.placed.length).toBeLessThan(20);
  expect(good.placed).toHaveLength(200);
  expect((await siteNamed('aachen'))?.quarantined).toMatch(
    /^\d+ attempts in a row failed there at once, the last: TEST_FAILED: the test said so; it is tried again in /,
  );
  expect((await siteNamed('bremen'))?.quarantined).toBe('');
});

test('why says of a quarantined site that it is, and an administrator can let it take work again', async () => {
  const site = await grid.site('aachen');
  failAll(site);
  const ids = await Promise.all([grid.submit(), grid.submit(), grid.submit()]);
  await until(async () => (await siteNamed('aachen'))?.quarantined !== '');
  const why = await grid.as('Alice').whyJob({ jobId: ids[0] });
  expect(why.sites).toMatchObject([{ site: 'aachen', refusal: 'site-quarantined' }]);
  expect(why.sites[0]?.detail).toContain(
    'the broker keeps tasks away from it: 5 attempts in a row',
  );
  site.onPlaced = finishAll(site);
  await grid.as('Root').setSiteState({ id: 'aachen', state: SiteState.SITE_STATE_UP, eviction: 0 });
  for (const id of ids) await ends(id, 'done');
  expect((await siteNamed('aachen'))?.quarantined).toBe('');
});

test('one broken job does not quarantine a site', async () => {
  const site = await grid.site('aachen');
  failAll(site);
  const id = await grid.submit();
  await ends(id, 'failed');
  expect(site.placed).toHaveLength(6);
  expect((await siteNamed('aachen'))?.quarantined).toBe('');
});

test('jobs whose image does not start quarantine no site, however many there are', async () => {
  const site = await grid.site('aachen');
  site.onPlaced = (id) =>
    site.report(id, State.STATE_FAILED, FailureKind.FAILURE_KIND_SITE, 'IMAGE_FAILED', 'no shell');
  await Promise.all([grid.submit(), grid.submit(), grid.submit()]);
  await until(() => Promise.resolve(site.placed.length >= 8));
  expect((await siteNamed('aachen'))?.quarantined).toBe('');
});

test('a quarantine outlives a restart of the broker, and so does its end', async () => {
  const site = await grid.site('aachen');
  failAll(site);
  const ids = await Promise.all([grid.submit(), grid.submit(), grid.submit()]);
  const why = async () => (await siteNamed('aachen'))?.quarantined.split(';')[0];
  await until(async () => (await why()) !== '');
  // What was on its way there has come to its end, too.
  for (const id of ids) await ends(id, 'queued');
  const [before, tries] = [await why(), site.placed.length];
  await grid.restart();
  await until(async () => (await siteNamed('aachen'))?.state === SiteState.SITE_STATE_UP);
  expect(await why()).toBe(before);
  const { sites } = await grid.as('Alice').whyJob({ jobId: ids[0] });
  expect(sites[0]?.refusal).toBe('site-quarantined');
  expect(site.placed).toHaveLength(tries);
  site.onPlaced = finishAll(site);
  await grid.as('Root').setSiteState({ id: 'aachen', state: SiteState.SITE_STATE_UP, eviction: 0 });
  for (const id of ids) await ends(id, 'done');
  await grid.restart();
  expect(await why()).toBe('');
});
