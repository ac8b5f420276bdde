/** The program of the disk thread: does one piece of work after the other. */
import { parentPort } from 'node:worker_threads';
import { GridError } from '../../../core/errors.ts';
import { errnoOf } from '../file-errors.ts';
import type { WalkJob } from './disk-jobs.ts';
import type { Answer, Asked } from './disk-thread.ts';
import { atOnce, openFileWork } from './file-work.ts';

const fileWork = openFileWork();
const work = { ...fileWork, walk: (job: WalkJob) => atOnce(fileWork.walk(job)) };
parentPort?.on('message', ({ id, kind, of }: Asked) => {
  parentPort?.postMessage(answerTo(id, () => work[kind](of as never)));
});

function answerTo(id: number, run: () => unknown): Answer {
  try {
    return { id, result: run() };
  } catch (error) {
    const code = error instanceof GridError ? error.code : undefined;
    const message = error instanceof Error ? error.message : String(error);
    const errno = errnoOf(error instanceof GridError ? error.cause : undefined);
    return { id, failure: { message, errno, ...(code === undefined ? {} : { code }) } };
  }
}
