import { GridError } from '../../core/errors.ts';
import { counted, formatInstant } from '../../core/units.ts';
import type { Clock } from '../../service/clock.ts';

/** How many sound chunks a member may have read for nothing. */
export interface HealLimit {
  /**
   * Counts chunks that are about to be read for a member of a VO. What it gives takes back those that were worth the look.
   * Throws HEAL_LIMIT.
   */
  take(
    member: { readonly vo: string; readonly dn: string },
    chunks: number,
  ): (worth: number) => void;
}

/** Of 1 MiB at most each, so that one member has the broker read no more than 3 MiB in a second. */
const MOST = 10_000;
const HOUR_MS = 3_600_000;

interface Taken {
  readonly chunks: number;
  readonly atMs: number;
}

/** What was taken is forgotten evenly, all of it within an hour. */
export function openHealLimit({
  nowMs,
  monotonicMs,
}: Pick<Clock, 'nowMs' | 'monotonicMs'>): HealLimit {
  const taken = new Map<string, Taken>();
  const leftOf = (one: Taken | undefined): number =>
    one === undefined ? 0 : Math.max(0, one.chunks - (MOST * (monotonicMs() - one.atMs)) / HOUR_MS);
  const set = (key: string, chunks: number): void => {
    if (chunks > 0) taken.set(key, { chunks, atMs: monotonicMs() });
    else taken.delete(key);
  };
  return {
    take: ({ vo, dn }, chunks) => {
      for (const [key, one] of taken) if (leftOf(one) === 0) taken.delete(key);
      const key = `${vo} ${dn}`;
      const before = leftOf(taken.get(key));
      const over = before + chunks - MOST;
      if (over > 0) {
        const again = formatInstant(nowMs() + Math.ceil((over * HOUR_MS) / MOST));
        throw new GridError(
          'HEAL_LIMIT',
          `${dn} has had ${counted(Math.ceil(before), 'chunk')} of VO ${vo} looked at that were sound, at most ${MOST} in an hour: ${chunks} more may be looked at from ${again} on`,
        );
      }
      set(key, before + chunks);
      return (worth) => set(key, leftOf(taken.get(key)) - worth);
    },
  };
}
