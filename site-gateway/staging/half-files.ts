import { constants } from 'node:fs';
import { open, readdir, rm } from 'node:fs/promises';
import { O_PATH } from '../../service/staging/anchors.ts';

const FOLDER = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * Removes the files below a folder whose names are those of half files. `at` is a name that leads to the folder whatever is put in
 * its place; no link is followed. A folder that may not be entered or listed keeps what is there.
 */
export async function removeHalfFiles(
  at: string,
  isHalfFile: (name: string) => boolean,
): Promise<void> {
  for (const entry of await readdir(at, { withFileTypes: true }).catch(() => [])) {
    const place = `${at}/${entry.name}`;
    if (isHalfFile(entry.name)) await rm(place, { force: true });
    if (!entry.isDirectory()) continue;
    const handle = await open(place, FOLDER).catch(() => undefined);
    if (handle === undefined) continue;
    await using folder = handle;
    await removeHalfFiles(`/proc/self/fd/${folder.fd}`, isHalfFile);
  }
}
