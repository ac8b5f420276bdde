import {
  openTransferTurns,
  type TransferWish,
  type VoTransfers,
} from '../../core/data/transfer-turns.ts';
import { callerFromWire } from '../../service/rpc/wire.ts';
import type { Attempt } from '../attempts/attempt.ts';
import type { SiteConfig } from '../config.ts';

/** Runs the transfers of a site, each in its turn. */
export interface TransferQueue {
  /**
   * Gives what `work` gives, once it had its turn; no job waits for what is in the background. Where `signal` aborts before
   * its turn it rejects at once with the reason, and `work` is never called.
   */
  run<T>(
    whose: Pick<Attempt, 'id' | 'spec' | 'accepted'>,
    urgency: 'foreground' | 'background',
    signal: AbortSignal,
    work: () => Promise<T>,
  ): Promise<T>;
  /** Looks whose transfers a server elsewhere keeps waiting: others then have their places. */
  look(isSilent: (whose: Pick<Attempt, 'id'>) => boolean): void;
  /** For people. */
  counts(): readonly VoTransfers[];
}

interface Entry extends TransferWish {
  readonly whose: Pick<Attempt, 'id'>;
  readonly go: () => void;
}

export function openTransferQueue(limits: SiteConfig['transfers']): TransferQueue {
  const turns = openTransferTurns<Entry>({ most: limits.most, mostPerVo: limits['per-vo'] });
  const begin = (): void => {
    for (let entry = turns.next(); entry !== undefined; entry = turns.next()) entry.go();
  };
  const entries = new Set<Entry>();
  return {
    run: async (whose, urgency, signal, work) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const entry: Entry = {
        whose,
        vo: whose.spec.vo,
        user: callerFromWire(whose.accepted.job.owner).dn,
        background: urgency === 'background',
        go: resolve,
      };
      const leave = (): void => {
        if (!turns.remove(entry)) return;
        entries.delete(entry);
        reject(signal.reason);
      };
      signal.throwIfAborted();
      entries.add(entry);
      turns.add(entry);
      signal.addEventListener('abort', leave, { once: true });
      begin();
      await promise.finally(() => signal.removeEventListener('abort', leave));
      try {
        return await work();
      } finally {
        entries.delete(entry);
        turns.ended(entry);
        begin();
      }
    },
    look: (isSilent) => {
      for (const entry of entries) turns.setSilent(entry, isSilent(entry.whose));
      begin();
    },
    counts: () => turns.counts(),
  };
}
