import { createHash, type Hash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { packListBytes } from '../../../core/data/pack-plan.ts';
import { GridError } from '../../../core/errors.ts';
import { sha256 } from '../chunk-store.ts';
import { errnoOf, readFailure } from '../file-errors.ts';
import { type HeldFolder, holdFolder, rootWithoutLinks } from '../held-folder.ts';
import { isZeros, ZEROS_DIGEST } from '../holes.ts';
import { finishPack } from '../pack.ts';
import type { ReadDone, ReadJob, ReadPiece } from './disk-jobs.ts';

/** Reads files, and keeps those open that have more bytes, for each send by itself. */
export interface ChunkReader {
  read(job: ReadJob): ReadDone;
  close(send: string): void;
}

/** What is kept of a send until it is closed. */
interface Sending {
  /** Without links. */
  readonly root: string;
  /** Files by path. */
  readonly open: Map<string, Open>;
}

interface Open {
  readonly fd: number;
  readonly hash: Hash;
}

/** Opens a file of a piece below one root. */
type OpenPiece = (piece: ReadPiece) => number;

/** Never follows a link and never waits for the other end of a pipe, should the file have become one. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** At a time, of a file that is read a second time. */
const AGAIN_BYTES = 2 ** 20;

export function openChunkReader(): ChunkReader {
  const sends = new Map<string, Sending>();
  const sendingOf = ({ send, root }: ReadJob): Sending => {
    const known = sends.get(send) ?? { root: rootWithoutLinks(root), open: new Map() };
    sends.set(send, known);
    return known;
  };
  const readPart = (
    { open }: Sending,
    openPiece: OpenPiece,
    piece: ReadPiece,
    target: Uint8Array,
  ): string | undefined => {
    const half = open.get(piece.path) ?? { fd: openPiece(piece), hash: createHash('sha256') };
    open.set(piece.path, half);
    fill(half.fd, piece, target);
    half.hash.update(target);
    if (piece.offset + piece.length < piece.sizeBytes) return undefined;
    const digest = half.hash.digest('hex');
    check(half.fd, piece, digest);
    open.delete(piece.path);
    closeSync(half.fd);
    return digest;
  };
  return {
    read: (job) => {
      const { pieces, target } = job;
      using folders = openFolders(() => sendingOf(job).root);
      const whole = (piece: ReadPiece, bytes: Uint8Array): string =>
        readWhole(folders.open, piece, bytes);
      const [piece, ...others] = pieces;
      if (piece === undefined) throw new RangeError('a chunk has at least one piece');
      if (others.length > 0) return readPack(pieces, target, whole);
      if (piece.length === piece.sizeBytes) {
        const digest = naming(piece, () => whole(piece, target));
        return { files: [digest], digest };
      }
      const file = naming(piece, () => readPart(sendingOf(job), folders.open, piece, target));
      return { files: [file], digest: digestOf(target) };
    },
    close: (send) => {
      for (const { fd } of sends.get(send)?.open.values() ?? []) closeSync(fd);
      sends.delete(send);
    },
  };
}

/** Files one behind the other, and their list before them; `whole` reads one and gives its digest. */
function readPack(
  pieces: readonly ReadPiece[],
  target: Uint8Array,
  whole: (piece: ReadPiece, bytes: Uint8Array) => string,
): ReadDone {
  let at = packListBytes(pieces.length);
  const packed = pieces.map((piece) => {
    const bytes = target.subarray(at, at + piece.length);
    at += piece.length;
    return { digest: naming(piece, () => whole(piece, bytes)), length: piece.length };
  });
  return { files: packed.map(({ digest }) => digest), digest: finishPack(target, packed) };
}

/** Failures name the file. */
function naming<T>(piece: ReadPiece, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw readFailure(piece.path, error);
  }
}

/** Of a sparse file most chunks are zeros, and need no second look. */
const digestOf = (bytes: Uint8Array): string => (isZeros(bytes) ? ZEROS_DIGEST : sha256(bytes));

/**
 * Opens files below a root without links. Files of one folder come one after the other: it is looked at once that no folder on
 * the way to it has become a link that leads elsewhere, and they are opened in what was looked at.
 */
function openFolders(root: () => string): Disposable & { readonly open: OpenPiece } {
  let path = '';
  let folder: HeldFolder | undefined;
  return {
    open: (piece) => {
      const end = piece.path.lastIndexOf('/');
      // Of an absolute path the slash may be all that there is of its folder.
      const wanted = piece.path.slice(0, end === 0 ? 1 : Math.max(0, end));
      if (folder === undefined || path !== wanted) {
        folder?.[Symbol.dispose]();
        folder = undefined;
        folder = holdFolderOf(piece, isAbsolute(piece.path) ? '/' : root(), wanted);
        path = wanted;
      }
      return openSync(`${folder.at}/${piece.path.slice(end + 1)}`, FLAGS);
    },
    [Symbol.dispose]: () => folder?.[Symbol.dispose](),
  };
}

/** What was a folder when the tree was walked and is something else now has been put there since. */
function holdFolderOf(piece: ReadPiece, root: string, path: string): HeldFolder {
  try {
    return holdFolder(root, path);
  } catch (error) {
    const { cause } = error as Error;
    throw errnoOf(cause) === 'ENOTDIR' ? changed(piece) : error;
  }
}

function readWhole(openPiece: OpenPiece, piece: ReadPiece, target: Uint8Array): string {
  const fd = openPiece(piece);
  try {
    fill(fd, piece, target);
    const digest = sha256(target);
    check(fd, piece, digest);
    return digest;
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

/**
 * Throws unless the file is what it was when the tree was walked, or has only grown where it may. Who writes it can set its old
 * time again, but not `ctime`. That also changes with its links, mode and name, so then what is read a second time tells.
 */
function check(fd: number, piece: ReadPiece, digest: string): void {
  const stats = fstatSync(fd);
  if (piece.isGrowing === true && stats.isFile() && stats.size >= piece.sizeBytes) return;
  const same = stats.isFile() && stats.size === piece.sizeBytes && stats.mtimeMs === piece.mtimeMs;
  if (!same) throw changed(piece);
  if (stats.ctimeMs !== piece.ctimeMs && digestAgain(fd) !== digest) throw changed(piece);
}

function digestAgain(fd: number): string {
  const hash = createHash('sha256');
  const bytes = Buffer.allocUnsafe(AGAIN_BYTES);
  for (let at = 0; ; ) {
    const count = readSync(fd, bytes, 0, bytes.length, at);
    if (count === 0) return hash.digest('hex');
    hash.update(bytes.subarray(0, count));
    at += count;
  }
}

const changed = ({ path }: ReadPiece): GridError =>
  new GridError('FILE_CHANGED', `'${path}' was written while it was read`);
