import { openChunkReader } from './chunk-reader.ts';
import { openChunkWriter } from './chunk-writer.ts';
import type { ReadDone, ReadJob, WriteJob } from './disk-jobs.ts';

/** What a Disk does, without promises. */
export interface FileWork {
  write(job: WriteJob): void;
  drop(partials: readonly string[]): void;
  read(job: ReadJob): ReadDone;
  close(root: string): void;
}

export const openFileWork = (): FileWork => ({ ...openChunkWriter(), ...openChunkReader() });
