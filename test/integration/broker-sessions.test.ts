import { expect, test } from 'vitest';
import { openBrokerGrid, until } from '../fakes/broker-grid.ts';

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
