import { existsSync, type Stats } from 'node:fs';
import { chmod, link, readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { CHUNK_BYTES } from '../../core/data/manifest.ts';
import { type Clock, systemClock } from '../clock.ts';
import { ensureDirectory } from '../directories.ts';
import { copySparse } from './copy-sparse.ts';
import { anyDisk } from './disk/disk.ts';
import type { Landing } from './disk/disk-jobs.ts';
import { digestOfFile } from './file-digest.ts';
import { errnoOf, machineFailure, writeFailure } from './file-errors.ts';
import { isLeft, letGo, remnantOf } from './remnants.ts';
import {
  type CachedFile,
  isExecutable,
  isSealed,
  isUseNews,
  PARTIALS,
  SEALED_S,
  sealedMode,
} from './sealed.ts';

/** Where the cache stands with a file. */
type CacheAnswer =
  | { readonly kind: 'ready' }
  /** Somebody else fetches it; ask again when `ended` resolves. */
  | { readonly kind: 'filling'; readonly ended: Promise<void> }
  /** The caller must fetch it: write it to `partial`, let it land and tell, or `abandon` so that another one may try. */
  | ({ readonly kind: 'fill' } & CacheFill);

interface CacheFill {
  readonly partial: string;
  /** What `partial` must be made with. */
  readonly mode: number;
  readonly landing: Landing;
  /** `bytes` are those of a file whose size was not known. */
  landed(bytes?: number): void;
  /** Whether somebody waits for it, who may go on where this one is cut off. */
  isAwaited(): boolean;
  /** `isKept` where what is at `partial` stays for whoever tries next. */
  abandon(isKept?: boolean): Promise<void>;
}

/**
 * Files by digest in one directory, used by one process. They are read-only, and a hard link shares them with every task
 * that wants them. Open one cache per VO: whoever knows a digest gets the file.
 */
export interface FileCache {
  ask(file: CachedFile): Promise<CacheAnswer>;
  /**
   * Makes `target`, which must not exist, from a file that is ready; false if the cache has lost it meanwhile. Where that copies
   * a large file, `signal` stops it.
   */
  place(file: CachedFile, target: string, signal?: AbortSignal): Promise<boolean>;
  /** Whether what is placed takes room beside the cache. */
  readonly copies: boolean;
  /** The same cache, for who wants files to change: each is placed as a copy, with its own owner and mode. */
  copying(): FileCache;
  /**
   * Bytes of a file that seems to be there, its content unread; it is then used just now, so that nobody takes it for room.
   * Undefined where it is not.
   */
  sizeOf(file: CachedFile): Promise<number | undefined>;
  /**
   * Links files that are sure to be warm, many at a time; says of each whether it is at `to` now. It makes no copies, and
   * has no reasons: `ask` for the others.
   */
  linkWarm(wanted: readonly Wanted[]): Promise<readonly boolean[]>;
  /** Takes out at least `bytes` that nobody uses, if there is so much. */
  free(bytes: number): Promise<void>;
  /** The directory in which files are written, and where a try that was cut off left what it had of large ones. */
  readonly partials: string;
}

/** A file and where it is wanted; `partial` is a name beside it that does not exist. */
interface Wanted {
  readonly file: CachedFile;
  readonly to: string;
  readonly partial: string;
}

/** A file on its way into the cache. */
interface Filling {
  readonly ended: Promise<void>;
  readonly end: () => void;
  isAwaited: boolean;
}

function beginFilling(filling: Map<string, Filling>, path: string): Filling {
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = (): void => {
    if (filling.get(path) === fill) filling.delete(path);
    resolve();
  };
  const fill: Filling = { ended: promise, end, isAwaited: false };
  filling.set(path, fill);
  return fill;
}

interface CacheOptions {
  readonly dir: string;
  readonly clock?: Clock;
  /** Told the bytes of each file that was added, and of each half one that stays. */
  readonly onAdded?: (bytes: number) => void;
  /** Takes out at least so many bytes that nobody uses, if there is so much. */
  readonly free?: (bytes: number) => Promise<void>;
  /** 'copy' gives every task a file of its own, with its own owner and mode. */
  readonly placement?: 'link' | 'copy';
}

/**
 * Opens the cache and clears what an earlier process left half done, but for large files of the last day. A file is read through when it is first wanted of this
 * process: the disk may have changed since another one sealed it.
 */
export async function openFileCache(options: CacheOptions): Promise<FileCache> {
  const { dir, placement = 'link', onAdded = () => undefined, clock = systemClock } = options;
  const { free = () => Promise.resolve() } = options;
  const trusted = new Set<string>();
  const partials = join(dir, PARTIALS);
  ensureDirectory(partials, 0o700);
  await clearPartials(partials, clock.nowMs());
  const filling = new Map<string, Filling>();
  const stock: Stock = { dir, partials, trusted, onAdded };
  const placing = (how: 'link' | 'copy'): FileCache => ({
    ask: async (file) => {
      const path = pathIn(dir, file);
      const others = filling.get(path);
      if (others !== undefined) {
        others.isAwaited = true;
        return { kind: 'filling', ended: others.ended };
      }
      const fill = beginFilling(filling, path);
      const isReady = await soundOrGone(file, { path, partials }, trusted, clock.nowMs()).catch(
        (error: unknown) => {
          // Whoever waits asks for itself.
          fill.end();
          throw machineFailure(writeFailure(path, error));
        },
      );
      if (!isReady) return { kind: 'fill', ...cacheFill(file, fill, stock) };
      fill.end();
      return { kind: 'ready' };
    },
    free,
    partials,
    copies: how === 'copy',
    copying: () => placing('copy'),
    sizeOf: async (file) => {
      const stats = await usedNow(file, pathIn(dir, file), clock.nowMs());
      return stats?.size;
    },
    place: (file, target, signal) =>
      place(pathIn(dir, file), target, { file, placement: how, signal }),
    linkWarm: (wanted) =>
      linkSure(dir, wanted, clock.nowMs(), (path) => how === 'link' && trusted.has(path)),
  });
  return placing(placement);
}

/** What there is of a cache: the files in `dir`, and those of them that were read through. */
interface Stock {
  readonly dir: string;
  readonly partials: string;
  readonly trusted: Set<string>;
  readonly onAdded: (bytes: number) => void;
}

function cacheFill(file: CachedFile, fill: Filling, stock: Stock): CacheFill {
  const partial = join(stock.partials, remnantOf(file));
  const path = pathIn(stock.dir, file);
  return {
    partial,
    mode: sealedMode(file),
    landing: { to: path, writtenS: SEALED_S, folderMode: 0o711 },
    landed: (bytes = file.sizeBytes ?? 0) => {
      stock.trusted.add(path);
      fill.end();
      stock.onAdded(bytes);
    },
    isAwaited: () => fill.isAwaited,
    abandon: async (isKept = false) => {
      if (isKept) await keepHalf(partial, stock.onAdded);
      fill.end();
    },
  };
}

async function linkSure(
  dir: string,
  wanted: readonly Wanted[],
  nowMs: number,
  isSure: (path: string) => boolean,
): Promise<readonly boolean[]> {
  const links = wanted.map((one) => linkOf(dir, one));
  const sure = links.map(({ path }) => isSure(path));
  const made = await anyDisk().link({ nowMs, links: links.filter((_, at) => sure[at]) });
  const answers = made.values();
  return sure.map((is) => is && answers.next().value === true);
}

/** Leaves it to the next try, and tells its bytes; whoever has gone on with it before tells of the whole. */
async function keepHalf(partial: string, onAdded: (bytes: number) => void): Promise<void> {
  const stats = await letGo(partial)
    .then((kept) => stat(kept))
    .catch(() => undefined);
  if (stats !== undefined) onAdded(stats.size);
}

const LEFT_MS = 86_400_000;

/** What was left of large files may be wanted again soon. */
async function clearPartials(partials: string, nowMs: number): Promise<void> {
  for (const name of await readdir(partials)) {
    const path = join(partials, name);
    const stats = isLeft(name) ? await stat(path).catch(() => undefined) : undefined;
    const isYoung = stats !== undefined && nowMs - stats.mtimeMs < LEFT_MS;
    if (!isYoung || stats.size <= CHUNK_BYTES) await rm(path, { recursive: true, force: true });
  }
}

const pathIn = (dir: string, file: CachedFile): string =>
  join(dir, file.digest.slice(0, 2), `${file.digest}${isExecutable(file) ? '.x' : ''}`);

const linkOf = (dir: string, { file: { digest, sizeBytes, mode }, to, partial }: Wanted) => ({
  path: pathIn(dir, { digest, sizeBytes, mode }),
  sizeBytes,
  mode,
  to,
  partial,
});

/** Whether it is there as it was sealed; where it is not, another one can be put there. */
async function soundOrGone(
  file: CachedFile,
  { path, partials }: { readonly path: string; readonly partials: string },
  trusted: Set<string>,
  nowMs: number,
): Promise<boolean> {
  if (await isSound(file, path, trusted, nowMs)) return true;
  trusted.delete(path);
  await rm(path, { force: true });
  // Somebody who wanted room may have removed all that is in the cache.
  if (!existsSync(partials)) ensureDirectory(partials, 0o700);
  return false;
}

/** Whether it is there as it was sealed; it has then been used just now. */
async function isSound(
  file: CachedFile,
  path: string,
  trusted: Set<string>,
  nowMs: number,
): Promise<boolean> {
  if ((await usedNow(file, path, nowMs)) === undefined) return false;
  if (!trusted.has(path) && (await digestOfFile(path)) !== file.digest) return false;
  trusted.add(path);
  return true;
}

/** A file that is there as it was sealed, but for its content; writes down that it was used. */
async function usedNow(file: CachedFile, path: string, nowMs: number): Promise<Stats | undefined> {
  const stats = await stat(path).catch(() => undefined);
  if (stats === undefined || !isSealed(file, stats)) return undefined;
  if (isUseNews(nowMs, stats)) await utimes(path, nowMs / 1_000, SEALED_S).catch(() => undefined);
  return stats;
}

/** EMLINK: too many links of one file; EXDEV: another file system; the rest: file systems without hard links. */
const NO_LINK: ReadonlySet<string> = new Set(['EXDEV', 'EMLINK', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP']);

interface Placing {
  readonly file: CachedFile;
  readonly placement: 'link' | 'copy';
  readonly signal: AbortSignal | undefined;
}

async function place(
  path: string,
  target: string,
  { file, placement, signal }: Placing,
): Promise<boolean> {
  try {
    if (placement === 'link') {
      const failed = await link(path, target).then(() => '', errnoOf);
      if (failed === '') return true;
      if (failed === 'ENOENT') return false;
      if (!NO_LINK.has(failed)) await link(path, target);
    }
    await copySparse(path, target, signal);
    await chmod(target, file.mode);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw writeFailure(target, error);
  }
}
