/**
 * A site's lease, seen from the broker. The gateway sends beacons with its own clock; the broker echoes one in each
 * `Renew`; the gateway's lease then ends `lengthMs` after that beacon was made. The broker counts from the instant at
 * which the beacon came in, which is never earlier, and adds a grace: when it says `lost`, the gateway has ended its
 * tasks already, whatever became of the answer and however the two wall clocks differ.
 */
export interface Lease {
  readonly lengthMs: number;
  /** When the last beacon came in that was echoed in any Renew that was sent, by the broker's monotonic clock. */
  readonly echoedBeaconAtMs: number;
}

/** What a gateway may need to end its tasks once the lease is over. */
export const LEASE_GRACE_MS = 2_000;

/** From this instant on, inclusive, nothing that the site was given to release on loss can still run there. */
const lostAtMs = (lease: Lease): number => lease.echoedBeaconAtMs + lease.lengthMs + LEASE_GRACE_MS;

export const isLost = (lease: Lease, nowMs: number): boolean => nowMs >= lostAtMs(lease);
