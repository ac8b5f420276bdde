import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isLost, LEASE_GRACE_MS } from '../../../core/claim/lease.ts';

test('a site is lost a grace after its lease, from that instant on', () => {
  const lease = { lengthMs: 10_000, echoedBeaconAtMs: 500 };
  const end = 10_500 + LEASE_GRACE_MS;
  expect([end - 1, end, end + 1].map((nowMs) => isLost(lease, nowMs))).toEqual([false, true, true]);
});

test("whatever the delays, the gateway's lease is over when the broker says lost", () => {
  const delay = fc.integer({ min: 0, max: 100_000 });
  fc.assert(
    fc.property(delay, delay, delay, delay, (beaconAt, there, back, later) => {
      const heardAt = beaconAt + there;
      const lease = { lengthMs: 10_000, echoedBeaconAtMs: heardAt };
      const gatewayEnds = beaconAt + lease.lengthMs;
      const now = heardAt + back + later;
      expect(!isLost(lease, now) || now >= gatewayEnds + LEASE_GRACE_MS).toBe(true);
    }),
  );
});
