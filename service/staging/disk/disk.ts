import { setImmediate } from 'node:timers/promises';
import type { Disk } from './disk-jobs.ts';
import { openDiskThread } from './disk-thread.ts';
import { openFileWork } from './file-work.ts';

/** Less than this is done before a thread has started. */
const THREAD_BYTES = 16 * 2 ** 20;

let thread: Disk | undefined;

/** The thread of this process, which a service that must not be held up starts when it starts. */
export const diskThread = (): Disk =>
  (thread ??= openDiskThread(() => {
    thread = undefined;
  }));

/** For a tree of which nothing is known yet. */
export const anyDisk = (): Disk => diskFor(0);

/** What is best for a tree of so many bytes. */
export const diskFor = (totalBytes: number): Disk =>
  thread === undefined && totalBytes < THREAD_BYTES ? inlineDisk() : diskThread();

/** File work in this thread, a chunk at a time, and the event loop has a turn before each. */
function inlineDisk(): Disk {
  const work = openFileWork();
  const turn = async <T>(run: () => T): Promise<T> => {
    await setImmediate();
    return run();
  };
  return {
    write: (job) => turn(() => work.write(job)),
    drop: (halves) => turn(() => work.drop(halves)),
    read: (job) => turn(() => work.read(job)),
    walk: async (job) => {
      const steps = work.walk(job);
      for (;;) {
        const { done, value } = steps.next();
        if (done === true) return value;
        await setImmediate();
      }
    },
    link: (job) => turn(() => work.link(job)),
    close: (send) => turn(() => work.close(send)),
  };
}
