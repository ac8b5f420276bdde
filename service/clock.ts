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
