import { randomUUID } from 'node:crypto';
import { link, open, readFile, rm } from 'node:fs/promises';
import { GridError } from '../core/errors.ts';
import { privacyFault } from './private-file.ts';

/**
 * The content of a file that is made (mode 0600) where there is none: whole or not at all, whatever the disk does. Who makes it
 * at the same time gets the same. Throws KEY_EXPOSED where others may read or change what is there.
 */
export async function keptSecret(file: string, make: () => string | Uint8Array): Promise<Buffer> {
  const there = await contentOf(file);
  if (there !== undefined) return checked(file, there);
  const partial = `${file}.${randomUUID()}.tmp`;
  try {
    const handle = await open(partial, 'wx', 0o600);
    try {
      await handle.writeFile(make());
      await handle.sync();
    } finally {
      await handle.close();
    }
    await link(partial, file).catch(unless('EEXIST'));
  } finally {
    await rm(partial, { force: true });
  }
  return readFile(file);
}

function checked(file: string, content: Buffer): Buffer {
  const fault = privacyFault(file);
  if (fault !== '') throw new GridError('KEY_EXPOSED', `${file} holds a secret: ${fault}`);
  return content;
}

const contentOf = (file: string): Promise<Buffer | undefined> =>
  readFile(file).catch(unless('ENOENT'));

const unless =
  (code: string) =>
  (error: unknown): undefined => {
    if (!(error instanceof Error && 'code' in error && error.code === code)) throw error;
  };
