import type { Clock } from '../../service/clock.ts';
import type { Log } from '../../service/log.ts';

/** How the site reaches the store, by what its transfers meet: for the log, and for whoever asks. */
export interface StoreHealth {
  /** Notes what a transfer of a VO met; '' for an answer. */
  readonly heard: (vo: string, trouble: string) => void;
  /** In words, with when it began; '' where all is well, or was a moment ago. */
  readonly trouble: () => string;
  /** The same of one VO, as what a transfer waits for. */
  readonly waits: (vo: string) => string;
}

/** What is over sooner is a restart of the server, of which nobody need know. */
const PATIENCE_MS = 3_000;

interface Trouble {
  readonly sinceMs: number;
  /** The same on a clock that does not jump. */
  readonly sinceMonotonicMs: number;
  words: string;
  logged: boolean;
}

export function openStoreHealth(clock: Clock, log: Log): StoreHealth {
  const troubles = new Map<string, Trouble>();
  const lasts = ({ sinceMonotonicMs }: Trouble): boolean =>
    clock.monotonicMs() - sinceMonotonicMs >= PATIENCE_MS;
  const began = ({ sinceMs }: Trouble): string => new Date(sinceMs).toISOString();
  return {
    heard: (vo, words) => {
      const known = troubles.get(vo);
      if (words === '') {
        if (known?.logged) log.info({ vo, since: began(known) }, 'the store answers again');
        troubles.delete(vo);
        return;
      }
      const now = { sinceMs: clock.nowMs(), sinceMonotonicMs: clock.monotonicMs() };
      const trouble = known ?? { ...now, words, logged: false };
      trouble.words = words;
      troubles.set(vo, trouble);
      if (trouble.logged || !lasts(trouble)) return;
      log.warn({ vo, since: began(trouble), why: words }, 'transfers wait for the store');
      trouble.logged = true;
    },
    waits: (vo) => {
      const trouble = troubles.get(vo);
      if (trouble === undefined || !lasts(trouble)) return '';
      return `waits for the store since ${began(trouble)}: ${trouble.words}`;
    },
    trouble: () =>
      [...troubles]
        .filter(([, trouble]) => lasts(trouble))
        .map(([vo, trouble]) => `${vo} since ${began(trouble)}: ${trouble.words}`)
        .join('; '),
  };
}
