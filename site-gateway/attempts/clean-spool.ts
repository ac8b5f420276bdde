import type { AttemptId } from '../../core/ids.ts';
import type { Clock } from '../../service/clock.ts';
import type { Log } from '../../service/log.ts';
import type { SiteConfig } from '../config.ts';
import type { Journal } from '../journal/journal.ts';
import { attemptDirectory, removeTree } from './attempt-directory.ts';

export interface CleanerOptions {
  readonly journal: Pick<Journal, 'removable' | 'removed' | 'forget'>;
  readonly config: Pick<SiteConfig, 'spool' | 'keep-attempts'>;
  readonly clock: Clock;
  readonly log: Log;
}

const CLEANED_AT_A_TIME = 200;
/** A round begins nothing more after this; the next one goes on where it has stopped. */
const ROUND_MS = 60_000;
/** What resists is tried again so long after the last directory was tried. */
const AGAIN_MS = 600_000;
const REFUSED = 'directories could not be removed';
/** An attempt stays in the journal this long after its directory has gone, so that placing it again does nothing. */
const REMEMBER_MS = 3_600_000;

/** A directory that could not be removed, and why. */
interface Resistance {
  readonly directory: string;
  readonly err: unknown;
}

/** Gives what removes, each time, the directories of attempts whose end was acknowledged long enough ago. */
export function openSpoolCleaner(options: CleanerOptions): () => Promise<void> {
  const { journal, config, clock, log } = options;
  // Those that resist stay the first: they are passed over until all others were tried, however many they are, and then for a while.
  let resisted = 0;
  let againAtMs = Number.POSITIVE_INFINITY;
  let unsaid = 0;
  let first: Resistance | undefined;
  return async () => {
    const beforeMs = clock.nowMs() - config['keep-attempts'];
    const beganMs = clock.monotonicMs();
    const untilMs = beganMs + ROUND_MS;
    if (beganMs >= againAtMs) {
      resisted = 0;
      againAtMs = Number.POSITIVE_INFINITY;
    }
    let isLast = false;
    while (!isLast && clock.monotonicMs() < untilMs) {
      const ids = journal.removable(beforeMs, CLEANED_AT_A_TIME, resisted);
      const { gone, left } = await removeSome(ids, untilMs, options);
      if (gone.length > 0) await journal.removed(gone);
      isLast = ids.length < CLEANED_AT_A_TIME && gone.length + left.length === ids.length;
      resisted += left.length;
      unsaid += left.length;
      first ??= left[0];
    }
    if (isLast) {
      // One line however many they are: what the first one says is mostly true of all.
      if (unsaid > 0) log.warn({ ...first, directories: unsaid }, REFUSED);
      unsaid = 0;
      first = undefined;
      if (resisted > 0) againAtMs = Math.min(againAtMs, clock.monotonicMs() + AGAIN_MS);
    }
    await journal.forget(beforeMs - REMEMBER_MS);
  };
}

/** Those that are gone, and those that resist; it stops when the time is over. */
async function removeSome(
  ids: readonly AttemptId[],
  untilMs: number,
  { config, clock }: CleanerOptions,
): Promise<{ readonly gone: readonly AttemptId[]; readonly left: readonly Resistance[] }> {
  const gone: AttemptId[] = [];
  const left: Resistance[] = [];
  for (const id of ids) {
    if (clock.monotonicMs() >= untilMs) break;
    const directory = attemptDirectory(config.spool, id);
    await removeTree(directory).then(
      () => gone.push(id),
      (err: unknown) => left.push({ directory, err }),
    );
  }
  return { gone, left };
}
