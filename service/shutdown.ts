import { Socket } from 'node:net';
import type { Log } from './log.ts';

/** How a service learns that it shall stop. */
export interface StopOptions {
  readonly log: Log;
  /** Also stop when stdin ends: whoever started the service has gone. */
  readonly watchStdin: boolean;
}

/**
 * From now on, until `untilStopped`, a signal ends the process as it ends any program: whatever its start waits for, and
 * even where that never comes.
 */
export function endBySignals(): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.removeAllListeners(signal);
}

/** Resolves at SIGTERM, SIGINT or (if asked for) the end of stdin; a second signal ends the process at once. */
export function untilStopped(options: StopOptions): Promise<void> {
  return new Promise((resolve) => {
    const stop = (why: string): void => {
      options.log.info({ why }, 'stopping');
      resolve();
    };
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(1));
        stop(signal);
      });
    }
    if (options.watchStdin) {
      process.stdin.resume();
      // An open pipe alone shall not keep the process alive, when its start has failed or everything has ended.
      if (process.stdin instanceof Socket) process.stdin.unref();
      process.stdin.once('end', () => stop('stdin ended'));
      process.stdin.once('error', () => stop('stdin failed'));
    }
  });
}

/** Tells whoever started the service that it serves now: one JSON line on stdout. */
export function announceReady(service: string, address: string): void {
  process.stdout.write(`${JSON.stringify({ ready: true, service, address })}\n`);
}
