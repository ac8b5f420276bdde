import { pino } from 'pino';

/** Structured log, one JSON object a line on stderr: fields for values, a short lower-case sentence for the event. */
export type Log = pino.Logger;

/** Opens the log of a service; `level` is one of pino's (`trace` to `fatal`, `silent`). */
export function openLog(service: string, level: string): Log {
  return pino(
    { name: service, level, base: { service }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  );
}
