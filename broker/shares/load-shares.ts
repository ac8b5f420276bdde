import { dn, voName } from '../../core/ids.ts';
import { parseNode } from '../../core/share/node.ts';
import type { ShareTree } from '../../core/share/share-tree.ts';
import type { LedgerDb } from '../ledger/ledger.ts';

/** Reads weights, quotas and usage. */
export async function loadShares(db: LedgerDb, tree: ShareTree, nowMs: number): Promise<void> {
  for (const row of await db.selectFrom('shares').selectAll().execute()) {
    const node = parseNode(row.node);
    if (node === undefined) throw new Error(`the ledger has a share of '${row.node}'`);
    const record = tree.record(node);
    record.weight = row.weight;
    record.quota = {
      ...(row.running_cpus === null ? {} : { runningCpus: row.running_cpus }),
      ...(row.queued_tasks === null ? {} : { queuedTasks: row.queued_tasks }),
    };
  }
  for (const row of await db.selectFrom('usage').selectAll().execute()) {
    const leaf = tree.record([voName(row.vo), row.group_path, dn(row.owner)]);
    tree.addEnded(leaf, row.amount, row.at_ms, nowMs);
  }
}
