import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import { type AttemptId, attemptId } from '../../core/ids.ts';
import type { LiveOutputs } from '../../core/job/live-outputs.ts';
import { boundedWords } from '../../core/words.ts';
import { StagingTicket, State, TreeRef } from '../../proto/gen/grid/v1/common.ts';
import { AttemptUpdate, PlacedJob } from '../../proto/gen/grid/v1/site.ts';
import { liveToWire, outcomeToWire, stateToWire } from '../../service/rpc/wire.ts';
import type { GroupCommit } from './group-commit.ts';
import type { AttemptState, Ending, Journal, LiveAttempt, Step } from './journal.ts';

/** The statements of the journal, by table. Each is prepared once. */

type Attempts = Pick<
  Journal,
  | 'accept'
  | 'known'
  | 'live'
  | 'ended'
  | 'intend'
  | 'takeBack'
  | 'outputsOf'
  | 'removable'
  | 'removed'
  | 'forget'
>;

/** What the gateway accepted. */
export function attemptsIn(database: DatabaseSync, commits: GroupCommit): Attempts {
  const findJob = database.prepare('SELECT 1 FROM jobs WHERE id = ?');
  const addJob = database.prepare('INSERT INTO jobs (id, placed) VALUES (?, ?)');
  const addAttempt = database.prepare(
    'INSERT INTO attempts (id, job_id, ordinal, task_value, memory_bytes, queue, accepted_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  const find = database.prepare('SELECT outputs FROM attempts WHERE id = ?');
  const setEnding = database.prepare(
    "UPDATE attempts SET ending = ? WHERE id = ? AND ended_at IS NULL AND ending = ''",
  );
  const clearEnding = database.prepare(
    "UPDATE attempts SET ending = '' WHERE id = ? AND ended_at IS NULL AND ending = ?",
  );
  const removable = database.prepare(
    `SELECT id FROM attempts WHERE directory_gone = 0 AND ended_at < ?
     AND ended_seq <= (SELECT value FROM meta WHERE key = 'acknowledged') ORDER BY ended_at, id LIMIT ? OFFSET ?`,
  );
  const remove = database.prepare('UPDATE attempts SET directory_gone = 1 WHERE id = ?');
  const forgetAttempts = database.prepare(
    'DELETE FROM attempts WHERE directory_gone = 1 AND ended_at < ?',
  );
  const forgetJobs = database.prepare(
    'DELETE FROM jobs WHERE NOT EXISTS (SELECT 1 FROM attempts WHERE job_id = jobs.id)',
  );
  return {
    accept: (attempts, atMs) =>
      commits.write(() => {
        for (const { id, jobId, ordinal, taskValue, memoryBytes, queue, job } of attempts) {
          if (findJob.get(jobId) === undefined) addJob.run(jobId, PlacedJob.encode(job).finish());
          addAttempt.run(id, jobId, ordinal, taskValue, memoryBytes, queue, atMs);
        }
      }),
    known: (ids) => new Set(ids.filter((id) => find.get(id) !== undefined)),
    live: liveIn(database),
    ended: endedIn(database),
    intend: (ids, ending) =>
      commits.write(() => {
        for (const id of ids) setEnding.run(ending, id);
      }),
    takeBack: (ids, ending) =>
      commits.insist(() => {
        for (const id of ids) clearEnding.run(id, ending);
      }),
    outputsOf: (id) => {
      const row = find.get(id) as { outputs: Uint8Array | null } | undefined;
      return row?.outputs == null ? undefined : TreeRef.decode(row.outputs);
    },
    removable: (beforeMs, limit, skipped) =>
      removable.all(beforeMs, limit, skipped).map((row) => attemptId(String(row['id']))),
    removed: (ids) =>
      commits.insist(() => {
        for (const id of ids) remove.run(id);
      }),
    forget: (beforeMs) =>
      commits.insist(() => {
        forgetAttempts.run(beforeMs);
        forgetJobs.run();
      }),
  };
}

interface LiveRow {
  readonly id: string;
  readonly job_id: string;
  readonly ordinal: number;
  readonly task_value: string;
  readonly memory_bytes: number;
  readonly queue: string;
  readonly state: AttemptState;
  readonly ending: Ending;
  readonly started_at: number | null;
}

/** Attempts that have not ended, in the order in which they came; those of one job share it. */
function liveIn(database: DatabaseSync): Journal['live'] {
  const live = database.prepare(
    'SELECT * FROM attempts WHERE ended_at IS NULL ORDER BY accepted_at, rowid',
  );
  const find = database.prepare('SELECT placed FROM jobs WHERE id = ?');
  return () => {
    const jobs = new Map<string, PlacedJob>();
    return live.all().map((found) => {
      const row = found as unknown as LiveRow;
      const job = jobs.get(row.job_id) ?? placedIn(find.get(row.job_id));
      jobs.set(row.job_id, job);
      return liveOf(row, job);
    });
  };
}

function endedIn(database: DatabaseSync): Journal['ended'] {
  const find = database.prepare(
    'SELECT * FROM attempts WHERE id = ? AND ended_at IS NOT NULL AND directory_gone = 0',
  );
  const findJob = database.prepare('SELECT placed FROM jobs WHERE id = ?');
  return (id) => {
    const row = find.get(id) as unknown as LiveRow | undefined;
    return row === undefined ? undefined : liveOf(row, placedIn(findJob.get(row.job_id)));
  };
}

const placedIn = (row: Record<string, unknown> | undefined): PlacedJob =>
  PlacedJob.decode(row?.['placed'] as Uint8Array);

const liveOf = (row: LiveRow, job: PlacedJob): LiveAttempt => ({
  id: attemptId(row.id),
  jobId: row.job_id,
  ordinal: row.ordinal,
  taskValue: row.task_value,
  memoryBytes: row.memory_bytes,
  queue: row.queue,
  state: row.state,
  ending: row.ending,
  startedAtMs: row.started_at ?? 0,
  job,
});

type Outbox = Pick<Journal, 'step' | 'tellLive' | 'updatesAfter' | 'acknowledge'>;

/** A step and what is told of it, in one transaction; what was told and not yet acknowledged. */
export function outboxIn(database: DatabaseSync, commits: GroupCommit): Outbox {
  const move = database.prepare(
    'UPDATE attempts SET state = ?, started_at = coalesce(started_at, ?) WHERE id = ?',
  );
  const end = database.prepare(
    'UPDATE attempts SET state = ?, ended_at = ?, ended_seq = ?, outputs = ? WHERE id = ?',
  );
  const tell = database.prepare('INSERT INTO outbox (told) VALUES (?)');
  const read = database.prepare('SELECT seq, told FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?');
  const last = database.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'");
  const forget = database.prepare('DELETE FROM outbox WHERE seq <= ?');
  const findLive = database.prepare(
    'SELECT live_seq FROM attempts WHERE id = ? AND ended_at IS NULL',
  );
  const setLive = database.prepare('UPDATE attempts SET live_seq = ? WHERE id = ?');
  const forgetOne = database.prepare('DELETE FROM outbox WHERE seq = ?');
  const acknowledge = database.prepare(
    "UPDATE meta SET value = max(value, ?) WHERE key = 'acknowledged'",
  );
  let acknowledged = 0;
  return {
    step: (step) => {
      const told = step.tell ? AttemptUpdate.encode(updateOf(step)).finish() : undefined;
      return commits.insist(() => {
        const seq = told === undefined ? 0 : Number(tell.run(told).lastInsertRowid);
        if (step.outcome === undefined)
          move.run(step.state, step.state === 'running' ? step.atMs : null, step.id);
        else {
          const outputs = TreeRef.encode(outcomeToWire(step.outcome).outputs ?? NO_TREE).finish();
          end.run(step.state, step.atMs, seq, outputs, step.id);
        }
      });
    },
    tellLive: (id, live) => {
      const told = AttemptUpdate.encode(liveUpdateOf(id, live)).finish();
      return commits.write(() => {
        const row = findLive.get(id);
        if (row === undefined) return;
        forgetOne.run(row['live_seq'] ?? null);
        setLive.run(tell.run(told).lastInsertRowid, id);
      });
    },
    updatesAfter: (seq, limit) =>
      read.all(seq, limit).map((row) => ({
        ...AttemptUpdate.decode(row['told'] as Uint8Array),
        seq: Number(row['seq']),
      })),
    acknowledge: async (upTo) => {
      // What has not been told yet cannot have been heard.
      const seq = Math.min(upTo, Number(last.get()?.['seq'] ?? 0));
      if (seq <= acknowledged) return;
      acknowledged = seq;
      await commits.insist(() => {
        forget.run(seq);
        acknowledge.run(seq);
      });
    },
  };
}

const NO_TREE: TreeRef = TreeRef.create();

const updateOf = (step: Step): AttemptUpdate => ({
  seq: 0,
  attemptId: step.id,
  atMs: step.atMs,
  state: step.state === 'accepted' ? State.STATE_MATCHED : stateToWire(step.state),
  outcome: step.outcome === undefined ? undefined : outcomeToWire(step.outcome),
  detail: boundedWords(step.detail ?? ''),
  live: undefined,
});

const liveUpdateOf = (id: AttemptId, live: LiveOutputs): AttemptUpdate => ({
  seq: 0,
  attemptId: id,
  atMs: live.atMs,
  state: State.STATE_RUNNING,
  outcome: undefined,
  detail: '',
  live: liveToWire(live),
});

type Settings = Pick<
  Journal,
  'id' | 'epoch' | 'raiseEpoch' | 'lease' | 'keepLease' | 'tickets' | 'keepTickets'
>;

/** What a later run of the gateway has to know besides. */
export function settingsIn(database: DatabaseSync, commits: GroupCommit): Settings {
  const get = database.prepare('SELECT value FROM meta WHERE key = ?');
  const set = database.prepare('INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)');
  const tickets = database.prepare('SELECT ticket FROM tickets');
  const keepTicket = database.prepare('INSERT OR REPLACE INTO tickets (vo, ticket) VALUES (?, ?)');
  const valueOf = (key: string): SQLOutputValue | undefined => get.get(key)?.['value'];
  let epoch = Number(valueOf('epoch') ?? 0);
  return {
    id: textOf(valueOf('journal')),
    epoch: () => epoch,
    raiseEpoch: async (value) => {
      // In memory only what is on the disk: a later run, too, must know who was replaced.
      await commits.write(() => set.run('epoch', Math.max(value, Number(valueOf('epoch') ?? 0))));
      epoch = Math.max(epoch, value);
    },
    lease: () => {
      const bootId = valueOf('lease-boot-id');
      if (bootId === undefined) return undefined;
      const lengthMs = Number(valueOf('lease-length'));
      return { lengthMs, endUptimeMs: Number(valueOf('lease-end')), bootId: textOf(bootId) };
    },
    keepLease: (lease) =>
      commits.insist(() => {
        set.run('lease-length', lease.lengthMs);
        set.run('lease-end', lease.endUptimeMs);
        set.run('lease-boot-id', lease.bootId);
      }),
    tickets: () => tickets.all().map((row) => StagingTicket.decode(row['ticket'] as Uint8Array)),
    keepTickets: (fresh) =>
      commits.insist(() => {
        for (const ticket of fresh)
          keepTicket.run(ticket.vo, StagingTicket.encode(ticket).finish());
      }),
  };
}

const textOf = (value: SQLOutputValue | undefined): string =>
  typeof value === 'string' ? value : '';
