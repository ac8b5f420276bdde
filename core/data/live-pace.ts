/** What the last look at the live outputs of a task came to. */
export interface LiveLook {
  /** Bytes that it sent; 0 where nothing had changed. */
  readonly sentBytes: number;
  /** Bytes by which what is kept has become larger; below 0 where it has become smaller. */
  readonly grownBytes: number;
  readonly tookMs: number;
  /** Looks in a row that have failed. */
  readonly failures: number;
  /** Tasks at the site whose live outputs are looked at. */
  readonly tasks: number;
}

/** Less than this is a small change. */
const SMALL_BYTES = 65_536;
/** A part of the time at most is spent on looking. */
const TIME_PART = 10;
/** What was replaced stays in the store for a while: no task replaces more than this for long. */
const REPLACED_BYTES_PER_SECOND = 32_768;
/** So many tasks are looked at in each period; more make it longer. */
const TASKS = 100;
const LONGEST_MS = 600_000;

/** How long to wait until the next look, in ms, at a site that looks every `everyMs`; a third of it after a small change or none. */
export function nextLookMs(look: LiveLook, everyMs: number): number {
  const { sentBytes, grownBytes, tookMs, failures, tasks } = look;
  if (failures > 0) return Math.min(everyMs * 2 ** (failures - 1), Math.max(everyMs, LONGEST_MS));
  const usualMs = sentBytes < SMALL_BYTES ? everyMs / 3 : everyMs;
  const replacedBytes = Math.max(0, sentBytes - Math.max(0, grownBytes));
  const costMs = Math.max(tookMs * TIME_PART, (replacedBytes / REPLACED_BYTES_PER_SECOND) * 1_000);
  const crowd = Math.max(1, tasks / TASKS);
  const waitMs = Math.max(usualMs * crowd, costMs);
  return Math.floor(Math.min(waitMs, Math.max(everyMs * crowd, LONGEST_MS)));
}
