/** Who is next: the owner with the least cpus in use, ties by name. */
export interface FairOrder {
  /** The owner whose turn it is; undefined when all have left. */
  next(): string | undefined;
  /** Counts `cpus` that `owner` has been given. */
  charge(owner: string, cpus: number): void;
  /** `owner` wants nothing more in this round. */
  leave(owner: string): void;
}

/** `inUse` says how many cpus each owner has now; who is missing has none. */
export function fairOrder(owners: Iterable<string>, inUse: ReadonlyMap<string, number>): FairOrder {
  const usage = new Map([...owners].map((owner) => [owner, inUse.get(owner) ?? 0]));
  const next = (): string | undefined => {
    let best: string | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const [owner, cpus] of usage) {
      if (cpus < least || (cpus === least && best !== undefined && owner < best)) {
        best = owner;
        least = cpus;
      }
    }
    return best;
  };
  return {
    next,
    charge: (owner, cpus) => void usage.set(owner, (usage.get(owner) ?? 0) + cpus),
    leave: (owner) => void usage.delete(owner),
  };
}
