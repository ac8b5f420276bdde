/** Time as an argument: services read it here, `core/` gets it as a number. */
export interface Clock {
  /** Wall clock, ms since the Unix epoch. */
  nowMs(): number;
  /** Never goes back; ms since some instant of this process. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/** The wall clock, but for what it jumps ahead from now on: that somebody sets it makes nothing old. */
export function steadyNow(clock: Clock): () => number {
  const openedAtMs = clock.nowMs() - clock.monotonicMs();
  return () => Math.min(clock.nowMs(), openedAtMs + clock.monotonicMs());
}
