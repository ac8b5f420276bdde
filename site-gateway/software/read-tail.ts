import { open } from 'node:fs/promises';

/** The last bytes of a file as text; '' where it is not there. */
export async function readTail(file: string, most: number): Promise<string> {
  try {
    await using handle = await open(file, 'r');
    const { size } = await handle.stat();
    const from = Math.max(0, size - most);
    const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(most), position: from });
    return buffer.toString('utf8', 0, bytesRead);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  }
}
