import { formatNode } from './node.ts';
import { type ShareRecord, type ShareTree, upwards } from './share-tree.ts';

/** A node as a listing shows it; parts are of all that its siblings and it have together. */
export interface ShareLine {
  readonly record: ShareRecord;
  readonly name: string;
  readonly usage: number;
  /** The part that its weight is. */
  readonly targetPart: number;
  /** The part that its usage is; 0 where nobody has used anything. */
  readonly usedPart: number;
}

/**
 * The nodes that anybody has set up, used or waits in, each above those that are in it, by name; of `also` even where
 * nothing has happened yet. Where only some may be seen, the parts are of all nevertheless.
 */
export function listShares(
  tree: ShareTree,
  nowMs: number,
  also: readonly ShareRecord[],
): readonly ShareLine[] {
  const telling = [...tree.records].filter((record) =>
    isTelling(record, tree.usageOf(record, nowMs)),
  );
  const shown = new Set([...also, ...telling].flatMap((record) => [...upwards(record)]));
  const lines = Map.groupBy(
    [...shown].map((record) => ({ record, usage: tree.usageOf(record, nowMs) })),
    ({ record }) => record.parent,
  );
  const below = (parent: ShareRecord | undefined): readonly ShareLine[] => {
    const siblings = lines.get(parent) ?? [];
    const weights = siblings.reduce((sum, { record }) => sum + record.weight, 0);
    const usages = siblings.reduce((sum, { usage }) => sum + usage, 0);
    return siblings
      .map(({ record, usage }) => ({
        record,
        name: formatNode(record.node),
        usage,
        targetPart: record.weight / weights,
        usedPart: usages === 0 ? 0 : usage / usages,
      }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .flatMap((line) => [line, ...below(line.record)]);
  };
  return below(undefined);
}

/** Less than a cpu-second is no use worth a line. */
const isTelling = (
  { weight, quota, placedCpus, queuedTasks }: ShareRecord,
  usage: number,
): boolean =>
  weight !== 1 ||
  quota.runningCpus !== undefined ||
  quota.queuedTasks !== undefined ||
  placedCpus > 0 ||
  queuedTasks > 0 ||
  usage >= 1;
