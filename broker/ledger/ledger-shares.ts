import type { Kysely, Migration } from 'kysely';
import { formatNode } from '../../core/share/node.ts';
import type { ShareRecord } from '../../core/share/share-tree.ts';

/** What a claimant's tasks that have ended came to: `amount` weighed cpu-seconds as of `at_ms`. */
export interface UsageRow {
  vo: string;
  group_path: string;
  owner: string;
  amount: number;
  at_ms: number;
}

/** What an administrator or a manager has set for a node, which is named as people write it; null caps nothing. */
export interface ShareRow {
  node: string;
  weight: number;
  running_cpus: number | null;
  queued_tasks: number | null;
}

export const SHARES: Migration = {
  up: async ({ schema }: Kysely<unknown>) => {
    await schema
      .createTable('usage')
      .addColumn('vo', 'text', (column) => column.notNull())
      .addColumn('group_path', 'text', (column) => column.notNull())
      .addColumn('owner', 'text', (column) => column.notNull())
      .addColumn('amount', 'double precision', (column) => column.notNull())
      .addColumn('at_ms', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('usage_key', ['vo', 'group_path', 'owner'])
      .execute();
    await schema
      .createTable('shares')
      .addColumn('node', 'text', (column) => column.primaryKey())
      .addColumn('weight', 'double precision', (column) => column.notNull())
      .addColumn('running_cpus', 'bigint')
      .addColumn('queued_tasks', 'bigint')
      .execute();
  },
};

/** Of an owner's node; what has faded to nothing is nothing (not every database takes the smallest numbers). */
export function usageRow({ node, ended }: ShareRecord): UsageRow {
  const [vo, group = '', owner = ''] = node;
  return {
    vo,
    group_path: group,
    owner,
    amount: ended.amount < 1e-6 ? 0 : ended.amount,
    at_ms: ended.atMs,
  };
}

export const shareRow = ({ node, weight, quota }: ShareRecord): ShareRow => ({
  node: formatNode(node),
  weight,
  running_cpus: quota.runningCpus ?? null,
  queued_tasks: quota.queuedTasks ?? null,
});
