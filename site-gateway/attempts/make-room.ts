import { bytesBelow } from '../bytes-below.ts';
import type { Disk } from '../staging/disk.ts';
import type { Attempt } from './attempt.ts';

type Holder = Pick<Attempt, 'directory' | 'promisedBytes' | 'vacated'>;

/** A task does not wait for longer to learn what another one has filled: it is then taken to have filled nothing. */
const PATIENCE_MS = 10_000;

/**
 * Has the cache make the room that a task was promised, with what all others were promised and have not filled yet: what it holds
 * was offered as free, and of tasks that start together each counts on it.
 */
export async function makeRoom(
  disk: Pick<Disk, 'isShort' | 'roomFor'>,
  { promisedBytes }: Pick<Attempt, 'promisedBytes'>,
  all: Iterable<Holder>,
): Promise<void> {
  if (promisedBytes === 0) return;
  const holders = [...all].filter((one) => one.promisedBytes > 0 && !one.vacated);
  const most = sumOf(holders.map((one) => one.promisedBytes));
  // To look what they have filled takes long where there are many files.
  if (!(await disk.isShort(most))) return;
  const unfilled = await Promise.all(
    holders.map(async ({ directory, promisedBytes: promised }) =>
      Math.max(0, promised - (await bytesBelow(directory, { patienceMs: PATIENCE_MS }))),
    ),
  );
  await disk.roomFor(sumOf(unfilled));
}

const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, one) => sum + one, 0);
