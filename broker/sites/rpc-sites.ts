import type { BrokerService } from '../../proto/gen/grid/v1/broker.ts';
import type { Handlers } from '../../service/rpc/rpc.ts';
import { peerOf } from '../visible.ts';
import { inspectSite } from './inspect-site.ts';
import { type AdminParts, enrolSite, removeSite, setSiteState, siteToWire } from './site-admin.ts';

type SiteMethods = 'listSites' | 'enrolSite' | 'setSiteState' | 'removeSite' | 'inspectSite';

/** What is asked about sites. */
export function siteHandlers(parts: AdminParts): Pick<Handlers<BrokerService>, SiteMethods> {
  const { book, sites } = parts;
  return {
    listSites: (_request, context) => {
      peerOf(context);
      const known = [...sites.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
      return Promise.resolve({ sites: known.map((site) => siteToWire(site, book)) });
    },
    enrolSite: async (request, context) => ({
      site: siteToWire(await enrolSite(parts, peerOf(context), request), book),
    }),
    setSiteState: async (request, context) => ({
      site: siteToWire(await setSiteState(parts, peerOf(context), request), book),
    }),
    inspectSite: (request, context) =>
      inspectSite(parts, peerOf(context), request.id, context.signal),
    removeSite: async (request, context) => ({
      site: await removeSite(parts, peerOf(context), request),
    }),
  };
}
