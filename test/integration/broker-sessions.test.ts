import { expect, test } from 'vitest';
import { openBrokerGrid, until } from '../fakes/broker-grid.ts';
import { type FakeGateway, finishAll } from '../fakes/fake-gateway.ts';

test('the sessions with the gateway of a site that comes back are later than all before', async () => {
  await using grid = await openBrokerGrid();
  const site = await grid.site('aachen');
  for (const many of [2, 3]) {
    await site.cut();
    await site.join();
    await until(async () => site.sessions.length >= many);
  }
  const { address, dn } =
    (await grid.as('Root').removeSite({ id: 'aachen', force: true })).site ?? {};
  const before = site.sessions.length;
  await grid.as('Root').enrolSite({ id: 'aachen', address: address ?? '', dn: dn ?? '' });
  await until(async () => site.sessions.length > before);
  expect(site.sessions).toEqual([...new Set(site.sessions)].toSorted((a, b) => a - b));
});

test('a gateway that says that another broker leads loses its work alone; the broker ends where all say so', async () => {
  await using grid = await openBrokerGrid();
  const [rogue, other] = [await grid.site('aachen'), await grid.site('bremen')];
  const depose = async (site: FakeGateway): Promise<void> => {
    site.deposes = true;
    await site.cut();
    await site.join();
  };
  await depose(rogue);
  await until(async () => {
    const [site] = (await grid.as('Root').listSites({})).sites;
    return /refuses the broker: .*epoch \d+ is over/.test(site?.detail ?? '');
  });
  other.onPlaced = finishAll(other);
  const id = await grid.submit();
  await until(async () => (await grid.stateOf(id)) === 'done');
  expect(grid.fatal).toEqual([]);
  await depose(other);
  await until(() => grid.fatal.length > 0);
  expect(grid.fatal.splice(0)).toMatchObject([{ code: 'STALE_EPOCH' }]);
});
