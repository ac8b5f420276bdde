import { listShares, type ShareLine } from './share-list.ts';
import { type ShareRecord, type ShareTree, upwards } from './share-tree.ts';

/** Where a node stands among those beside it in which tasks wait. */
export interface Turn {
  /** As in a listing of shares. */
  readonly node: string;
  /** 1 for the one whose turn it is. */
  readonly place: number;
  /** How many wait, this one counted. */
  readonly waiting: number;
  readonly usedPart: number;
  readonly targetPart: number;
}

/** Whose turn it is as of now: of the VO among the VOs, of the group in it, of the owner in that. */
export function turnsOf(tree: ShareTree, leaf: ShareRecord, nowMs: number): readonly Turn[] {
  const lines = listShares(tree, nowMs, [leaf]);
  const path = new Set(upwards(leaf));
  return lines
    .filter(({ record }) => path.has(record))
    .map((line) => {
      const { name: node, usedPart, targetPart } = line;
      const others = lines.filter(
        ({ record }) =>
          record.parent === line.record.parent && record !== line.record && record.queuedTasks > 0,
      );
      const place = 1 + others.filter((other) => comesBefore(other, line)).length;
      return { node, place, waiting: others.length + 1, usedPart, targetPart };
    });
}

/** As rounds take turns. */
function comesBefore(a: ShareLine, b: ShareLine): boolean {
  const [first, second] = [a, b].map(({ usage, record }) => usage / record.weight);
  if (first === undefined || second === undefined || first === second)
    return (a.record.node.at(-1) ?? '') < (b.record.node.at(-1) ?? '');
  return first < second;
}
