import { existsSync } from 'node:fs';
import { chmod, chown, lchown, lstat, open, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Account } from './account.ts';

/** Says in an attempt's directory whose it is. */
const OWNER_FILE = 'account';

/** Whether an account has, or had, the run of `work/` and `tmp/`. */
export const isHandedOver = (directory: string): boolean => existsSync(join(directory, OWNER_FILE));

/**
 * Gives `work/`, `tmp/` and the two streams of an attempt to an account, before any of its processes knows of them. The
 * directory itself stays root's: the gateway's own files in it, and the names of these, are nobody else's. Files that are
 * links to the cache stay as they are, read-only and root's. Nothing happens without an account.
 */
export async function handOver(directory: string, account: Account | undefined): Promise<void> {
  if (account === undefined) return;
  const { uid, gid } = account;
  await writeFile(join(directory, OWNER_FILE), `${account.name}\n`, { mode: 0o600 });
  for (const name of ['stdout', 'stderr']) {
    await using stream = await open(join(directory, name), 'a', 0o600);
    await stream.chown(uid, gid);
  }
  for (const name of ['work', 'tmp']) {
    const own = join(directory, name);
    // Closed while it changes hands.
    await chmod(own, 0o700);
    await giveAll(own, account);
    await chown(own, uid, gid);
  }
  await chmod(directory, 0o711);
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
