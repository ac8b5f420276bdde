import { Worker } from 'node:worker_threads';
import { type ErrorCode, GridError } from '../../../core/errors.ts';
import type { Found } from '../walk.ts';
import type { Disk, ReadDone } from './disk-jobs.ts';
import type { FileWork } from './file-work.ts';

/** What is sent to the thread. */
export interface Asked {
  readonly id: number;
  readonly kind: keyof FileWork;
  readonly of: unknown;
}

interface Failure {
  readonly code?: ErrorCode;
  readonly message: string;
  /** Of its cause; '' for none. */
  readonly errno: string;
}

/** What comes back. */
export interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly failure?: Failure;
}

/**
 * Buffers are shared with it, so it needs little, but for a walk: two million entries, the most that a tree may have, take 600 MB.
 * Where that is not enough the whole process ends, and not only the thread.
 */
const LIMITS = { maxOldGenerationSizeMb: 1024, maxYoungGenerationSizeMb: 8 };

/**
 * A thread for file work, so that neither hashing nor a slow disk holds up the process. It does not keep the process alive.
 * `onEnd` is called once, when it has ended and all that was asked of it has failed.
 */
export function openDiskThread(onEnd: () => void): Disk {
  const file = new URL(
    import.meta.url.endsWith('.ts') ? 'disk-worker.ts' : 'disk-worker.js',
    import.meta.url,
  );
  // It takes none of the arguments of this process: some of them are refused to threads.
  const worker = new Worker(file, { resourceLimits: LIMITS, execArgv: [] });
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let count = 0;
  worker.on('message', ({ id, result, failure }: Answer) => {
    const one = waiting.get(id);
    waiting.delete(id);
    if (waiting.size === 0) worker.unref();
    if (failure === undefined) one?.resolve(result);
    else one?.reject(failed(failure));
  });
  let broken: Error | undefined;
  const end = (error: unknown): void => {
    if (broken !== undefined) return;
    const reason = error instanceof Error ? error.message : String(error);
    broken = new GridError('INTERNAL', `the thread for files has ended: ${reason}`, {
      cause: error,
    });
    for (const { reject } of waiting.values()) reject(broken);
    waiting.clear();
    onEnd();
  };
  worker.on('error', end).on('exit', (code) => end(`exit ${code}`));
  // Whoever listens to it would wait for its end.
  worker.unref();
  const ask = (kind: keyof FileWork, of: unknown): Promise<unknown> => {
    if (broken !== undefined) return Promise.reject(broken);
    count += 1;
    const one = Promise.withResolvers<unknown>();
    waiting.set(count, one);
    worker.ref();
    worker.postMessage({ id: count, kind, of } satisfies Asked);
    return one.promise;
  };
  return {
    write: async (job) => void (await ask('write', job)),
    drop: async (halves) => void (await ask('drop', halves)),
    read: async (job) => (await ask('read', job)) as ReadDone,
    walk: async (job) => (await ask('walk', job)) as readonly Found[],
    link: async (job) => (await ask('link', job)) as readonly boolean[],
    close: async (send) => void (await ask('close', send)),
  };
}

function failed({ code, message, errno }: Failure): Error {
  if (code === undefined) return new Error(message);
  const cause = errno === '' ? undefined : Object.assign(new Error(errno), { code: errno });
  return new GridError(code, message, { cause });
}
