import { fstatSync } from 'node:fs';

/** pino's levels from this on have this priority of syslog(3). */
const PRIORITIES: readonly (readonly [level: number, priority: number])[] = [
  [60, 2],
  [50, 3],
  [40, 4],
  [30, 6],
];
const DEBUG = 7;

/** Whether stderr goes to the journal of systemd, which says in `stream` (JOURNAL_STREAM) what file that is. */
export function isJournal(stream: string | undefined): boolean {
  if (stream === undefined) return false;
  const { dev, ino } = fstatSync(2);
  return stream === `${dev}:${ino}`;
}

/**
 * A line of the log with its priority in front, as sd-daemon(3) has it: the journal takes that off, and `journalctl -p
 * warning` shows what is one.
 */
export function forJournal(line: string): string {
  const level = Number(/^\{"level":(\d+)/.exec(line)?.[1] ?? 0);
  return `<${PRIORITIES.find(([from]) => level >= from)?.[1] ?? DEBUG}>${line}`;
}

/** Lines for people that say what is wrong. */
export const errorForJournal = (text: string): string => text.replaceAll(/^/gm, '<3>');
