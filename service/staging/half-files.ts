import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, readdir, rm, rmdir } from 'node:fs/promises';
import { O_PATH } from './anchors.ts';
import { sha256 } from './chunk-store.ts';
import { contentOf, type RemnantNames } from './remnants.ts';

/** Names that the tries of one transfer give to what is half done; the same at each try. */
export interface HalfNames {
  /** Of the files. */
  readonly file: (number: number) => string;
  /** Of files of several chunks: what is there of them serves the next try. */
  readonly large: RemnantNames;
  /** What the name of a directory in which names are tried out begins with. */
  readonly probe: string;
  /** Whether a name is one of these. */
  readonly has: (name: string) => boolean;
}

export function halfNamesOf(transfer: string): HalfNames {
  const begin = `.grid-${sha256(Buffer.from(transfer)).slice(0, 32)}-`;
  const probe = `${begin}names-`;
  const has = (name: string): boolean =>
    name.startsWith(probe) || (name.startsWith(begin) && name.endsWith('.part'));
  const mark = (file: { readonly digest: string }): string => `-${contentOf(file)}.part`;
  const large: RemnantNames = {
    nameOf: (file) => `${begin}${randomBytes(6).toString('hex')}${mark(file)}`,
    isOf: (file, name) => name.startsWith(begin) && name.endsWith(mark(file)),
  };
  return { file: (number) => `${begin}${number}.part`, large, probe, has };
}

const FOLDER = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Removes what is half done: a file, or a directory with nothing but files in it. No link is followed; what resists stays. */
export async function removeHalf(place: string): Promise<void> {
  const stats = await lstat(place).catch(() => undefined);
  if (stats?.isDirectory() !== true) return rm(place, { force: true });
  const handle = await open(place, FOLDER).catch(() => undefined);
  if (handle === undefined) return;
  await using folder = handle;
  const at = `/proc/self/fd/${folder.fd}`;
  for (const name of await readdir(at).catch(() => []))
    await rm(`${at}/${name}`, { force: true }).catch(() => undefined);
  await rmdir(place).catch(() => undefined);
}
