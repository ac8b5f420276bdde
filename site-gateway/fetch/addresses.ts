import { lookup as lookUp } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { type FetchRule, ruleFor } from '../../core/data/fetch-rules.ts';
import { GridError } from '../../core/errors.ts';

/**
 * How a request to an address may be made; throws FETCH_REFUSED where it may not. A job's owner must not reach through the
 * gateway what only the site's own network can: an address that is not public is used only for a host that the rules name. It
 * is looked at when the connection is made, so that a name cannot lead elsewhere a moment later.
 */
export function admitUrl(rules: readonly FetchRule[], url: URL): { lookup?: LookupFunction } {
  if (url.protocol !== 'https:')
    throw refused(url, `${url.protocol}// is not protected on the way`);
  const word = ruleFor(rules, url);
  if (word === undefined) throw refused(url, `the site does not fetch from ${url.host}`);
  if (word === 'named') return {};
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (isIP(host) !== 0 && !isPublic(host)) throw refused(url, `${host} is no public address`);
  return { lookup: publicLookup(url) };
}

/** Looks a name up and keeps its public addresses only. */
const publicLookup =
  (url: URL): LookupFunction =>
  (hostname, options, callback) => {
    lookUp(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, [], 0);
      const [first, ...others] = addresses.filter(({ address }) => isPublic(address));
      if (first === undefined)
        return callback(refused(url, `${hostname} has no public address`), [], 0);
      if (options.all === true) callback(null, [first, ...others]);
      else callback(null, first.address, first.family);
    });
  };

/** Not loopback, private, link-local, multicast, reserved, or a way from IPv6 to any of these. */
const isPublic = (address: string): boolean => ipaddr.process(address).range() === 'unicast';

/** Without the query, in which a signature may stand. */
export const nameOf = ({ origin, pathname }: URL): string => `${origin}${pathname}`;

const refused = (url: URL, why: string): GridError =>
  new GridError('FETCH_REFUSED', `'${nameOf(url)}': ${why}`);
