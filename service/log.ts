import { pino } from 'pino';
import { GridError } from '../core/errors.ts';
import { connectionWords } from './connection-words.ts';
import { forJournal, isJournal } from './systemd-journal.ts';

/** Structured log, one JSON object a line on stderr: fields for values, a short lower-case sentence for the event. */
export type Log = pino.Logger;

/**
 * An error as it stands in the log. What is expected to happen (a GridError) is told once and without where in the program: its
 * words, and those of its cause where they say more. All else comes with its stack.
 */
export function shownError(error: Error): object {
  if (!(error instanceof GridError) || error.code === 'INTERNAL')
    return pino.stdSerializers.err(error);
  const { code, message, problems, cause } = error;
  // gRPC puts its status in front.
  const said =
    cause instanceof Error ? connectionWords(cause.message.replace(/^\d+ [A-Z_]+: /, '')) : '';
  const isNew = said !== '' && !message.includes(said) && !said.includes(message);
  return {
    code,
    message,
    ...(problems.length === 0 ? {} : { problems }),
    ...(isNew ? { cause: said } : {}),
  };
}

/** Bytes of lines that wait for a log that cannot be written; more are dropped. */
const MOST_UNWRITTEN = 1_048_576;

/**
 * Opens the log of a service; `level` is one of pino's (`trace` to `fatal`, `silent`). systemd names in `journal`
 * (JOURNAL_STREAM) what it has connected to its journal.
 */
export function openLog(service: string, level: string, journal?: string): Log {
  const stderr = pino.destination({ fd: 2, sync: true, maxLength: MOST_UNWRITTEN });
  // A disk of the log that is full ends no service: what fits is written once there is room.
  stderr.on('error', () => undefined);
  const write = (line: string): void => {
    stderr.write(forJournal(line));
  };
  return pino(
    {
      name: service,
      level,
      base: { service },
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: shownError },
    },
    isJournal(journal) ? { write } : stderr,
  );
}
