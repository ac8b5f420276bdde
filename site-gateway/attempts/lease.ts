import { uptime } from 'node:os';
import type { KeptLease } from '../journal/journal.ts';
import { bootIdNow } from './boot-id.ts';

/** Time that goes on while the machine sleeps and is the same for every process: a lease must not outlast a nap. */
export interface BootClock {
  /** Since the machine came up, ms. */
  uptimeMs(): number;
  /** Another value after each start of the machine. */
  readonly bootId: string;
}

export function systemBootClock(): BootClock {
  return { uptimeMs: () => Math.round(uptime() * 1_000), bootId: bootIdNow() };
}

/**
 * The lease of this site: until when the broker is known to wait for the attempts here. Its clock, which beacons carry,
 * is this gateway's alone, so clocks need not agree. A lease only ever grows: `Renew` may be overtaken.
 */
export interface Lease {
  /** The instant that a beacon carries, ms since this run began. */
  beaconMs(): number;
  /** Names this run. */
  readonly instance: string;
  /** Extends the lease to `beaconMs + lengthMs`; a beacon of another run does nothing and gives false. */
  renew(beaconMs: number, instance: string, lengthMs: number): boolean;
  /** ms until tasks must begin to end, at most the lease's length; 0 from then on. Infinity where there is no lease yet. */
  leftMs(): number;
  /** What tasks get between TERM and KILL when the lease is about to end. */
  graceMs(): number;
  kept(): KeptLease | undefined;
}

const MAX_GRACE_MS = 5_000;

/**
 * Goes on with the lease of an earlier run. Where that has ended while no gateway ran, nothing is gained by haste: the
 * tasks have outlived it already, so the broker gets one more length to say what it wants.
 */
export function openLease(
  clock: BootClock,
  instance: string,
  before: KeptLease | undefined,
): Lease {
  const originMs = clock.uptimeMs();
  const valid = before !== undefined && before.bootId === clock.bootId;
  let lengthMs = before?.lengthMs ?? 0;
  let endUptimeMs = Number.POSITIVE_INFINITY;
  if (before !== undefined) {
    const stands = valid && before.endUptimeMs > originMs;
    endUptimeMs = stands ? before.endUptimeMs : originMs + lengthMs;
  }
  const graceMs = (): number => Math.min(MAX_GRACE_MS, lengthMs / 5);
  return {
    instance,
    beaconMs: () => clock.uptimeMs() - originMs,
    renew: (beaconMs, of, length) => {
      if (of !== instance) return false;
      lengthMs = length;
      const end = originMs + beaconMs + length;
      endUptimeMs = Number.isFinite(endUptimeMs) ? Math.max(endUptimeMs, end) : end;
      return true;
    },
    leftMs: () => Math.max(0, endUptimeMs - graceMs() - clock.uptimeMs()),
    graceMs,
    kept: () =>
      Number.isFinite(endUptimeMs) ? { lengthMs, endUptimeMs, bootId: clock.bootId } : undefined,
  };
}
