import { background } from '../../service/background.ts';
import type { Log } from '../../service/log.ts';

/** Chunks that wait to be read because somebody has found them spoiled; what is named beyond that is named again. */
const MOST_WAITING = 1_000;

/**
 * Has chunks read that reports name as spoiled, in the background: one run at a time, and each chunk once, however many reports
 * name it until then. The function takes what one report names.
 */
export function openDoubts(
  heal: (digests: readonly string[]) => Promise<unknown>,
  log: Log,
): (digests: readonly string[]) => void {
  const waiting = new Set<string>();
  let isRunning = false;
  const run = async (): Promise<void> => {
    try {
      while (waiting.size > 0) {
        const digests = [...waiting];
        waiting.clear();
        await heal(digests);
      }
    } finally {
      isRunning = false;
    }
  };
  return (digests) => {
    for (const digest of digests) if (waiting.size < MOST_WAITING) waiting.add(digest);
    if (isRunning || waiting.size === 0) return;
    isRunning = true;
    background('heal the store', run(), log);
  };
}
