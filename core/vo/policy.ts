import { type Dn, type VoName, voName } from '../ids.ts';
import { type Caller, type Peer, vosOf } from './caller.ts';
import { formatFqan } from './fqan.ts';
import { managerFqan } from './membership.ts';

/** What access to a job depends on. */
export interface Owned {
  readonly owner: Dn;
  readonly vo: VoName;
}

/** What the broker's configuration says about people. */
export interface Access {
  /** DNs of the grid's administrators. */
  readonly admins: readonly string[];
  /** VOs that the broker serves; empty means every VO that it can verify. */
  readonly vos: readonly string[];
}

/** A decision with the words for the one it is about. */
export type Decision =
  | { readonly allowed: true; readonly vo: VoName }
  | {
      readonly allowed: false;
      readonly code: 'PERMISSION_DENIED' | 'VO_DENIED' | 'VO_NOT_FOUND';
      readonly why: string;
    };

export const isAdmin = (caller: Caller, access: Access): boolean =>
  access.admins.includes(caller.dn);

/** Whether the broker serves a VO. */
export const isServed = (vo: VoName, access: Pick<Access, 'vos'>): boolean =>
  access.vos.length === 0 || access.vos.includes(vo);

/** What is said of a VO that the broker does not serve. */
export const unservedWords = (vo: VoName, access: Pick<Access, 'vos'>): string =>
  `this broker does not serve VO ${vo.slice(0, 80)} (serves: ${access.vos.join(', ')})`;

const denied = (why: string): Decision => ({ allowed: false, code: 'VO_DENIED', why });

/** The VO under which a caller acts: the wanted one, or its only one that is served here. */
export function chooseVo(caller: Caller, wanted: string, access: Access): Decision {
  const own = vosOf(caller);
  const usable = own.filter((vo) => isServed(vo, access));
  if (wanted === '') {
    const [only, second] = usable;
    if (only === undefined) {
      return denied(
        own.length === 0
          ? `${caller.dn} shows no VO membership`
          : `this broker serves ${access.vos.join(', ')}, and ${caller.dn} is a member of ${own.join(', ')}`,
      );
    }
    if (second !== undefined)
      return denied(`${caller.dn} is a member of ${usable.join(', ')}: name one of them`);
    return { allowed: true, vo: only };
  }
  const named = voName(wanted);
  if (!isServed(named, access))
    return { allowed: false, code: 'VO_NOT_FOUND', why: unservedWords(named, access) };
  if (!own.includes(named)) {
    const shown = own.length === 0 ? 'none' : own.join(', ');
    return denied(
      `the credential of ${caller.dn} does not show membership of VO ${wanted} (shows: ${shown})`,
    );
  }
  return { allowed: true, vo: named };
}

/** Who may submit: anybody under a VO that is served, but not with a limited proxy. */
export function maySubmit(peer: Peer, wanted: string, access: Access): Decision {
  if (peer.limited) {
    const why = 'a limited proxy may move data, but not submit jobs: run `grid login`';
    return { allowed: false, code: 'PERMISSION_DENIED', why };
  }
  return chooseVo(peer, wanted, access);
}

/** Who may set what a VO gets: the grid's administrators. Within a VO (`inside`) its managers may, too. */
export function maySetShares(peer: Peer, vo: VoName, inside: boolean, access: Access): Decision {
  const deny = (why: string): Decision => ({ allowed: false, code: 'PERMISSION_DENIED', why });
  if (peer.limited) return deny('a limited proxy may not set shares');
  if (isAdmin(peer, access)) return { allowed: true, vo };
  if (!inside) return deny(`${peer.dn} does not administer this grid, which divides it among VOs`);
  const manager = managerFqan(vo);
  return peer.fqans.map(formatFqan).includes(manager)
    ? { allowed: true, vo }
    : deny(`${peer.dn} does not act as ${manager}: \`grid login --fqan ${manager}\``);
}

/** Who may see into a VO: its members and the grid's administrators. */
export const maySeeVo = (caller: Caller, vo: VoName, access: Access): boolean =>
  isAdmin(caller, access) || vosOf(caller).includes(vo);

/** Who may see all of a job: its owner and the grid's administrators. */
export const mayRead = (caller: Caller, job: Owned, access: Access): boolean =>
  job.owner === caller.dn || isAdmin(caller, access);

/** Who may see a job's line in a listing: also the members of its VO. */
export const mayList = (caller: Caller, job: Owned, access: Access): boolean =>
  mayRead(caller, job, access) || vosOf(caller).includes(job.vo);

/** Who may end, hold, release and retry a job: its owner and the grid's administrators, never a limited proxy. */
export const mayControl = (peer: Peer, job: Owned, access: Access): boolean =>
  !peer.limited && mayRead(peer, job, access);
