import { GridError } from '../../core/errors.ts';
import type { StagingTicket } from '../../proto/gen/grid/v1/common.ts';
import type { Clock } from '../../service/clock.ts';
import { openChange } from '../change.ts';
import type { Journal } from '../journal/journal.ts';

/** The staging tickets that the broker sent, the newest per VO; they outlive a restart in the journal. */
export interface Tickets extends Disposable {
  add(fresh: readonly StagingTicket[]): Promise<void>;
  /**
   * A ticket that still holds, and not the one that the store has `refused`, by its `userJwt`; waits `patienceMs` for the broker to
   * send one, then throws STAGING_UNAVAILABLE, and at once when it is disposed of.
   */
  get(vo: string, refused?: string): Promise<StagingTicket>;
}

export function openTickets(
  journal: Pick<Journal, 'tickets' | 'keepTickets'>,
  clock: Clock,
  patienceMs: number,
): Tickets {
  const byVo = new Map(journal.tickets().map((ticket) => [ticket.vo, ticket]));
  const change = openChange();
  const stop = new AbortController();
  const valid = (vo: string): StagingTicket | undefined => {
    const ticket = byVo.get(vo);
    return ticket !== undefined && ticket.expiresAtMs > clock.nowMs() ? ticket : undefined;
  };
  return {
    add: async (fresh) => {
      const newer = fresh.filter(
        ({ vo, expiresAtMs }) => expiresAtMs > (byVo.get(vo)?.expiresAtMs ?? 0),
      );
      if (newer.length === 0) return;
      for (const ticket of newer) byVo.set(ticket.vo, ticket);
      change.announce();
      await journal.keepTickets(newer);
    },
    get: async (vo, refused) => {
      // One that ends earlier may take its place.
      if (byVo.get(vo)?.userJwt === refused) byVo.delete(vo);
      const deadlineMs = clock.monotonicMs() + patienceMs;
      while (clock.monotonicMs() < deadlineMs && !stop.signal.aborted) {
        const seen = change.version();
        const ticket = valid(vo);
        if (ticket !== undefined) return ticket;
        const leftMs = deadlineMs - clock.monotonicMs();
        await change.after(seen, leftMs, stop.signal);
      }
      throw new GridError('STAGING_UNAVAILABLE', `the site has no staging ticket for VO '${vo}'`);
    },
    [Symbol.dispose]: () => stop.abort(),
  };
}
