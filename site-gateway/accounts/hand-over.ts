import { existsSync } from 'node:fs';
import { chmod, chown, lchown, lstat, open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Account, formatPasswd, parsePasswd } from './account.ts';

/** Says in a directory of root's which account has folders and files in it. */
const OWNER_FILE = 'account';

/** Whether an account has, or had, the run of folders in the directory. */
export const isHandedOver = (directory: string): boolean => existsSync(join(directory, OWNER_FILE));

/** The account that has; undefined where none has. */
export async function handedOverTo(directory: string): Promise<Account | undefined> {
  if (!isHandedOver(directory)) return undefined;
  return parsePasswd(await readFile(join(directory, OWNER_FILE), 'utf8'));
}

const noteOwner = (directory: string, account: Account): Promise<void> =>
  writeFile(join(directory, OWNER_FILE), formatPasswd(account), { mode: 0o600 });

/** A directory of root's through which an account has to pass. */
const PASSABLE = 0o711;

/** Makes a file in a directory of root's, where it is missing, and gives it to an account. Its name stays root's. */
async function giveFile(file: string, { uid, gid }: Account): Promise<void> {
  await using handle = await open(file, 'a', 0o600);
  await handle.chown(uid, gid);
}

/** What a batch script reads and writes in an attempt's directory, beside the streams. */
const SCRIPT_FILES = ['order', 'status', 'usage', 'disk'];

/** Gives a batch script that runs as an account its files: for what it is to write it needs no folder of its own. */
export async function handOverToScript(directory: string, account: Account): Promise<void> {
  for (const name of SCRIPT_FILES) await giveFile(join(directory, name), account);
}

/** Gives a folder of a submission's directory to an account: what its scripts make there are marks. */
export async function handOverMarks(
  directory: string,
  marks: string,
  account: Account,
): Promise<void> {
  await noteOwner(directory, account);
  await chmod(marks, 0o700);
  await chown(marks, account.uid, account.gid);
  await chmod(directory, PASSABLE);
}

/**
 * Gives `work/`, `tmp/`, the folder of its container and the two streams of an attempt to an account, before any of its processes knows of them. The
 * directory itself stays root's: the gateway's own files in it, and the names of these, are nobody else's. Files that are
 * links to the cache stay as they are, read-only and root's. Nothing happens without an account.
 */
export async function handOver(directory: string, account: Account | undefined): Promise<void> {
  if (account === undefined) return;
  const { uid, gid } = account;
  await noteOwner(directory, account);
  for (const name of ['stdout', 'stderr']) await giveFile(join(directory, name), account);
  const folders = ['work', 'tmp', 'container'].map((name) => join(directory, name));
  for (const own of folders.filter((folder) => existsSync(folder))) {
    // Closed while it changes hands.
    await chmod(own, 0o700);
    await giveAll(own, account);
    await chown(own, uid, gid);
  }
  await chmod(directory, PASSABLE);
}

async function giveAll(folder: string, { uid, gid }: Account): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  for (const { parentPath, name } of entries) {
    const path = join(parentPath, name);
    const stats = await lstat(path);
    const isShared = stats.isFile() && stats.nlink > 1;
    if (!isShared) await lchown(path, uid, gid);
  }
}

/** Takes `work/` back once the task has ended: no other task of the account can change the names in it any more. */
export async function takeBack(directory: string): Promise<void> {
  if (!isHandedOver(directory)) return;
  const work = join(directory, 'work');
  await chown(work, 0, 0);
  await chmod(work, 0o700);
}
