import { pause } from '../../service/background.ts';
import type { Clock } from '../../service/clock.ts';
import { bytesBelow } from '../bytes-below.ts';
import { openLimit } from '../limit.ts';
import type { Disk } from '../staging/disk.ts';
import type { Attempt } from './attempt.ts';

type Holder = Pick<Attempt, 'directory' | 'promisedBytes' | 'vacated'>;

/** A task does not wait for longer to learn what others have filled: they are then taken to have filled nothing. */
const PATIENCE_MS = 10_000;
/** What a task had filled so long ago it has filled at least: hundreds that start together do not look at hundreds each. */
const LOOK_LASTS_MS = 10_000;
const LOOKS_AT_ONCE = 4;

interface RoomOptions {
  readonly disk: Pick<Disk, 'isShort' | 'makeRoom'>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** Bytes that the tasks below a directory have filled; looked up on the disk by default. */
  readonly filledIn?: (directory: string) => Promise<number>;
}

/**
 * Has the cache make the room that a task was promised, with what `all` others were promised and have not filled yet: what it
 * holds was offered as free, and of tasks that start together each counts on it.
 */
export type MakeRoom = (
  attempt: Pick<Attempt, 'promisedBytes'>,
  all: Iterable<Holder>,
) => Promise<void>;

const look = (directory: string): Promise<number> =>
  bytesBelow(directory, { patienceMs: PATIENCE_MS });

export function openMakeRoom({ disk, clock, filledIn = look }: RoomOptions): MakeRoom {
  const filledBy = openLooks(clock, filledIn);
  return async ({ promisedBytes }, all) => {
    if (promisedBytes === 0) return;
    const holders = [...all].filter((one) => one.promisedBytes > 0 && !one.vacated);
    const most = sumOf(holders.map((one) => one.promisedBytes));
    // To look what they have filled takes long where there are many files.
    if (!(await disk.isShort(most))) return;
    const enough = new AbortController();
    const late = pause(PATIENCE_MS, enough.signal).then(() => 0);
    const unfilled = await Promise.all(
      holders.map(async (one) => {
        const filled = await Promise.race([filledBy(one), late]);
        return Math.max(0, one.promisedBytes - filled);
      }),
    );
    enough.abort();
    await disk.makeRoom(sumOf(unfilled));
  };
}

/** Looks of several tasks at one directory are one look. */
function openLooks(
  clock: RoomOptions['clock'],
  filledIn: (directory: string) => Promise<number>,
): (holder: Holder) => Promise<number> {
  const inTurn = openLimit(LOOKS_AT_ONCE);
  const looks = new WeakMap<Holder, { readonly filled: Promise<number>; untilMs: number }>();
  return (holder) => {
    const last = looks.get(holder);
    if (last !== undefined && clock.monotonicMs() < last.untilMs) return last.filled;
    const filled = inTurn(() => filledIn(holder.directory)).finally(() => {
      one.untilMs = clock.monotonicMs() + LOOK_LASTS_MS;
    });
    const one = { filled, untilMs: Number.POSITIVE_INFINITY };
    looks.set(holder, one);
    return filled;
  };
}

const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, one) => sum + one, 0);
