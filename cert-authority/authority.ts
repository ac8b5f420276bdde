import { GridError } from '../core/errors.ts';
import type { Peer } from '../core/vo/caller.ts';
import type { Publishing } from './crl.ts';
import type { Membership } from './vo.ts';

/** Everything that the handlers work with. */
export interface Authority extends Publishing, Membership {
  /** DNs of those who may make tokens and VOs, revoke and list. */
  readonly admins: ReadonlySet<string>;
  /** Tells our own path validation that the trust directory has changed. */
  readonly trustChanged: () => void;
}

/** Refuses limited proxies: they are handed to jobs, and a job has no business here. */
export function requireFull(peer: Peer): Peer {
  if (!peer.limited) return peer;
  throw new GridError('PERMISSION_DENIED', 'a limited proxy may not do this: run `grid login`');
}

/** Refuses everybody but administrators of the authority. */
export function requireAdmin(authority: Pick<Authority, 'admins'>, peer: Peer): Peer {
  if (authority.admins.has(requireFull(peer).dn)) return peer;
  throw new GridError('PERMISSION_DENIED', `'${peer.dn}' is no administrator of this authority`);
}
