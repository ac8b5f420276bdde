import { fstatSync } from 'node:fs';
import { pino } from 'pino';

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
    isStderr(journal) ? { write } : stderr,
  );
}

/** pino's levels from this on have this priority of syslog(3). */
const PRIORITIES: readonly (readonly [level: number, priority: number])[] = [
  [60, 2],
  [50, 3],
  [40, 4],
  [30, 6],
];
const DEBUG = 7;

/** With the priority in front, as sd-daemon(3) has it: the journal takes it off, and `journalctl -p warning` shows what is one. */
export function forJournal(line: string): string {
  const level = Number(/^\{"level":(\d+)/.exec(line)?.[1] ?? 0);
  return `<${PRIORITIES.find(([from]) => level >= from)?.[1] ?? DEBUG}>${line}`;
}

/** Whether stderr is the file `device:inode`. */
function isStderr(file: string | undefined): boolean {
  if (file === undefined) return false;
  const { dev, ino } = fstatSync(2);
  return file === `${dev}:${ino}`;
}
