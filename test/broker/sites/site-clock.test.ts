import { expect, test } from 'vitest';
import { noteClock, siteRecord } from '../../../broker/sites/site-registry.ts';

test('of a clock that is wrong the broker keeps by how much, and nothing of what calls take', () => {
  const site = siteRecord({
    id: 'campus',
    address: 'campus.example:7460',
    dn: '/CN=campus',
    wanted: 'up',
    enrolled_ms: 0,
    enrolled_by: '/CN=Root',
    conduct: null,
  });
  const nowMs = 1_800_000_000_000;
  const aheadBy = (ms: number): number => {
    noteClock(site, nowMs + ms, nowMs);
    return site.clockAheadMs;
  };
  expect(aheadBy(-3_600_000)).toBe(-3_600_000);
  expect(aheadBy(29_000)).toBe(0);
  expect(aheadBy(31_000)).toBe(31_000);
  // A gateway that does not say.
  noteClock(site, 0, nowMs);
  expect(site.clockAheadMs).toBe(0);
});
