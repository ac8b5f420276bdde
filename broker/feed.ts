import type { JobId } from '../core/ids.ts';

/** Wakes those who watch a job when something new about it is in the ledger. */
export interface Feed {
  notify(jobs: readonly JobId[]): void;
  /** Calls `wake` at each change of the job until the returned function is called. */
  listen(job: JobId, wake: () => void): () => void;
}

export function openFeed(): Feed {
  const listeners = new Map<JobId, Set<() => void>>();
  return {
    notify: (jobs) => {
      if (listeners.size === 0) return;
      for (const job of jobs) for (const wake of listeners.get(job) ?? []) wake();
    },
    listen: (job, wake) => {
      const waiting = listeners.get(job) ?? new Set();
      listeners.set(job, waiting.add(wake));
      return () => {
        waiting.delete(wake);
        if (waiting.size === 0) listeners.delete(job);
      };
    },
  };
}

/** A condition to wait for: `wake` lets the present or the next `wait` end. One waits at a time. */
export interface Bell {
  readonly wake: () => void;
  /** Ends at the next `wake`, or at once when there was one since the last wait, or when `signal` aborts. */
  readonly wait: (signal: AbortSignal) => Promise<void>;
}

export function openBell(): Bell {
  let rung = false;
  let waiting: (() => void) | undefined;
  const wake = (): void => {
    rung = true;
    waiting?.();
  };
  const wait = async (signal: AbortSignal): Promise<void> => {
    if (!rung && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting = resolve;
      signal.addEventListener('abort', wake, { once: true });
      await promise;
      signal.removeEventListener('abort', wake);
      waiting = undefined;
    }
    rung = false;
  };
  return { wake, wait };
}
