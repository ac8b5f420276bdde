import { Socket } from 'node:net';
import { setImmediate as nextRound } from 'node:timers/promises';
import type { Log } from './log.ts';

/** How a service learns that it shall stop. */
export interface StopOptions {
  readonly log: Log;
  /** Also stop when stdin ends: whoever started the service has gone. */
  readonly watchStdin: boolean;
}

/** How a service is started from the command line. */
export interface ServeOptions {
  /** Print the settings and start nothing. */
  readonly printConfig: boolean;
  /** Aborts when a signal comes before the service itself hears signals. */
  readonly asked: AbortSignal;
}

/**
 * From now on, until `untilStopped`, a signal ends the process as it ends any program: whatever its start waits for, and
 * even where that never comes. One that came earlier ends it now.
 */
export async function endBySignals({ asked }: Pick<ServeOptions, 'asked'>): Promise<void> {
  // What came while the program was read, at one go, is handed on in the round of the event loop after this one.
  for (let round = 0; round < 2; round += 1) await nextRound();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.removeAllListeners(signal);
  if (asked.aborted) process.kill(process.pid, 'SIGTERM');
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
