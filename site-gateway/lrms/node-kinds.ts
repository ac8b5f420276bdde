import type { NodeKind } from '../../core/match/offer.ts';
import { sum } from '../../core/sum.ts';

/** More than clusters have; where machines of all sorts are one pool it bounds what an offer says of them. */
const MOST_KINDS = 32;

/** A node as its batch system tells of it. */
export type NodeSize = Omit<NodeKind, 'nodes'>;

/**
 * The kinds of nodes of a queue, the largest first; none where all are alike. Of more than `most` those are kept that are below
 * no other, and then the most frequent; every other node counts as one of a kept kind that is below it.
 */
export function kindsOf(nodes: readonly NodeSize[], most = MOST_KINDS): readonly NodeKind[] {
  const alike = Map.groupBy(nodes, ({ cpus, memoryBytes, gpus, gpuModels }) =>
    [cpus, memoryBytes, gpus, ...gpuModels].join(),
  );
  if (alike.size < 2) return [];
  const kinds = [...alike.values()].flatMap(([first, ...others]) =>
    first === undefined
      ? []
      : {
          ...first,
          nodes: 1 + others.length,
          freeCpus: first.freeCpus + sum(others.map(({ freeCpus }) => freeCpus)),
        },
  );
  return kinds.length <= most ? kinds.toSorted(byRoom) : bounded(kinds.toSorted(byRoom), most);
}

/** `kinds` are sorted. */
function bounded(kinds: readonly NodeKind[], most: number): readonly NodeKind[] {
  const tops: NodeKind[] = [];
  for (const kind of kinds) if (!tops.some((top) => isBelow(kind, top))) tops.push(kind);
  const rest = kinds.filter((kind) => !tops.includes(kind));
  const frequent = rest.toSorted((a, b) => b.nodes - a.nodes);
  const kept = [...tops, ...frequent].slice(0, most).toSorted(byRoom);
  const homes = Map.groupBy(
    kinds.filter((kind) => !kept.includes(kind)),
    (kind) => kept.find((home) => isBelow(home, kind)),
  );
  return kept.map((kind) => {
    const counted = [kind, ...(homes.get(kind) ?? [])];
    return {
      ...kind,
      nodes: sum(counted.map(({ nodes }) => nodes)),
      freeCpus: sum(counted.map(({ freeCpus }) => freeCpus)),
    };
  });
}

/** What is not known may be anything. */
const orAny = (there: number): number => (there === 0 ? Infinity : there);
const roomOf = ({ cpus, memoryBytes, gpus }: NodeKind): readonly [number, number, number] => [
  orAny(cpus),
  orAny(memoryBytes),
  gpus,
];

/** The largest first, so that what is below another comes after it. */
function byRoom(a: NodeKind, b: NodeKind): number {
  const others = roomOf(b);
  const at = roomOf(a).findIndex((amount, index) => amount !== others[index]);
  return at < 0 ? 0 : (roomOf(a)[at] ?? 0) < (others[at] ?? 0) ? 1 : -1;
}

/** Whether a node of the other kind takes all that one of this kind does. */
function isBelow(kind: NodeKind, other: NodeKind): boolean {
  const there = roomOf(other);
  return (
    roomOf(kind).every((amount, index) => amount <= (there[index] ?? 0)) &&
    (kind.gpus === 0 || kind.gpuModels.join() === other.gpuModels.join())
  );
}
