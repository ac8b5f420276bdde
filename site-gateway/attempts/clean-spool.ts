import type { Clock } from '../../service/clock.ts';
import type { Log } from '../../service/log.ts';
import type { SiteConfig } from '../config.ts';
import type { Journal } from '../journal/journal.ts';
import { attemptDirectory, tryRemoveTree } from './attempt-directory.ts';

export interface CleanerOptions {
  readonly journal: Pick<Journal, 'removable' | 'removed' | 'forget'>;
  readonly config: Pick<SiteConfig, 'spool' | 'keep-attempts'>;
  readonly clock: Clock;
  readonly log: Log;
}

const CLEANED_AT_A_TIME = 200;
/** A round begins nothing more after this; the next one goes on where it has stopped. */
const ROUND_MS = 60_000;
/** An attempt stays in the journal this long after its directory has gone, so that placing it again does nothing. */
const REMEMBER_MS = 3_600_000;

/** Gives what removes, each time, the directories of attempts whose end was acknowledged long enough ago. */
export function openSpoolCleaner(options: CleanerOptions): () => Promise<void> {
  const { journal, config, clock } = options;
  // Those that resist stay the first: they are passed over until all others were tried, however many they are.
  let resisted = 0;
  return async () => {
    const beforeMs = clock.nowMs() - config['keep-attempts'];
    const untilMs = clock.monotonicMs() + ROUND_MS;
    let isLast = false;
    while (!isLast && clock.monotonicMs() < untilMs) {
      const ids = journal.removable(beforeMs, CLEANED_AT_A_TIME, resisted);
      const { gone, left } = await removeSome(ids, untilMs, options);
      if (gone.length > 0) await journal.removed(gone);
      isLast = ids.length < CLEANED_AT_A_TIME && gone.length + left === ids.length;
      resisted = isLast ? 0 : resisted + left;
    }
    await journal.forget(beforeMs - REMEMBER_MS);
  };
}

/** Those that are gone, and how many resist; it stops when the time is over. */
async function removeSome<Id extends string>(
  ids: readonly Id[],
  untilMs: number,
  { config, clock, log }: CleanerOptions,
): Promise<{ readonly gone: readonly Id[]; readonly left: number }> {
  const gone: Id[] = [];
  let left = 0;
  for (const id of ids) {
    if (clock.monotonicMs() >= untilMs) break;
    if (await tryRemoveTree(attemptDirectory(config.spool, id), log)) gone.push(id);
    else left += 1;
  }
  return { gone, left };
}
