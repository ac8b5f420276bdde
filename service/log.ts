import { pino } from 'pino';
import { forJournal, isJournal } from './systemd-journal.ts';

/** Structured log, one JSON object a line on stderr: fields for values, a short lower-case sentence for the event. */
export type Log = pino.Logger;

/**
 * Opens the log of a service; `level` is one of pino's (`trace` to `fatal`, `silent`). systemd names in `journal`
 * (JOURNAL_STREAM) what it has connected to its journal.
 */
export function openLog(service: string, level: string, journal?: string): Log {
  const stderr = pino.destination({ fd: 2, sync: true });
  const write = (line: string): void => {
    stderr.write(forJournal(line));
  };
  return pino(
    { name: service, level, base: { service }, timestamp: pino.stdTimeFunctions.isoTime },
    isJournal(journal) ? { write } : stderr,
  );
}
