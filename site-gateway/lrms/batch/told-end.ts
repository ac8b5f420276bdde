import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TaskEnd } from '../lrms.ts';

/**
 * How a task of a batch system ended, kept beside its files once its submission is removed: a gateway that is started again
 * while outputs are on their way must not take it for one that never ran.
 */
const fileOf = (directory: string): string => join(directory, 'end');

export const writeEnd = (directory: string, end: TaskEnd): Promise<void> =>
  writeFile(fileOf(directory), JSON.stringify(end), { mode: 0o600 });

/** Undefined where it has not been written, or not as a whole. */
export async function readEnd(directory: string): Promise<TaskEnd | undefined> {
  try {
    return JSON.parse(await readFile(fileOf(directory), 'utf8')) as TaskEnd;
  } catch {
    return undefined;
  }
}
