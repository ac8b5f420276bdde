import { expect, test } from 'vitest';
import { LEASE_MS, openBrokerGrid, until } from '../fakes/broker-grid.ts';

test('a site that advertises many times a second gets its lease renewed ten times within one', async () => {
  await using grid = await openBrokerGrid();
  const site = await grid.site('aachen', { totalCpus: 64, freeCpus: 0 });
  const begunMs = performance.now();
  const before = site.renewals;
  for (let freeCpus = 1; freeCpus <= 40; freeCpus += 1) {
    site.offer({ freeCpus });
    await until(
      async () => (await grid.as('Root').listSites({})).sites[0]?.offer?.freeCpus === freeCpus,
    );
  }
  const most = 2 + ((performance.now() - begunMs) / LEASE_MS) * 10;
  expect(site.renewals - before).toBeLessThanOrEqual(most);
  await until(() => site.renewals > before);
});
