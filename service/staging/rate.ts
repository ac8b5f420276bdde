import { pause } from '../background.ts';
import type { Clock } from '../clock.ts';
import type { ChunkStore } from './chunk-store.ts';

/** Bounds how fast bytes go, whoever sends them. */
export interface Rate {
  /** Resolves when so many bytes may go, or when `signal` aborts; who asks first is served first. */
  take(bytes: number, signal?: AbortSignal): Promise<void>;
}

/** What was not used in so long is lost: the most that goes at once. */
const BURST_MS = 250;

/** A token bucket of `bytesPerSecond`; without a number nothing is bounded. */
export function openRate(bytesPerSecond: number | undefined, clock: Clock): Rate {
  if (bytesPerSecond === undefined) return { take: () => Promise.resolve() };
  /** When all that was taken so far has gone. */
  let goneAtMs = clock.monotonicMs();
  return {
    take: async (bytes, signal) => {
      const nowMs = clock.monotonicMs();
      goneAtMs = Math.max(goneAtMs, nowMs - BURST_MS) + (1_000 * bytes) / bytesPerSecond;
      if (goneAtMs > nowMs) await pause(goneAtMs - nowMs, signal);
    },
  };
}

/** A store whose chunks come and go at a rate of their own each. */
export function atRate(store: ChunkStore, incoming: Rate, outgoing: Rate): ChunkStore {
  const slowly =
    (read: ChunkStore['get']): ChunkStore['get'] =>
    async (digest, signal) => {
      const bytes = await read(digest, signal);
      await incoming.take(bytes.byteLength, signal);
      return bytes;
    };
  return {
    missing: (digests, signal) => store.missing(digests, signal),
    put: async (digest, bytes, signal) => {
      await outgoing.take(bytes.byteLength, signal);
      return store.put(digest, bytes, signal);
    },
    get: slowly((digest, signal) => store.get(digest, signal)),
    receive: slowly((digest, signal) => store.receive(digest, signal)),
  };
}
