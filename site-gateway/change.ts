import { pause } from '../service/background.ts';

/** Something that changes now and then, and those who wait for it. */
export interface Change {
  /** Rises with each change. */
  version(): number;
  announce(): void;
  /** Resolves once the version is above `seen`, after `timeoutMs`, or when `signal` aborts. */
  after(seen: number, timeoutMs: number, signal: AbortSignal): Promise<void>;
}

export function openChange(): Change {
  let version = 0;
  let waiting = new Set<AbortController>();
  return {
    version: () => version,
    announce: () => {
      version += 1;
      const woken = waiting;
      waiting = new Set();
      for (const controller of woken) controller.abort();
    },
    after: async (seen, timeoutMs, signal) => {
      if (version > seen || signal.aborted) return;
      const wake = new AbortController();
      waiting.add(wake);
      const stop = (): void => wake.abort();
      signal.addEventListener('abort', stop, { once: true });
      await pause(timeoutMs, wake.signal);
      signal.removeEventListener('abort', stop);
      waiting.delete(wake);
    },
  };
}
