import { GridError } from '../../core/errors.ts';
import type { StagingTicket } from '../../proto/gen/grid/v1/common.ts';
import type { Clock } from '../../service/clock.ts';
import type { StagingAccounts } from '../data/staging-accounts.ts';

/** Staging tickets of one gateway, made anew before they end. */
export interface SiteTickets {
  /**
   * Tickets for those VOs which this session has not sent yet, or which replace one that is about to end; none for a VO that
   * the broker serves no more: what runs of it must not keep a site from the others.
   */
  due(vos: Iterable<string>, nkey: string): Promise<StagingTicket[]>;
}

const LIFETIME_MS = 12 * 3_600_000;
/** A ticket that has less than this left is replaced. */
const RENEW_MS = LIFETIME_MS / 3;

/** Begins a session with a gateway: it may have forgotten what it was given before. */
export function openSiteTickets(accounts: StagingAccounts | undefined, clock: Clock): SiteTickets {
  const sent = new Map<string, number>();
  return {
    due: async (vos, nkey) => {
      if (accounts === undefined || nkey === '') return [];
      const tickets: StagingTicket[] = [];
      for (const vo of new Set(vos)) {
        if ((sent.get(vo) ?? 0) - clock.nowMs() > RENEW_MS) continue;
        const request = { vo, nkey, lifetimeMs: LIFETIME_MS, purpose: 'gateway' as const };
        const ticket = await accounts.issueTicket(request).catch(ifServed);
        if (ticket === undefined) continue;
        sent.set(vo, ticket.expiresAtMs);
        tickets.push({ ...ticket, servers: [...ticket.servers] });
      }
      return tickets;
    },
  };
}

function ifServed(error: unknown): undefined {
  if (!(error instanceof GridError) || error.code !== 'VO_NOT_FOUND') throw error;
}
