import { runTool } from '../service/run-tool.ts';

interface How {
  /** Lengths of the files, instead of what they take on the disk. */
  readonly isApparent?: boolean;
  /** A directory that is not looked through by then is taken for one that cannot be; 600 s by default. */
  readonly patienceMs?: number;
  readonly signal?: AbortSignal;
}

const PATIENCE_MS = 600_000;

/**
 * Bytes that all in a directory takes, on its own file system; 0 where it cannot be told. What vanishes under the look, and what
 * is closed to us, does not matter.
 */
export async function bytesBelow(directory: string, how: How = {}): Promise<number> {
  const { isApparent = false, patienceMs = PATIENCE_MS, signal } = how;
  const args = ['-skx', ...(isApparent ? ['--apparent-size'] : []), '--', directory];
  const options = { timeoutMs: patienceMs, ...(signal === undefined ? {} : { signal }) };
  const { output } = await runTool('du', args, options);
  const kib = /^\d+(?=\t)/m.exec(output)?.[0];
  return kib === undefined ? 0 : Number(kib) * 1_024;
}
