import { statfs } from 'node:fs/promises';
import type { CacheKeeper } from '../../service/staging/cache-keeper.ts';

/** Scratch space, without what has to stay free. */
export interface DiskSpace {
  readonly totalBytes: number;
  /** What is there now, with what the cache would give up; running tasks may be about to fill it. Negative where it is short. */
  readonly availableBytes: number;
}

/** A disk, and the cache on it that makes room. */
export interface RoomOptions {
  readonly spool: string;
  readonly minFreeBytes: number;
  /** The most that the grid may fill; undefined for all. Nothing that it has filled is taken off that. */
  readonly mostBytes: number | undefined;
  readonly cache: Pick<CacheKeeper, 'free'>;
}

/** Room on the disk for bytes that are on their way to it; until it is disposed of. */
export interface RoomClaim extends Disposable {
  /**
   * So many bytes are to come, in place of what was said before; makes room for them. Gives what there is for them beside what
   * those before have claimed.
   */
  want(bytes: number): Promise<number>;
  /** So many of them are there now. */
  came(bytes: number): void;
}

/** What is claimed of a disk, and what is left beside that. */
export interface DiskRoom {
  claim(): RoomClaim;
  /** What of so much space the grid may fill now. */
  beside(space: DiskSpace): DiskSpace;
  /** Whether so many bytes would not fit. */
  isShort(bytes: number): Promise<boolean>;
  /** Has the cache make room for so many bytes if need be. */
  makeRoom(bytes: number): Promise<void>;
}

export function openDiskRoom(options: RoomOptions): DiskRoom {
  // In the order in which they got their room: what was granted to those before is not granted again.
  const claims = new Set<{ bytes: number }>();
  const claimedUntil = (end?: object): number => {
    let sum = 0;
    for (const claim of claims) {
      if (claim === end) break;
      sum += claim.bytes;
    }
    return sum;
  };
  const makeRoom = async (bytes: number): Promise<void> => {
    const short = await shortFor(options, bytes + claimedUntil());
    if (short > 0) await options.cache.free(short);
  };
  return {
    makeRoom,
    isShort: async (bytes) => (await shortFor(options, bytes + claimedUntil())) > 0,
    beside: (space) => offered(options, space, claimedUntil()),
    claim: () => {
      const claim = { bytes: 0 };
      claims.add(claim);
      return {
        want: async (bytes) => {
          if (bytes > claim.bytes) {
            claims.delete(claim);
            claims.add(claim);
          }
          claim.bytes = bytes;
          await makeRoom(0);
          return offered(options, await spaceOf(options), claimedUntil(claim)).availableBytes;
        },
        came: (bytes) => {
          claim.bytes = Math.max(0, claim.bytes - bytes);
        },
        [Symbol.dispose]: () => void claims.delete(claim),
      };
    },
  };
}

/** How much would have to go for so many bytes to fit. */
export const shortFor = async (
  { spool, minFreeBytes }: RoomOptions,
  bytes: number,
): Promise<number> => bytes + minFreeBytes - (await freeBytes(spool));

export async function freeBytes(spool: string): Promise<number> {
  const { bavail, bsize } = await statfs(spool);
  return bavail * bsize;
}

/** What there is; `clearableBytes` are what the cache would give up. */
export async function spaceOf(
  { spool, minFreeBytes }: RoomOptions,
  clearableBytes = (): number => 0,
): Promise<DiskSpace> {
  const { blocks, bavail, bsize } = await statfs(spool);
  return {
    totalBytes: blocks * bsize - minFreeBytes,
    availableBytes: bavail * bsize + clearableBytes() - minFreeBytes,
  };
}

/** What the grid may fill of so much space, beside what is claimed of it. */
function offered(
  { mostBytes = Infinity }: RoomOptions,
  { totalBytes, availableBytes }: DiskSpace,
  claimedBytes: number,
): DiskSpace {
  return {
    totalBytes: Math.max(0, Math.min(totalBytes, mostBytes)),
    availableBytes: Math.max(0, Math.min(availableBytes - claimedBytes, mostBytes)),
  };
}
