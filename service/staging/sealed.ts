import type { Stats } from 'node:fs';

/** What names a file in the cache: its content, and whether it can be executed. */
export interface CachedFile {
  readonly digest: string;
  /** Undefined where nobody knows it before it is there. */
  readonly sizeBytes: number | undefined;
  readonly mode: number;
}

/**
 * Every cached file was last written at this time (2001-01-01): another time says that a task has written to it through
 * its link. When it was last read is when it was last wanted.
 */
export const SEALED_S = 978_307_200;

/** The folder of a cache in which files are written. */
export const PARTIALS = 'partial';

/** The folder of a cache in which files from elsewhere come; what is there of one that broke off is gone on with. */
export const REMOTE = 'remote';
const REMOTE_NAME = /^[0-9a-f]{64}\.part$/;

/** How what there is of a file from elsewhere is named, by its content. */
export const remotePart = ({ digest }: Pick<CachedFile, 'digest'>): string => `${digest}.part`;
export const isRemotePart = (name: string): boolean => REMOTE_NAME.test(name);

/** A use is written down at most this often; it says when the file was last wanted. */
const USED_EVERY_MS = 10_000;

export const isExecutable = ({ mode }: Pick<CachedFile, 'mode'>): boolean => (mode & 0o111) !== 0;

/** The mode of a cached file. */
export const sealedMode = (file: Pick<CachedFile, 'mode'>): number =>
  isExecutable(file) ? 0o555 : 0o444;

/** Whether a file of the cache is as it was when it came into it, but for its content. */
export const isSealed = (file: Pick<CachedFile, 'sizeBytes' | 'mode'>, stats: Stats): boolean =>
  (file.sizeBytes ?? stats.size) === stats.size &&
  stats.mtimeMs === SEALED_S * 1_000 &&
  (stats.mode & 0o777) === sealedMode(file);

/** Whether it must be written down that the file was used now. */
export const isUseNews = (nowMs: number, stats: Stats): boolean =>
  Math.abs(nowMs - stats.atimeMs) > USED_EVERY_MS;
