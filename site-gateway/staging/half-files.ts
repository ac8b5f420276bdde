import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { O_PATH } from '../../service/staging/anchors.ts';
import { type HalfNames, removeHalf } from '../../service/staging/half-files.ts';

const FOLDER = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * Removes what is half done below a folder, by its names. `at` is a name that leads to the folder whatever is put in
 * its place; no link is followed. A folder that may not be entered or listed keeps what is there.
 */
export async function removeHalfFiles(at: string, names: HalfNames): Promise<void> {
  for (const entry of await readdir(at, { withFileTypes: true }).catch(() => [])) {
    const place = `${at}/${entry.name}`;
    if (names.has(entry.name)) await removeHalf(place);
    else if (entry.isDirectory()) await enter(place, names);
  }
}

async function enter(place: string, names: HalfNames): Promise<void> {
  const handle = await open(place, FOLDER).catch(() => undefined);
  if (handle === undefined) return;
  await using folder = handle;
  await removeHalfFiles(`/proc/self/fd/${folder.fd}`, names);
}
