import { type ByteBudget, openByteBudget } from './byte-budget.ts';

/** How much may be on its way at once, found from how fast answers come. */
export interface FlightWindow {
  /** Does `work` when `bytes` more may be on their way; counts them as arrived when it ends well. */
  send<T>(bytes: number, work: () => Promise<T>): Promise<T>;
}

interface WindowLimits {
  readonly leastBytes: number;
  readonly mostBytes: number;
  /** Milliseconds that never go back. */
  readonly nowMs: () => number;
}

/** What is on its way waits in a queue on a thin line: never for longer than this. */
const QUEUE_MS = 1_000;
/** What an answer before the last counts against the last one. */
const FADE = 0.9;

/**
 * As much as the line carries in a second, between two bounds: what waits longer helps no transfer, and is lost
 * with the connection. The rate is that of the time in which something is on its way, its past fading.
 */
export function openFlightWindow({ leastBytes, mostBytes, nowMs }: WindowLimits): FlightWindow {
  let limit = leastBytes;
  const budget: ByteBudget = openByteBudget(() => limit);
  let flying = 0;
  let sinceMs = 0;
  let past = { bytes: 0, ms: 0 };
  const arrived = (bytes: number): void => {
    const now = nowMs();
    past = { bytes: past.bytes * FADE + bytes, ms: past.ms * FADE + now - sinceMs };
    sinceMs = now;
    const aSecond = (past.bytes / Math.max(past.ms, 1)) * QUEUE_MS;
    limit = Math.min(Math.max(aSecond, leastBytes), mostBytes);
  };
  return {
    send: async (bytes, work) => {
      await budget.take(bytes);
      if (flying === 0) sinceMs = nowMs();
      flying += 1;
      try {
        const result = await work();
        arrived(bytes);
        return result;
      } finally {
        flying -= 1;
        budget.give(bytes);
      }
    },
  };
}
