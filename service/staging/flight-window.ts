import { type ByteBudget, openByteBudget } from './byte-budget.ts';

/** How much may be on its way at once, found from how fast answers come. */
export interface FlightWindow {
  /** Does `work` when `bytes` more may be on their way; counts them as arrived when it ends well. */
  send<T>(bytes: number, work: (again: Again) => Promise<T>): Promise<T>;
}

/** To be called where what was on its way is lost with its connection: waits until it may be on its way once more. */
export type Again = () => Promise<void>;

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

/** Where as much as could arrive was lost before, it is tried again after so many times as much has arrived. */
const PATIENCE = 64;

/**
 * As much as the line carries in a second, between two bounds: what waits longer helps no transfer, and is lost
 * with the connection. The rate is that of the time in which something is on its way, its past fading. A loss halves what
 * may be on its way, for a server ends the connection of whoever asks for more than it takes from it.
 */
export function openFlightWindow({ leastBytes, mostBytes, nowMs }: WindowLimits): FlightWindow {
  let limit = leastBytes;
  let most = mostBytes;
  const budget: ByteBudget = openByteBudget(() => limit);
  let flying = 0;
  let losses = 0;
  let sinceMs = 0;
  let past = { bytes: 0, ms: 0 };
  const takeOff = async (bytes: number, place: 'first' | 'last'): Promise<number> => {
    await budget.take(bytes, place);
    if (flying === 0) sinceMs = nowMs();
    flying += bytes;
    return losses;
  };
  const land = (bytes: number): void => {
    flying -= bytes;
    budget.give(bytes);
  };
  const arrived = (bytes: number): void => {
    const now = nowMs();
    past = { bytes: past.bytes * FADE + bytes, ms: past.ms * FADE + now - sinceMs };
    sinceMs = now;
    most = Math.min(most + bytes / PATIENCE, mostBytes);
    const aSecond = (past.bytes / Math.max(past.ms, 1)) * QUEUE_MS;
    limit = Math.min(Math.max(aSecond, leastBytes), most);
  };
  const lost = (): void => {
    losses += 1;
    most = Math.max(flying / 2, leastBytes);
    limit = Math.min(limit, most);
  };
  return {
    send: async (bytes, work) => {
      let lossesBefore = await takeOff(bytes, 'last');
      const again = async (): Promise<void> => {
        // What was on its way together was lost together.
        if (lossesBefore === losses) lost();
        land(bytes);
        lossesBefore = await takeOff(bytes, 'first');
      };
      try {
        const result = await work(again);
        arrived(bytes);
        return result;
      } finally {
        land(bytes);
      }
    },
  };
}
