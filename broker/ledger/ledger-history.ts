import { type Kysely, type Migration, sql } from 'kysely';
import type { JobState } from '../../core/job/state.ts';

/** What is left of a job that ended long ago. */
export interface HistoryRow {
  id: string;
  seq: number;
  owner: string;
  vo: string;
  name: string;
  tasks: number;
  state: JobState;
  reason: string;
  detail: string;
  submitted_ms: number;
  ended_ms: number;
  /** 1 while rows of its tasks are still there. */
  rest: number;
}

/** Jobs that have left the ledger, and what is needed to find the old ones and the trees that only they named. */
export const HISTORY: Migration = {
  up: async (db: Kysely<unknown>) => {
    const { schema } = db;
    await schema
      .createTable('history')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('seq', 'bigint', (column) => column.notNull().unique())
      .addColumn('owner', 'text', (column) => column.notNull())
      .addColumn('vo', 'text', (column) => column.notNull())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('tasks', 'integer', (column) => column.notNull())
      .addColumn('state', 'text', (column) => column.notNull())
      .addColumn('reason', 'text', (column) => column.notNull())
      .addColumn('detail', 'text', (column) => column.notNull())
      .addColumn('submitted_ms', 'bigint', (column) => column.notNull())
      .addColumn('ended_ms', 'bigint', (column) => column.notNull())
      .addColumn('rest', 'integer', (column) => column.notNull())
      .execute();
    await schema
      .alterTable('attempts')
      .addColumn('outputs', 'text', (column) => column.notNull().defaultTo(''))
      .execute();
    await fillOutputs(db);
    await makeIndexes(db);
  },
};

async function makeIndexes({ schema }: Kysely<unknown>): Promise<void> {
  const where = (text: string) => sql<boolean>`${sql.raw(text)}`;
  await schema
    .createIndex('history_rest')
    .on('history')
    .column('id')
    .where(where('rest = 1'))
    .execute();
  await schema
    .createIndex('job_state_ended')
    .on('job_state')
    .columns(['ended_ms', 'job_id'])
    .where(where('ended_ms is not null'))
    .execute();
  await schema
    .createIndex('jobs_inputs')
    .on('jobs')
    .column('inputs')
    .where(where("inputs <> ''"))
    .execute();
  await schema
    .createIndex('attempts_outputs')
    .on('attempts')
    .column('outputs')
    .where(where("outputs <> ''"))
    .execute();
  await schema.createIndex('datasets_tree').on('datasets').column('tree').execute();
  await schema.createIndex('submits_age').on('submits').column('at_ms').execute();
}

interface OutcomeRow {
  id: string;
  outcome: string | null;
  outputs: string;
}

const PAGE = 1_000;

/** Older ledgers have the digest only within `outcome`. */
async function fillOutputs(db: Kysely<{ attempts: OutcomeRow }>): Promise<void> {
  for (let last = ''; ; ) {
    const rows = await db
      .selectFrom('attempts')
      .select(['id', 'outcome'])
      .where('id', '>', last)
      .orderBy('id')
      .limit(PAGE)
      .execute();
    for (const { id, outcome } of rows) {
      const outputs = outcome === null ? '' : digestIn(outcome);
      if (outputs !== '')
        await db.updateTable('attempts').set({ outputs }).where('id', '=', id).execute();
    }
    if (rows.length < PAGE) return;
    last = rows.at(-1)?.id ?? '';
  }
}

const digestIn = (outcome: string): string =>
  (JSON.parse(outcome) as { readonly outputs?: { readonly digest?: string } }).outputs?.digest ??
  '';
