import { GridError } from '../../core/errors.ts';
import type { Clock } from '../clock.ts';

/** The store is stuck: what waits on this connection is never answered. */
export class StuckStore extends GridError {
  constructor(why: string) {
    super('STAGING_UNAVAILABLE', why);
  }
}

/** Looks whether work that gets no answer waits for a store that will give none. */
export interface StuckWatch {
  /** Gives what `work` gives; rejects with STAGING_UNAVAILABLE, told why, where the store is found stuck meanwhile. */
  over<T>(work: Promise<T>): Promise<T>;
}

interface Waiting {
  readonly sinceMs: number;
  readonly fail: (error: StuckStore) => void;
}

/** Without an answer for so long somebody looks. */
const SILENT_MS = 5_000;
/** Between two looks. On a thin line all answers take long, and a look costs a connection. */
const AGAIN_MS = 10_000;
const EVERY_MS = 1_000;

/** `look` gives why the store is stuck, or '' where it is not, or nobody can tell. */
export function openStuckWatch(clock: Clock, look: () => Promise<string>): StuckWatch {
  /** The oldest first. */
  const waiting = new Set<Waiting>();
  let timer: NodeJS.Timeout | undefined;
  let isLooking = false;
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  const silentSince = (nowMs: number): readonly Waiting[] =>
    [...waiting].filter(({ sinceMs }) => nowMs - sinceMs >= SILENT_MS);
  const lookOnce = async (nowMs: number): Promise<void> => {
    const silent = silentSince(nowMs);
    const why = await look();
    if (why === '') return;
    for (const one of silent) if (waiting.has(one)) one.fail(new StuckStore(why));
  };
  const tick = (): void => {
    const nowMs = clock.monotonicMs();
    const [oldest] = waiting;
    if (oldest === undefined) {
      clearInterval(timer);
      timer = undefined;
      return;
    }
    if (isLooking || nowMs - oldest.sinceMs < SILENT_MS || nowMs - lookedAtMs < AGAIN_MS) return;
    isLooking = true;
    lookOnce(nowMs)
      .catch(() => undefined)
      .finally(() => {
        isLooking = false;
        lookedAtMs = clock.monotonicMs();
      });
  };
  return {
    over: (work) =>
      new Promise((resolve, reject) => {
        const one: Waiting = { sinceMs: clock.monotonicMs(), fail: reject };
        waiting.add(one);
        timer ??= setInterval(tick, EVERY_MS).unref();
        work.then(resolve, reject).finally(() => waiting.delete(one));
      }),
  };
}
