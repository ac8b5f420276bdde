import { type Heap, heapOf } from '../heap.ts';
import { dn, type JobId, voName } from '../ids.ts';
import { type FairOrder, fairOrder } from '../share/fair-order.ts';
import { type Claimant, claimantOf, nodeKey, nodesOf } from '../share/shares.ts';
import type { Rooms } from './choice.ts';
import { isOlder, type Lane, openLane } from './lane.ts';
import { type RoundMemory, recall, see } from './memory.ts';
import { MAX_SEARCHES } from './reservation.ts';
import { openRoom, type Room } from './room.ts';
import type { SiteView } from './site-view.ts';
import type { Placement, Snapshot } from './snapshot.ts';

/** A round under way. */
export interface Pass {
  readonly snapshot: Snapshot;
  /** All sites, sorted by id. */
  readonly sites: readonly Room[];
  readonly rooms: Rooms;
  readonly lanes: ReadonlyMap<string, Lane>;
  readonly order: FairOrder;
  readonly placements: Placement[];
  /** Tasks placed of each job that has a limit. */
  readonly placedOf: Map<JobId, number>;
  searchesLeft: number;
}

/** One claimant has one turn after the other, and gives it to the oldest. */
const EVERYBODY: Claimant = { vo: voName(''), group: '', owner: dn('') };

export const byId = (a: SiteView, b: SiteView): number => (a.id < b.id ? -1 : 1);

/** Looks at all that a round needs to begin. */
export function openPass(snapshot: Snapshot, memory: RoundMemory): Pass {
  const { rules, shares, queues } = snapshot;
  const views = snapshot.sites.toSorted(byId);
  const slots = see(memory, views, rules);
  const sites = views.map((view, index) => openRoom(view, index, slots[index] ?? 0));
  const live = sites.filter(
    ({ isOpen, free, backlogLeft }) => isOpen && (free.cpus > 0 || backlogLeft > 0),
  );
  const bySlot = new Map(sites.map((room) => [room.slot, room]));
  const claimants = new Map<string, Claimant>();
  const lanes = new Map<string, Lane>();
  for (const queue of queues) {
    const wanted = snapshot.order === 'arrival' ? EVERYBODY : claimantOf(queue.ask);
    const name = nodesOf(wanted).map(nodeKey).at(-1) ?? '';
    const claimant = claimants.get(name) ?? wanted;
    claimants.set(name, claimant);
    const lane = openLane(queue, claimant, recall(memory, queue.ask, rules), snapshot);
    if (lane.head !== undefined) lanes.set(queue.key, lane);
  }
  return {
    snapshot,
    sites,
    rooms: {
      open: sites.filter(({ isOpen }) => isOpen),
      live,
      common: new Map(),
      waits: new Map(),
      warmAt: (tree) =>
        [...(memory.warm.get(tree) ?? [])]
          .flatMap((slot) => bySlot.get(slot) ?? [])
          .toSorted((a, b) => a.index - b.index),
    },
    lanes,
    order: fairOrder(claimants.values(), shares),
    placements: [],
    placedOf: new Map(),
    searchesLeft: MAX_SEARCHES,
  };
}

/** Oldest first. */
export function lanesByClaimant(
  lanes: ReadonlyMap<string, Lane>,
): ReadonlyMap<Claimant, Heap<Lane>> {
  const groups = Map.groupBy(lanes.values(), ({ claimant }) => claimant);
  return new Map(
    [...groups].map(([claimant, some]) => [
      claimant,
      heapOf(
        isOlder,
        some.filter(({ head }) => head !== undefined),
      ),
    ]),
  );
}
