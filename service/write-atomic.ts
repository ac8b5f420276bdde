import { randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';

/** Writes a whole file or nothing: a reader, or a crash, sees the old content or the new one. */
export async function writeAtomic(
  file: string,
  content: string | Uint8Array,
  mode: number,
): Promise<void> {
  const partial = `${file}.${randomUUID()}.tmp`;
  try {
    const handle = await open(partial, 'wx', mode);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}
