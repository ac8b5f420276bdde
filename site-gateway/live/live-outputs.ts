import { join } from 'node:path';
import { nextLookMs } from '../../core/data/live-pace.ts';
import { EMPTY_TREE } from '../../core/data/manifest.ts';
import { byPath } from '../../core/data/paths.ts';
import { GridError } from '../../core/errors.ts';
import { background, pause } from '../../service/background.ts';
import type { Clock } from '../../service/clock.ts';
import type { Log } from '../../service/log.ts';
import type { ChunkStore } from '../../service/staging/chunk-store.ts';
import { loadKnownFiles } from '../../service/staging/known-files.ts';
import { sendFound } from '../../service/staging/send-tree.ts';
import type { Found } from '../../service/staging/walk.ts';
import type { Attempt } from '../attempts/attempt.ts';
import type { Journal } from '../journal/journal.ts';
import type { TransferQueue } from '../staging/transfer-turns.ts';
import { findLiveFiles } from './live-files.ts';

/**
 * Keeps the live outputs of running tasks in the store: looks at them again and again, sends what has changed and tells the
 * broker, who lets go of what there was before. Nothing that fails here does anything to the task.
 */
export interface LiveOutputs {
  /** The task runs: its live outputs, if it has any, are looked at until it ends or is told to. */
  begin(attempt: Attempt): void;
}

interface LiveOptions {
  readonly everyMs: number;
  readonly storeOf: (vo: string) => ChunkStore;
  readonly transfers: Pick<TransferQueue, 'run'>;
  readonly journal: Pick<Journal, 'tellLive'>;
  readonly clock: Clock;
  readonly log: Log;
}

/** When a task that has just started is looked at first: a program that dies at once left something by then. */
const FIRST_MS = 2_000;
/** A look that fails so often in a row is told of. */
const TOLD_AT = 2;

export function openLiveOutputs(options: LiveOptions): LiveOutputs {
  const watched = new Set<string>();
  return {
    begin: (attempt) => {
      const { id, spec } = attempt;
      if ((spec.liveOutputs ?? []).length === 0 || watched.has(id)) return;
      watched.add(id);
      const over = new AbortController();
      const signal = AbortSignal.any([over.signal, attempt.abort.signal]);
      const ended = attempt.task.promise.then(() => over.abort());
      background('end live outputs', ended, options.log);
      const watching = watch(options, attempt, () => watched.size, signal).finally(() =>
        watched.delete(id),
      );
      background('watch live outputs', watching, options.log);
    },
  };
}

/** What is known of the live outputs of one task. */
interface Watched {
  /** What was there when they were sent last. */
  seen: string;
  keptBytes: number;
  failures: number;
  /** As the broker was told. */
  trouble: string;
}

async function watch(
  options: LiveOptions,
  attempt: Attempt,
  tasks: () => number,
  signal: AbortSignal,
): Promise<void> {
  const { everyMs, clock } = options;
  const watched: Watched = { seen: '', keptBytes: 0, failures: 0, trouble: '' };
  await pause(Math.min(FIRST_MS, everyMs), signal);
  while (!signal.aborted) {
    const fromMs = clock.monotonicMs();
    const keptBefore = watched.keptBytes;
    const sentBytes = await look(options, attempt, watched, signal);
    const { failures, keptBytes } = watched;
    const looked = {
      sentBytes,
      grownBytes: keptBytes - keptBefore,
      tookMs: clock.monotonicMs() - fromMs,
      failures,
      tasks: tasks(),
    };
    await pause(nextLookMs(looked, everyMs), signal);
  }
}

/** Sends and tells what has changed; gives how many bytes it sent. Throws nothing. */
async function look(
  options: LiveOptions,
  attempt: Attempt,
  watched: Watched,
  signal: AbortSignal,
): Promise<number> {
  try {
    const { found } = await findLiveFiles(attempt);
    if (fingerprint(found) === watched.seen) return 0;
    const sentBytes = await options.transfers.run(attempt, 'background', signal, () =>
      signal.aborted ? Promise.resolve(0) : send(options, attempt, watched, signal),
    );
    watched.failures = 0;
    return sentBytes;
  } catch (error) {
    if (!signal.aborted) await fail(options, attempt, watched, error);
    return 0;
  }
}

async function send(
  { storeOf, journal, clock }: LiveOptions,
  attempt: Attempt,
  watched: Watched,
  signal: AbortSignal,
): Promise<number> {
  const atMs = clock.nowMs();
  const { id, directory, spec } = attempt;
  const { found, trouble } = await findLiveFiles(attempt);
  const known = await loadKnownFiles({ dir: join(directory, 'live'), tree: id, walkedAtMs: atMs });
  const sent = await sendFound(storeOf(spec.vo), directory, found.toSorted(byPath), {
    known,
    signal,
  });
  const { tree, sentBytes } = sent;
  if (signal.aborted) return sentBytes;
  await journal.tellLive(id, { tree, atMs, trouble });
  watched.seen = fingerprint(found);
  watched.keptBytes = tree.totalBytes;
  watched.trouble = trouble;
  return sentBytes;
}

/** The task goes on; its owner is told why there is nothing newer. */
async function fail(
  { journal, clock, log }: LiveOptions,
  { id }: Attempt,
  watched: Watched,
  error: unknown,
): Promise<void> {
  watched.failures += 1;
  log.info({ err: error, attempt: id }, 'live outputs could not be kept');
  const isQuota = error instanceof GridError && error.code === 'STORE_QUOTA';
  if (watched.failures < TOLD_AT && !isQuota) return;
  const trouble =
    error instanceof GridError
      ? `${error.code}: ${error.message}`
      : 'GATEWAY_ERROR: the gateway met an error of its own; see its log';
  if (trouble === watched.trouble) return;
  watched.trouble = trouble;
  // Where not even the journal can be written there is nobody to tell.
  await journal
    .tellLive(id, { tree: EMPTY_TREE, atMs: clock.nowMs(), trouble })
    .catch(() => undefined);
}

/** The same for two looks between which nothing was written. */
const fingerprint = (found: readonly Found[]): string =>
  JSON.stringify(
    found.map((entry) =>
      entry.kind === 'file'
        ? [entry.path, entry.sizeBytes, entry.mtimeMs, entry.ctimeMs, entry.inode, entry.mode]
        : Object.values(entry),
    ),
  );
