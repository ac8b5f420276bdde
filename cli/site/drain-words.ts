import { counted } from '../../core/units.ts';
import { SiteState, type SiteSummary } from '../../proto/gen/grid/v1/broker.ts';

/** What becomes of the tasks that a draining site has. */
export function restOf(
  { attempts, state, detail }: Pick<SiteSummary, 'attempts' | 'state' | 'detail'>,
  moves: boolean,
): string {
  if (attempts === 0) return ' and is empty';
  const has = `; it has ${counted(attempts, 'task')}`;
  // Nobody can say of a site that is away whether it has ended them: its lease decides.
  if (!isHeard({ state, detail }))
    return `${has}, and the broker does not hear it (${detail}): they begin again elsewhere when its lease is over, if it is not back`;
  const one = attempts === 1;
  return moves
    ? `${has}, which ${one ? 'is' : 'are'} moved`
    : `${has}, which ${one ? 'ends' : 'end'} there`;
}

/** Whether the broker has the gateway's word, and not only its last one. */
export const isHeard = ({ state, detail }: Pick<SiteSummary, 'state' | 'detail'>): boolean =>
  state !== SiteState.SITE_STATE_LOST && !detail.startsWith('not connected');
