/** Work on files that is done without a promise for each of them: a file of a few KiB takes less time than its promises. */

import type { Found } from '../walk.ts';
import type { Outside } from '../walk-outside.ts';

/** Where a file goes when it is whole. */
export interface Landing {
  /** Absolute. */
  readonly to: string;
  /** Its folder is made with this mode if it is not there. */
  readonly folderMode?: number;
  /** When it counts as last written, in seconds since 1970; it is then last read when it lands. */
  readonly writtenS?: number;
  /** Where a link of the same file is there already, renaming onto it leaves both. */
  readonly mayBeThere?: boolean;
}

/** A file that is written to `partial`, which must not exist, and then lands; without a landing that is its place. */
export interface WrittenFile {
  /** As messages name it. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly digest: string;
  readonly partial: string;
  /** What `partial` is made with. */
  readonly mode: number;
  readonly landing?: Landing;
}

/** Bytes of a chunk that go to the end of a file. */
export interface WrittenSlice {
  readonly file: WrittenFile;
  readonly offset: number;
  readonly length: number;
  /** Whether they are the whole file, its last bytes, or others. */
  readonly part: 'whole' | 'last' | 'other';
}

/** A chunk as it came, unverified; '' as its digest says that there is none, for empty files. */
export interface WriteJob {
  readonly digest: string;
  readonly bytes: Uint8Array;
  readonly slices: readonly WrittenSlice[];
}

/** Bytes of a file that has not been written since it was looked at, unless it is growing. */
export interface ReadPiece {
  readonly path: string;
  /** Of a growing file: as much of it as is read. */
  readonly sizeBytes: number;
  readonly isGrowing?: true;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  readonly offset: number;
  readonly length: number;
}

/** A piece of a file, or several whole files, which become a pack; they fill `target`. Pieces of one file come in their order. */
export interface ReadJob {
  /** Names the send that it is for: of two that read the same file each has it open for itself. */
  readonly send: string;
  /** Where it leads is looked up once in a send. */
  readonly root: string;
  readonly pieces: readonly ReadPiece[];
  readonly target: Uint8Array;
}

/** Digests of what was read. */
export interface ReadDone {
  readonly digest: string;
  /** Of each piece's file, where the piece was its last. */
  readonly files: readonly (string | undefined)[];
}

/** What is to be looked at: files and directories below `root`; `.` is all of it. */
export interface WalkJob {
  readonly root: string;
  readonly paths: readonly string[];
  readonly outside?: readonly Outside[];
}

/** A file of the cache whose content has been verified, and where it is wanted. */
export interface WarmLink {
  /** In the cache. */
  readonly path: string;
  /** Undefined where it does not matter. */
  readonly sizeBytes: number | undefined;
  readonly mode: number;
  readonly to: string;
  /** A name beside `to` that does not exist. */
  readonly partial: string;
}

/** Links to be made now. */
export interface LinkJob {
  readonly nowMs: number;
  readonly links: readonly WarmLink[];
}

/** A file that will not be whole. */
export interface Half {
  readonly partial: string;
  readonly isKept: boolean;
}

/** Does file work in the order in which it is asked to. Failures are GridErrors. */
export interface Disk {
  /** Verifies and writes what a chunk has; every file that is whole then has been verified and has landed. */
  write(job: WriteJob): Promise<void>;
  /** Closes files that will not be whole, and removes what was written of those that are not kept. */
  drop(halves: readonly Half[]): Promise<void>;
  /** Reads every file to its end once, and throws FILE_CHANGED by name if it is not what it was. */
  read(job: ReadJob): Promise<ReadDone>;
  /** What `walk` finds, and throws. */
  walk(job: WalkJob): Promise<readonly Found[]>;
  /** Of each link whether it could be made. */
  link(job: LinkJob): Promise<readonly boolean[]>;
  /** Ends a send: closes files that were not read to their end. */
  close(send: string): Promise<void>;
}
