import { jobId } from '../../core/ids.ts';
import type { Ask } from '../../core/match/ask.ts';
import { round } from '../../core/match/match.ts';
import type { AskQueue, QueueItem, Snapshot } from '../../core/match/snapshot.ts';
import { sharesFromUse } from '../../core/share/shares.ts';
import { NO_RULES } from './offers.ts';

export const item = (job: string, seq: number, details: Partial<QueueItem> = {}): QueueItem => ({
  job: jobId(job),
  seq,
  firstOrdinal: 0,
  tasks: 1,
  avoid: [],
  notBeforeMs: 0,
  inputs: '',
  ...details,
});
export const queue = (key: string, ask: Ask, ...items: readonly QueueItem[]): AskQueue => ({
  key,
  ask,
  items,
});
export const snapshot = (details: Partial<Snapshot>): Snapshot => ({
  nowMs: 1_000,
  sites: [],
  queues: [],
  shares: sharesFromUse([]),
  rules: NO_RULES,
  limit: 1_000,
  ...details,
});
/** Placements as `job.ordinal@site`, with `+` for a place in the backlog. */
export const placed = (details: Partial<Snapshot>): readonly string[] =>
  round(snapshot(details)).placements.map(
    ({ job, ordinal, site, backlog }) => `${job}.${ordinal}@${site}${backlog ? '+' : ''}`,
  );
