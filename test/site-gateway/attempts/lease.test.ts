import { describe, expect, test } from 'vitest';
import { type BootClock, openLease } from '../../../site-gateway/attempts/lease.ts';

/** A clock that stands until it is moved. */
const clockAt = (start: number, bootId = 'boot-1'): BootClock & { move(ms: number): void } => {
  let now = start;
  return {
    bootId,
    uptimeMs: () => now,
    move: (ms) => {
      now += ms;
    },
  };
};

describe('a lease', () => {
  test('does not end where none was ever given', () => {
    const lease = openLease(clockAt(5_000), 'run', undefined);
    expect(lease.leftMs()).toBe(Number.POSITIVE_INFINITY);
    expect(lease.kept()).toBeUndefined();
  });

  test('ends its length after the beacon, not after the renewal, less the grace', () => {
    const clock = clockAt(5_000);
    const lease = openLease(clock, 'run', undefined);
    clock.move(1_000);
    const beacon = lease.beaconMs();
    clock.move(2_000);
    expect(lease.renew(beacon, 'run', 10_000)).toBe(true);
    expect(lease.graceMs()).toBe(2_000);
    expect(lease.leftMs()).toBe(10_000 - 2_000 - 2_000);
    clock.move(6_000);
    expect(lease.leftMs()).toBe(0);
  });

  test('is not renewed by the beacon of another run', () => {
    const lease = openLease(clockAt(0), 'run', undefined);
    expect(lease.renew(0, 'another', 10_000)).toBe(false);
    expect(lease.kept()).toBeUndefined();
  });

  test('never shrinks when renewals overtake one another', () => {
    const clock = clockAt(0);
    const lease = openLease(clock, 'run', undefined);
    lease.renew(3_000, 'run', 10_000);
    lease.renew(1_000, 'run', 10_000);
    expect(lease.leftMs()).toBe(13_000 - 2_000);
  });

  test('takes at most five seconds of grace', () => {
    const lease = openLease(clockAt(0), 'run', undefined);
    lease.renew(0, 'run', 600_000);
    expect(lease.graceMs()).toBe(5_000);
  });
});

describe('a lease of an earlier run', () => {
  const before = { lengthMs: 10_000, endUptimeMs: 50_000, bootId: 'boot-1' };

  test('goes on to its own end while it stands', () => {
    expect(openLease(clockAt(45_000), 'run', before).leftMs()).toBe(5_000 - 2_000);
  });

  test('that has ended meanwhile leaves the broker one more length', () => {
    expect(openLease(clockAt(90_000), 'run', before).leftMs()).toBe(10_000 - 2_000);
  });

  test('of another boot says nothing about this one', () => {
    expect(openLease(clockAt(100, 'boot-2'), 'run', before).leftMs()).toBe(10_000 - 2_000);
  });
});
