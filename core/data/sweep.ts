/** What is remembered of the chunks of one VO, by their names, between two passes over its store. */
export interface SweepMemory<Name extends string> {
  /** Chunks that no tree names, and since when. */
  readonly condemned: ReadonlyMap<Name, number>;
}

/** What a pass has found. */
export interface SweepPass<Name extends string> {
  /** Chunks that may go now. */
  readonly due: readonly Name[];
  /** The same and those that must wait, with since when; for the next pass. */
  readonly condemned: ReadonlyMap<Name, number>;
}

/** How long what is condemned must wait. */
interface SweepRule<Name extends string> {
  readonly nowMs: number;
  readonly graceMs: number;
  /** Chunks that wait `briefMs` instead. */
  readonly brief?: Pick<ReadonlySet<Name>, 'has'>;
  readonly briefMs?: number;
}

/**
 * Mark and sweep, decided: a chunk that no live tree names is condemned, and may go once every pass for `graceMs` has found
 * it so. That is longer than an upload takes, whose tree is named only when its last chunk is there. Where the clock has
 * gone back the wait begins anew.
 */
export function sweepPass<Name extends string>(
  stored: readonly Name[],
  live: ReadonlySet<Name>,
  before: SweepMemory<Name>,
  { nowMs, graceMs, brief, briefMs = graceMs }: SweepRule<Name>,
): SweepPass<Name> {
  const waitOf = (name: Name): number => (brief?.has(name) === true ? briefMs : graceMs);
  const condemned = new Map<Name, number>();
  const due: Name[] = [];
  for (const name of stored) {
    if (live.has(name)) continue;
    const sinceMs = Math.min(before.condemned.get(name) ?? nowMs, nowMs);
    condemned.set(name, sinceMs);
    if (before.condemned.has(name) && nowMs - sinceMs >= waitOf(name)) due.push(name);
  }
  return { due, condemned };
}
