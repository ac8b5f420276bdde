import type { Log } from './log.ts';

/** Lets `work` run on its own: its failure is logged under `name` and handed to `onFailure`, never lost. */
export function background(
  name: string,
  work: Promise<unknown>,
  log: Log,
  onFailure: (error: unknown) => void = () => undefined,
): void {
  work.catch((error: unknown) => {
    log.error({ err: error, work: name }, 'background work failed');
    onFailure(error);
  });
}

/** Resolves after `ms`, or at once (without throwing) when `signal` aborts. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve();
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
  });
}

/** Resolves when `signal` has aborted, at once where it has before, and never without one: to be raced with what may take long. */
export const aborted = (signal: AbortSignal | undefined): Promise<void> =>
  new Promise((resolve) => {
    if (signal?.aborted === true) resolve();
    else signal?.addEventListener('abort', () => resolve(), { once: true });
  });

/** Resolves when `work` has, or when `ms` are over; throws what `work` throws until then. */
export async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  await Promise.race([work, pause(ms, over.signal)]).finally(() => over.abort());
}

/** A call has several turns, and waits so long before each of them. */
const HELD_MS = 5;

/** A turn of the event loop after every few milliseconds of work: to be awaited between small parts of what takes long as a whole. */
export function openBreath(): () => Promise<void> {
  let sinceMs = performance.now();
  return async () => {
    if (performance.now() - sinceMs < HELD_MS) return;
    await new Promise(setImmediate);
    sinceMs = performance.now();
  };
}
