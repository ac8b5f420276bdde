import type { SiteId } from '../ids.ts';
import { boundedWords } from '../words.ts';
import type { Offer } from './offer.ts';
import { emptied, excessOf } from './offer-size.ts';

/** More than any site has. A wrong unit or a gateway gone mad is beyond it by far. */
const MOST = 100_000_000;
const COUNTS = ['totalCpus', 'freeCpus', 'totalGpus', 'freeGpus', 'maxNodes', 'backlog'] as const;
const AMOUNTS = [
  'totalMemoryBytes',
  'freeMemoryBytes',
  'totalDiskBytes',
  'freeDiskBytes',
  'maxWalltimeMs',
  'expectedWaitMs',
] as const;

/**
 * An offer of `site` as the broker may rely on it. One that cannot be true (below zero, no number, more than any site has or
 * lists) or that is of another site is taken as one that is closed, with the reason; and nothing is free beyond what there is.
 */
export function credible(offer: Offer, site: SiteId): Offer {
  const fault = faultOf(offer, site);
  if (fault !== undefined) {
    // What is too much is not even kept.
    const kept = excessOf(offer) === undefined ? offer : emptied(offer);
    return { ...kept, site, price: 0, closedReason: `its gateway ${fault}` };
  }
  return {
    ...offer,
    closedReason: boundedWords(offer.closedReason),
    freeCpus: Math.min(offer.freeCpus, offer.totalCpus),
    freeGpus: Math.min(offer.freeGpus, offer.totalGpus),
    freeMemoryBytes: Math.min(offer.freeMemoryBytes, offer.totalMemoryBytes),
    freeDiskBytes: Math.min(offer.freeDiskBytes, offer.totalDiskBytes),
  };
}

/** Jobs name sites by their ids: who could take the id of another one would get what is meant for that. */
function faultOf(offer: Offer, site: SiteId): string | undefined {
  if (offer.site !== site) return `calls itself '${offer.site.slice(0, 60)}', and not ${site}`;
  const doubt = doubtAbout(offer);
  return doubt && `advertises ${doubt}, which cannot be`;
}

function doubtAbout(offer: Offer): string | undefined {
  const excess = excessOf(offer);
  if (excess !== undefined) return excess;
  const count = COUNTS.find((name) => !isWhole(offer[name]) || offer[name] > MOST);
  const wrong = count ?? AMOUNTS.find((name) => !isWhole(offer[name]));
  if (wrong !== undefined) return `${wordsOf(wrong)} of ${offer[wrong]}`;
  return Number.isFinite(offer.price) && offer.price >= 0 ? undefined : `a price of ${offer.price}`;
}

const isWhole = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

/** `freeCpus` as people say it: `free cpus`. */
const wordsOf = (name: string): string =>
  name.replace(/(?:Bytes|Ms)$/, '').replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
