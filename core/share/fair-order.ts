import { type Heap, heapOf } from '../heap.ts';
import type { Need } from '../match/need.ts';
import { type Claimant, nodeKey, nodesOf, type ShareNode, type Shares } from './shares.ts';

/**
 * Whose turn it is: the VO with the least usage for its weight, in it the group, in it the owner; what is equal goes by
 * name. So an owner with one job never waits behind the million of another, and a turn costs the logarithm of how many
 * there are.
 */
export interface FairOrder {
  /** The claimant whose turn it is; undefined when all have left. */
  next(): Claimant | undefined;
  /** Counts what `claimant` has been given. */
  charge(claimant: Claimant, need: Need): void;
  /** `claimant` wants nothing more in this round. */
  leave(claimant: Claimant): void;
  /** The first cap, VO first, that `cpus` more would break. */
  capAgainst(claimant: Claimant, cpus: number): Cap | undefined;
}

/** A hard cap of running cpus that stands in the way. */
export interface Cap {
  readonly node: ShareNode;
  readonly runningCpus: number;
  readonly maxCpus: number;
}

interface Branch {
  readonly node: ShareNode;
  readonly name: string;
  readonly weight: number;
  readonly maxCpus: number;
  usage: number;
  runningCpus: number;
  /** Usage for its weight as the heap above knows it: it only grows, and is brought up to date at the top. */
  known: number;
  gone: boolean;
  /** Of an owner: who that is. */
  claimant?: Claimant;
  readonly below: Heap<Branch>;
}

const comesBefore = (a: Branch, b: Branch): boolean =>
  a.known === b.known ? a.name < b.name : a.known < b.known;

/** `claimants` are told apart by identity. */
export function fairOrder(claimants: Iterable<Claimant>, shares: Shares): FairOrder {
  const top = heapOf<Branch>(comesBefore);
  const branches = new Map<string, Branch>();
  const paths = new Map<Claimant, readonly Branch[]>();
  for (const claimant of claimants) {
    let above = top;
    const path = nodesOf(claimant).map((node) => {
      const known = branches.get(nodeKey(node));
      const branch = known ?? openBranch(node, shares);
      if (known === undefined) above.push(branch);
      branches.set(nodeKey(node), branch);
      above = branch.below;
      return branch;
    });
    paths.set(claimant, path);
    const owner = path.at(-1);
    if (owner !== undefined) owner.claimant = claimant;
  }
  const pathOf = (claimant: Claimant): readonly Branch[] => paths.get(claimant) ?? [];
  return {
    next: () => ownerBelow(top)?.claimant,
    charge: (claimant, need) => {
      const charge = shares.charge(need);
      for (const branch of pathOf(claimant)) {
        branch.usage += charge;
        branch.runningCpus += need.cpus;
      }
    },
    leave: (claimant) => {
      const owner = pathOf(claimant).at(-1);
      if (owner !== undefined) owner.gone = true;
    },
    capAgainst: (claimant, cpus) =>
      pathOf(claimant).find(({ runningCpus, maxCpus }) => runningCpus + cpus > maxCpus),
  };
}

/** The first cap, VO first, that `cpus` more of an ask's claimant would break. */
export function capAgainst(shares: Shares, claimant: Claimant, cpus: number): Cap | undefined {
  return nodesOf(claimant)
    .map((node) => openBranch(node, shares))
    .find(({ runningCpus, maxCpus }) => runningCpus + cpus > maxCpus);
}

function openBranch(node: ShareNode, shares: Shares): Branch {
  const usage = shares.usage(node);
  const weight = shares.weight(node);
  return {
    node,
    name: node.at(-1) ?? '',
    weight,
    maxCpus: shares.maxRunningCpus(node) ?? Number.POSITIVE_INFINITY,
    usage,
    runningCpus: shares.runningCpus(node),
    known: usage / weight,
    gone: false,
    below: heapOf(comesBefore),
  };
}

/** The first owner below; branches without any are dropped on the way. */
function ownerBelow(heap: Heap<Branch>): Branch | undefined {
  for (let first = heap.first(); first !== undefined; first = heap.first()) {
    const score = first.usage / first.weight;
    if (first.gone) {
      heap.pop();
    } else if (score !== first.known) {
      first.known = score;
      heap.sink();
    } else if (first.claimant !== undefined) {
      return first;
    } else {
      const owner = ownerBelow(first.below);
      if (owner !== undefined) return owner;
      first.gone = true;
    }
  }
  return undefined;
}
