import type { Found } from '../walk.ts';
import { walkAll } from '../walk-outside.ts';
import { openChunkReader } from './chunk-reader.ts';
import { openChunkWriter } from './chunk-writer.ts';
import type { Half, LinkJob, ReadDone, ReadJob, WalkJob, WriteJob } from './disk-jobs.ts';
import { linkWarm } from './link-warm.ts';

/** What a Disk does, without promises. */
export interface FileWork {
  write(job: WriteJob): void;
  drop(halves: readonly Half[]): void;
  read(job: ReadJob): ReadDone;
  link(job: LinkJob): readonly boolean[];
  close(root: string): void;
  walk(of: WalkJob): Generator<undefined, readonly Found[], undefined>;
}

export const openFileWork = (): FileWork => ({
  ...openChunkWriter(),
  ...openChunkReader(),
  link: linkWarm,
  walk: ({ root, paths, outside = [] }) => walkAll(root, paths, outside),
});

/** Runs to its end what pauses. */
export function atOnce<T>(steps: Generator<undefined, T, undefined>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}
