import { randomBytes } from 'node:crypto';
import { constants, readlinkSync } from 'node:fs';
import { open, readdir, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import type { FileEntry } from '../../core/data/select.ts';
import { type ChunkStore, sha256 } from './chunk-store.ts';
import { takeSlab } from './wire/slabs.ts';

/** What a try that was cut off has left of files of several chunks, where they were to be. */
export interface Remnants {
  /** Gives chunks that are left, each verified, and asks the store for all others. */
  readonly store: Pick<ChunkStore, 'receive'>;
  /** Bytes that needed not come. */
  savedBytes(): number;
  /** Removes what is left of one file, or of all of them. */
  clear(file?: FileEntry): Promise<void>;
}

/** A file that may have a remnant, and where it is to be in the end. */
export interface Wanted {
  readonly file: FileEntry;
  readonly to: string;
}

/** Whether what is there of it is worth keeping. */
export const hasRemnant = ({ slices }: FileEntry): boolean => slices.length > 1;

/** What stands for its content in a name. */
export const contentOf = ({ digest }: Pick<FileEntry, 'digest'>): string => digest.slice(0, 32);

/** Where the numbers of processes are those of this one: containers may share a name and have their own. */
const HOST = sha256(Buffer.from(`${hostname()} ${pidNamespace()}`)).slice(0, 8);
/** A name that any try may have given. */
const HALF = /^\.grid-.*\.part$/;
const NAME = /^\.grid-[0-9a-f]{32}-([0-9a-f]{8})-(\d+)-([0-9a-f]{6})[0-9a-f]{6}(-kept)?\.part$/;

/** How half files are named so that the next try knows them again. */
export interface RemnantNames {
  /** A new one. */
  nameOf(file: Pick<FileEntry, 'digest'>): string;
  /** Whether an earlier try gave this name to what it had of the file; asked before this one gives any. */
  isOf(file: Pick<FileEntry, 'digest'>, name: string): boolean;
}

/** Of this process: the first one of a container has the same number each time. */
const RUN = randomBytes(3).toString('hex');
/** Names that were given; no half file lives so long that they run out. */
const NAMES = 2 ** 24;
let given = 0;

/** A new name for a half file that the next try knows again: by its content, and by the process that writes it. */
export function remnantOf(file: Pick<FileEntry, 'digest'>): string {
  given = (given + 1) % NAMES;
  const count = given.toString(16).padStart(6, '0');
  return `.grid-${contentOf(file)}-${HOST}-${process.pid}-${RUN}${count}.part`;
}

/** Gives what stands at `place`, which `remnantOf` has named, a name that says that nobody writes to it any more; the new place. */
export async function letGo(place: string): Promise<string> {
  const kept = place.replace(/\.part$/, '-kept.part');
  await rename(place, kept);
  return kept;
}

/** Looks for what earlier tries have left; without `names` for what nobody of this machine writes to any more. */
export async function openRemnants(
  store: Pick<ChunkStore, 'receive'>,
  wanted: readonly Wanted[],
  names: RemnantNames = OF_PROCESSES,
): Promise<Remnants> {
  const left = new Map<FileEntry, string>();
  const folders = Map.groupBy(wanted, ({ to }) => dirname(to));
  for (const [folder, files] of folders) {
    const there = (await readdir(folder).catch(() => [])).filter((name) => HALF.test(name));
    for (const { file } of there.length === 0 ? [] : files) {
      const mine = there.filter((name) => names.isOf(file, name));
      const [largest, ...others] = await bySize(mine.map((name) => join(folder, name)));
      for (const place of others) await remove(place);
      if (largest !== undefined) left.set(file, largest);
    }
  }
  const pieces = piecesOf(left);
  let saved = 0;
  return {
    store: {
      receive: async (digest, signal) => {
        signal?.throwIfAborted();
        const piece = pieces.get(digest);
        const bytes = piece && (await readPiece(piece, digest).catch(() => undefined));
        if (bytes === undefined) return store.receive(digest, signal);
        saved += bytes.byteLength;
        return bytes;
      },
    },
    savedBytes: () => saved,
    clear: async (only) => {
      for (const [file, place] of left)
        if (only === undefined || file === only) await remove(place);
    },
  };
}

/** Whether a name is one that `remnantOf` gave, and `isLeft` is true of it. */
export function isRemnantOf(file: Pick<FileEntry, 'digest'>, name: string): boolean {
  return name.startsWith(`.grid-${contentOf(file)}-`) && isLeft(name);
}

/** A half file is of a process, and of no use to another one while that is alive. */
export const OF_PROCESSES: RemnantNames = { nameOf: remnantOf, isOf: isRemnantOf };

/** Whether a name is that of what a process has let go, or one of this machine that is no more has left. */
export function isLeft(name: string): boolean {
  const [, host, pid, run, kept] = NAME.exec(name) ?? [];
  if (kept !== undefined) return true;
  if (host !== HOST) return false;
  return Number(pid) === process.pid ? run !== RUN : !isAlive(Number(pid));
}

/** The largest first, of which most is there. */
async function bySize(places: readonly string[]): Promise<readonly string[]> {
  const sized = places.map(async (place) => ({
    place,
    size: (await stat(place).catch(() => undefined))?.size ?? 0,
  }));
  const found = await Promise.all(sized);
  return found.toSorted((a, b) => b.size - a.size).map(({ place }) => place);
}

/** What resists, as somebody else's may, stays. */
const remove = (place: string): Promise<void> => rm(place, { force: true }).catch(() => undefined);

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** Of a file, whatever stands there. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

interface Piece {
  readonly place: string;
  readonly offset: number;
  readonly length: number;
}

/** Where each chunk would be. Files of several chunks are cut so that each is a whole one. */
function piecesOf(left: ReadonlyMap<FileEntry, string>): ReadonlyMap<string, Piece> {
  const pieces = new Map<string, Piece>();
  for (const [file, place] of left) {
    let offset = 0;
    for (const { digest, length } of file.slices) {
      pieces.set(digest, { place, offset, length });
      offset += length;
    }
  }
  return pieces;
}

async function readPiece(
  { place, offset, length }: Piece,
  digest: string,
): Promise<Uint8Array | undefined> {
  await using file = await open(place, READ);
  const bytes = takeSlab(length);
  const { bytesRead } = await file.read(bytes, 0, length, offset);
  return bytesRead === length && sha256(bytes) === digest ? bytes : undefined;
}
