import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Outcome } from '../../core/job/outcome.ts';
import { formatBytes } from '../../core/units.ts';
import { background } from '../../service/background.ts';
import type { Log } from '../../service/log.ts';
import type { CacheKeeper } from '../../service/staging/cache-keeper.ts';
import { failed } from '../attempts/outcome.ts';
import {
  type DiskSpace,
  freeBytes,
  openDiskRoom,
  type RoomClaim,
  type RoomOptions,
  shortFor,
  spaceOf,
} from './disk-room.ts';

/** Watches whether the spool can take more. */
export interface Disk extends Disposable {
  /** Why the site takes nothing new; '' while it does. */
  closedReason(): string;
  /** What the grid may fill, as the last look found it, without what is claimed. */
  space(): DiskSpace;
  /** Whether so many bytes would not fit as the disk is, beside what is claimed. */
  isShort(bytes: number): Promise<boolean>;
  /** Makes room for so many bytes if need be, beside what is claimed. */
  makeRoom(bytes: number): Promise<void>;
  /** Room for what comes of a size that is known only when it begins to come. */
  claim(): RoomClaim;
  /** Looks now, after something could not be written. */
  probe(): Promise<void>;
  /** Looks whether there is no room at all: whatever failed just now, failed because of that. */
  isFull(): Promise<boolean>;
  /** Says that the journal could not be written, or that it can again. */
  journalTrouble(error: Error | undefined): void;
}

export interface DiskOptions extends RoomOptions {
  /** Gives up what it can before the site closes. */
  readonly cache: Pick<CacheKeeper, 'free' | 'clearable'>;
  readonly log: Log;
  /** The reason has changed. */
  readonly onChange: () => void;
}

const PROBE_MS = 3_000;
const FULL_BYTES = 2 ** 20;
/** Part of the whole by which the available space must change before it is told. */
const WORTH_TELLING = 0.01;

export async function openDisk(options: DiskOptions): Promise<Disk> {
  const { log } = options;
  let journal = '';
  let disk = '';
  const set = (change: () => void): void => {
    const before = disk || journal;
    change();
    const now = disk || journal;
    if (before === now) return;
    if (now === '') log.info('the site takes attempts again');
    else log.warn({ reason: now }, 'the site takes no attempts');
    options.onChange();
  };
  let space: DiskSpace = { totalBytes: 0, availableBytes: 0 };
  const room = openDiskRoom(options);
  let clearableBytes = 0;
  let walking: Promise<void> | undefined;
  // Nobody waits for it: a large cache takes long.
  const walk = async (): Promise<void> => {
    try {
      clearableBytes = await options.cache.clearable();
    } finally {
      walking = undefined;
    }
  };
  const probe = async (): Promise<void> => {
    const found = await lookAt(options);
    set(() => {
      disk = found;
    });
    if (walking === undefined) {
      walking = walk();
      background('look through the cache', walking, log);
    }
    const before = space;
    space = await spaceOf(options, () => clearableBytes).catch(() => before);
    const [was, is] = [room.beside(before), room.beside(space)];
    const change = Math.abs(is.availableBytes - was.availableBytes);
    if (change > WORTH_TELLING * is.totalBytes) options.onChange();
  };
  await probe();
  const timer = setInterval(() => background('probe the disk', probe(), log), PROBE_MS).unref();
  return {
    closedReason: () => disk || journal,
    space: () => room.beside(space),
    isShort: (bytes) => room.isShort(bytes),
    makeRoom: (bytes) => room.makeRoom(bytes),
    claim: () => room.claim(),
    probe,
    isFull: async () => {
      await probe();
      return (await freeBytes(options.spool)) < FULL_BYTES;
    },
    journalTrouble: (error) =>
      set(() => {
        journal = error === undefined ? '' : `the journal cannot be written: ${error.message}`;
      }),
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

async function lookAt(options: DiskOptions): Promise<string> {
  const { spool, minFreeBytes, cache } = options;
  try {
    const short = await shortFor(options, 0);
    if (short > 0) await cache.free(short);
    const free = await freeBytes(spool);
    if (free < minFreeBytes)
      return `disk full: ${formatBytes(free)} free, the site keeps ${formatBytes(minFreeBytes)}`;
    const file = join(spool, 'attempts', `.probe-${process.pid}`);
    await writeFile(file, 'x');
    // Two looks at a time share the file.
    await rm(file, { force: true });
    return '';
  } catch (error) {
    return `the spool cannot be written: ${messageOf(error)}`;
  }
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/** The outcome of an attempt whose directory could not be used; undefined for an error of another kind. */
export function spoolFailure(error: unknown): Outcome | undefined {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ENOSPC' || code === 'EDQUOT') return failed('site', 'DISK_FULL', messageOf(error));
  const unwritable = ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'ENOENT', 'EIO', 'EMFILE', 'ENFILE'];
  return unwritable.includes(code)
    ? failed('site', 'SPOOL_UNWRITABLE', messageOf(error))
    : undefined;
}
