import { createHash, type Hash } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  ftruncateSync,
  openSync,
  renameSync,
  rmSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { GridError } from '../../../core/errors.ts';
import { systemClock } from '../../clock.ts';
import { ensureDirectory } from '../../directories.ts';
import { sha256, verified } from '../chunk-store.ts';
import { errnoOf, writeFailure } from '../file-errors.ts';
import { isZeros, ZEROS_DIGEST } from '../holes.ts';
import { sliceOf } from '../slice-of.ts';
import type { Half, WriteJob, WrittenFile, WrittenSlice } from './disk-jobs.ts';

/** Writes files, and keeps those open that have not all their bytes yet. */
export interface ChunkWriter {
  write(job: WriteJob): void;
  drop(halves: readonly Half[]): void;
}

interface Open {
  readonly fd: number;
  readonly hash: Hash;
  /** Where the next bytes go. */
  at: number;
}

/** What `open` takes from the mode that it is asked for. */
const UMASK = process.umask();
const FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

export function openChunkWriter(): ChunkWriter {
  const open = new Map<string, Open>();
  const writePart = ({ file, part }: WrittenSlice, bytes: Uint8Array): void => {
    const { partial } = file;
    const half = open.get(partial) ?? { fd: create(file), hash: createHash('sha256'), at: 0 };
    open.set(partial, half);
    half.hash.update(bytes);
    if (!isZeros(bytes)) writeAll(half.fd, bytes, half.at);
    half.at += bytes.byteLength;
    if (part !== 'last') return;
    if (half.hash.digest('hex') !== file.digest) throw isAnother(file);
    // Behind a hole nothing was written that would make the file long enough.
    if (isZeros(bytes)) ftruncateSync(half.fd, half.at);
    open.delete(partial);
    closeSync(half.fd);
    land(file);
  };
  return {
    write: ({ digest, bytes, slices }) => {
      const { byteLength } = bytes;
      // A file of one slice has a digest of its own, which says all that the chunk's would.
      const suffices = slices.every(
        ({ part, offset, length }) => part === 'whole' && offset + length <= byteLength,
      );
      if (!suffices && !isHole(digest, bytes)) verified(digest, bytes);
      const parts = slices.map((slice) => ({
        slice,
        part: sliceOf(slice.file, { ...slice, digest }, bytes),
      }));
      for (const { slice, part } of parts) {
        try {
          if (slice.part === 'whole') writeWhole(slice.file, part, { digest, bytes });
          else writePart(slice, part);
        } catch (error) {
          throw writeFailure(slice.file.path, error);
        }
      }
    },
    drop: (halves) => {
      for (const { partial } of halves) {
        const half = open.get(partial);
        if (half !== undefined) closeSync(half.fd);
        open.delete(partial);
      }
      for (const { partial, isKept } of halves) if (!isKept) rmSync(partial, { force: true });
    },
  };
}

function writeWhole(
  file: WrittenFile,
  bytes: Uint8Array,
  chunk: Pick<WriteJob, 'digest' | 'bytes'>,
): void {
  if (sha256(bytes) !== file.digest) {
    // Is it the chunk, which may be fetched again, or the manifest?
    if (chunk.digest !== '') verified(chunk.digest, chunk.bytes);
    throw isAnother(file);
  }
  const fd = create(file);
  try {
    writeAll(fd, bytes, 0);
  } finally {
    closeSync(fd);
  }
  land(file);
}

function create({ partial, mode }: WrittenFile): number {
  const fd = openSync(partial, FLAGS, mode);
  if ((mode & UMASK) !== 0) fchmodSync(fd, mode);
  return fd;
}

function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.byteLength; ) {
    at += writeSync(fd, bytes, at, bytes.byteLength - at, position + at);
  }
}

/** Gives a file that is whole its times and its name, unless it has them. */
export function land({ partial, landing }: Pick<WrittenFile, 'partial' | 'landing'>): void {
  if (landing === undefined) return;
  const { to, writtenS, folderMode, mayBeThere = false } = landing;
  if (writtenS !== undefined) utimesSync(partial, systemClock.nowMs() / 1_000, writtenS);
  try {
    renameSync(partial, to);
  } catch (error) {
    if (folderMode === undefined || errnoOf(error) !== 'ENOENT') throw error;
    ensureDirectory(dirname(to), folderMode);
    renameSync(partial, to);
  }
  if (mayBeThere) rmSync(partial, { force: true });
}

const isHole = (digest: string, bytes: Uint8Array): boolean =>
  digest === ZEROS_DIGEST && isZeros(bytes);

const isAnother = ({ path }: WrittenFile): GridError =>
  new GridError('MANIFEST_INVALID', `'${path}' is not the file that the manifest names`);
