import { createHash, type Hash } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readlinkSync,
  readSync,
  realpathSync,
} from 'node:fs';
import { join } from 'node:path';
import { GridError } from '../../../core/errors.ts';
import { sha256 } from '../chunk-store.ts';
import { readFailure } from '../file-errors.ts';
import { isZeros, ZEROS_DIGEST } from '../holes.ts';
import type { ReadDone, ReadJob, ReadPiece } from './disk-jobs.ts';

/** Reads files, and keeps those open that have more bytes. */
export interface ChunkReader {
  read(job: ReadJob): ReadDone;
  close(root: string): void;
}

interface Open {
  readonly root: string;
  readonly fd: number;
  readonly hash: Hash;
}

/** Never follows a link and never waits for the other end of a pipe, should the file have become one. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export function openChunkReader(): ChunkReader {
  const open = new Map<string, Open>();
  const realRoots = new Map<string, string>();
  const realOf = (root: string): string => {
    const known = realRoots.get(root) ?? realpathSync.native(root);
    realRoots.set(root, known);
    return known;
  };
  const readPart = (root: string, piece: ReadPiece, target: Uint8Array): string | undefined => {
    // The same file may be read below another root at the same time.
    const place = `${root}\0${piece.path}`;
    const half = open.get(place) ?? {
      root,
      fd: openBelow(realOf(root), piece),
      hash: createHash('sha256'),
    };
    open.set(place, half);
    fill(half.fd, piece, target);
    half.hash.update(target);
    if (piece.offset + piece.length < piece.sizeBytes) return undefined;
    check(half.fd, piece);
    open.delete(place);
    closeSync(half.fd);
    return half.hash.digest('hex');
  };
  return {
    read: ({ root, pieces, target }) => {
      let at = 0;
      const files = pieces.map((piece) => {
        const bytes = target.subarray(at, at + piece.length);
        at += piece.length;
        try {
          if (piece.length < piece.sizeBytes) return readPart(root, piece, bytes);
          readWhole(realOf(root), piece, bytes);
          return sha256(bytes);
        } catch (error) {
          throw readFailure(piece.path, error);
        }
      });
      const [piece] = pieces;
      // Where a file is a chunk of its own it has the digest already.
      const isFile = pieces.length === 1 && piece?.length === piece?.sizeBytes;
      return { files, digest: (isFile ? files[0] : undefined) ?? digestOf(target) };
    },
    close: (root) => {
      realRoots.delete(root);
      for (const [place, half] of open) {
        if (half.root !== root) continue;
        open.delete(place);
        closeSync(half.fd);
      }
    },
  };
}

/** Of a sparse file most chunks are zeros, and need no second look. */
const digestOf = (bytes: Uint8Array): string => (isZeros(bytes) ? ZEROS_DIGEST : sha256(bytes));

/** Opens a file below a root without links; throws where a folder on the way has become a link that leads elsewhere. Where there is no /proc nobody looks. */
function openBelow(root: string, piece: ReadPiece): number {
  const fd = openSync(join(root, piece.path), FLAGS);
  if (process.platform !== 'linux') return fd;
  const there = readlinkSync(`/proc/self/fd/${fd}`);
  if (there === join(root, piece.path)) return fd;
  closeSync(fd);
  throw changed(piece);
}

function readWhole(root: string, piece: ReadPiece, target: Uint8Array): void {
  const fd = openBelow(root, piece);
  try {
    fill(fd, piece, target);
    check(fd, piece);
  } finally {
    closeSync(fd);
  }
}

function fill(fd: number, piece: ReadPiece, target: Uint8Array): void {
  for (let at = 0; at < target.byteLength; ) {
    const bytes = readSync(fd, target, at, target.byteLength - at, null);
    if (bytes === 0) throw changed(piece);
    at += bytes;
  }
}

/** Throws unless the file is what it was when the tree was walked, or has only grown where it may. */
function check(fd: number, piece: ReadPiece): void {
  const stats = fstatSync(fd);
  if (piece.isGrowing === true && stats.isFile() && stats.size >= piece.sizeBytes) return;
  const same = stats.isFile() && stats.size === piece.sizeBytes && stats.mtimeMs === piece.mtimeMs;
  if (!same) throw changed(piece);
}

const changed = ({ path }: ReadPiece): GridError =>
  new GridError('FILE_CHANGED', `'${path}' was written while it was read`);
