import {
  type BigIntStats,
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  type Stats,
} from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { background } from '../../service/background.ts';
import { ensureDirectory } from '../../service/directories.ts';
import type { Log } from '../../service/log.ts';
import { hostfileOf } from '../lrms/task-files.ts';
import { makeDirectory, removeTree, tryRemoveTree } from './attempt-directory.ts';

/**
 * Directories for attempts, ready before anybody wants them. One takes eight inodes; to make and to remove them costs as much
 * as to run a short task, and many times that on some file systems (ext4 without a journal). So the directory of a task
 * that left nothing is used again, and for any other a new one is made ahead.
 *
 * Nothing of a task may come to the next. A directory is used again only if `work/`, `tmp/` and all that was put into the
 * directory have the inode and the `ctime` that they had before the task began. The kernel sets `ctime` at each change of a
 * folder's entries, of content, owner, mode, links or attributes, and nobody can set it back. What the wrapper writes is
 * emptied, if it has the same inode and no other name.
 */
export interface SpareDirectories {
  /** Makes so many for tasks with this hostfile; a full disk makes fewer. */
  makeAhead(hosts: string, count: number): Promise<void>;
  /**
   * Makes the directory of an attempt: ready with its hostfile where it is known what that says (`hosts`), else only with
   * `work/` and `tmp/`. `again` first removes what an earlier run made there.
   */
  make(
    directory: string,
    how: { readonly hosts: string | undefined; readonly again: boolean },
  ): Promise<void>;
  /**
   * The attempt has ended. If `isSilent`, its task said nothing and nobody has its files open, and the directory is taken back
   * at once where it is as it was. Otherwise it stays.
   */
  ended(directory: string, isSilent: boolean): void;
}

interface Spare {
  readonly place: string;
  readonly hosts: string;
  readonly prints: Prints;
  /** Monotonic; what happened to it before then shows in its prints. */
  readonly readyAtMs: number;
}

/** Inode of each part, with its change time where it is not to change. */
type Prints = readonly string[];

const FOLDERS = ['work', 'tmp'];
const STREAMS = ['stdout', 'stderr'];
/** By the wrapper, when a task runs. */
const WRITTEN = ['started', 'status'];
const PARTS = [...FOLDERS, 'tmp/grid-hosts', ...STREAMS];
const NAMES = [...FOLDERS, ...STREAMS, ...WRITTEN].toSorted();
/** More than a tick of the clock that `ctime` is read from: two changes further apart than that differ in it. */
const TICK_MS = 20;
const MAX_SPARE = 128;

/** Keeps them in a folder of its own; what an earlier run left there goes. */
export async function openSpareDirectories(spool: string, log: Log): Promise<SpareDirectories> {
  ensureDirectory(join(spool, 'attempts'), 0o700);
  const folder = join(spool, 'spare');
  await removeTree(folder);
  ensureDirectory(folder, 0o700);
  /** What attempts have now; without its prints where it cannot be used again. */
  const taken = new Map<string, Omit<Spare, 'prints'> & { readonly prints?: Prints }>();
  let spares: readonly Spare[] = [];
  let made = 0;

  const add = (spare: Spare): void => {
    const all = [...spares, spare];
    spares = all.slice(-MAX_SPARE);
    for (const { place } of all.slice(0, -MAX_SPARE))
      background('remove a directory', tryRemoveTree(place, log).then(noMatter), log);
  };
  const makeOne = async (hosts: string): Promise<void> => {
    made += 1;
    const place = join(folder, String(made));
    try {
      await furnish(place, hosts);
      add({ place, hosts, prints: printsOf(place), readyAtMs: performance.now() + TICK_MS });
    } catch (error) {
      // A full disk, mostly: whoever needs a directory then learns of it.
      log.debug({ err: error }, 'no directory could be made ahead');
    }
  };
  const take = (directory: string, hosts: string): boolean => {
    const now = performance.now();
    const spare = spares.find((one) => one.hosts === hosts && one.readyAtMs <= now);
    if (spare === undefined) return false;
    spares = spares.filter((one) => one !== spare);
    try {
      renameSync(spare.place, directory);
    } catch {
      return false;
    }
    taken.set(directory, spare);
    return true;
  };
  return {
    makeAhead: async (hosts, count) => {
      for (let left = count; left > 0; left -= 1) await makeOne(hosts);
    },
    make: async (directory, { hosts, again }) => {
      if (again || hosts === undefined) return makeDirectory(directory, again);
      if (take(directory, hosts)) return;
      await furnish(directory, hosts);
      taken.set(directory, { place: directory, hosts, readyAtMs: 0 });
    },
    ended: (directory, isSilent) => {
      const had = taken.get(directory);
      if (had === undefined) return;
      taken.delete(directory);
      const { hosts, prints, readyAtMs } = had;
      made += 1;
      const place = join(folder, String(made));
      const isSame = isSilent && prints !== undefined && isUntouched(directory, prints);
      if (isSame && clear(directory, place)) add({ place, hosts, prints, readyAtMs });
      else background('make a directory ahead', makeOne(hosts), log);
    },
  };
}

const noMatter = (): void => undefined;

async function furnish(directory: string, hosts: string): Promise<void> {
  await mkdir(directory);
  for (const name of FOLDERS) await mkdir(join(directory, name));
  await writeFile(hostfileOf(directory), hosts);
  // The streams are given to the account of the task as they are: nobody else's to read.
  for (const name of [...STREAMS, ...WRITTEN])
    await writeFile(join(directory, name), '', { mode: 0o600 });
}

function printsOf(directory: string): Prints {
  const stats = (name: string): BigIntStats => lstatSync(join(directory, name), { bigint: true });
  const fixed = PARTS.map(stats).map(({ ino, ctimeNs }) => `${ino} ${ctimeNs}`);
  const written = WRITTEN.map(stats).map(({ ino, nlink }) => `${ino} ${nlink}`);
  return [...fixed, ...written];
}

function isUntouched(directory: string, prints: Prints): boolean {
  try {
    const names = readdirSync(directory).toSorted();
    return (
      names.join() === NAMES.join() &&
      isOpen(lstatSync(directory)) &&
      printsOf(directory).join() === prints.join()
    );
  } catch {
    return false;
  }
}

/** It was not closed to the gateway itself. */
const isOpen = ({ mode }: Stats): boolean => (mode & 0o700) === 0o700;

/** Moves it away with nothing of its task in it; gives whether that is so. */
function clear(directory: string, place: string): boolean {
  try {
    renameSync(directory, place);
    // Never through a link that stands there.
    const { O_WRONLY, O_TRUNC, O_NOFOLLOW, O_NONBLOCK } = constants;
    for (const name of WRITTEN)
      closeSync(openSync(join(place, name), O_WRONLY | O_TRUNC | O_NOFOLLOW | O_NONBLOCK));
    return true;
  } catch {
    return false;
  }
}
