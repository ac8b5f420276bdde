/** What is remembered of the chunks of one VO between two passes over its store. */
export interface SweepMemory {
  /** Chunks that no tree names, and since when. */
  readonly condemned: ReadonlyMap<string, number>;
}

/** What a pass has found. */
export interface SweepPass {
  /** Chunks that may go now. */
  readonly due: readonly string[];
  /** The same and those that must wait, with since when; for the next pass. */
  readonly condemned: ReadonlyMap<string, number>;
}

/** How long what is condemned must wait. */
interface SweepRule {
  readonly nowMs: number;
  readonly graceMs: number;
  /** Chunks that wait `briefMs` instead. */
  readonly brief?: ReadonlySet<string>;
  readonly briefMs?: number;
}

/**
 * Mark and sweep, decided: a chunk that no live tree names is condemned, and may go once every pass for `graceMs` has found
 * it so. That is longer than an upload takes, whose tree is named only when its last chunk is there. Where the clock has
 * gone back the wait begins anew.
 */
export function sweepPass(
  stored: readonly string[],
  live: ReadonlySet<string>,
  before: SweepMemory,
  { nowMs, graceMs, brief, briefMs = graceMs }: SweepRule,
): SweepPass {
  const waitOf = (digest: string): number => (brief?.has(digest) === true ? briefMs : graceMs);
  const condemned = new Map<string, number>();
  const due: string[] = [];
  for (const digest of stored) {
    if (live.has(digest)) continue;
    const sinceMs = Math.min(before.condemned.get(digest) ?? nowMs, nowMs);
    condemned.set(digest, sinceMs);
    if (before.condemned.has(digest) && nowMs - sinceMs >= waitOf(digest)) due.push(digest);
  }
  return { due, condemned };
}
