import { boundedWords } from '../../../core/words.ts';
import type { Clock } from '../../../service/clock.ts';
import type { Log } from '../../../service/log.ts';
import type { LrmsState } from '../lrms.ts';
import type { BatchSilence } from './batch-command.ts';
import type { BatchPoll } from './batch-system.ts';

/** Whether the batch system answers, and what it said about itself. */
export interface BatchHealth {
  answers(): boolean;
  /** Whether it answers and takes more jobs. */
  takes(): boolean;
  state(): LrmsState;
  answered(poll: BatchPoll): void;
  silent(error: BatchSilence): void;
  /** It takes no more jobs at the moment; '' when it does again. */
  full(words: string): void;
  /** Looks in succession that got no answer. */
  failures(): number;
}

export interface HealthOptions {
  /** Of the batch system. */
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
  /** `state` says something else now. */
  readonly onChange: () => void;
}

export function openHealth({ name, clock, log, onChange }: HealthOptions): BatchHealth {
  let silence: { readonly sinceMs: number; readonly words: string } | undefined;
  let failures = 0;
  let full = '';
  let last: Pick<BatchPoll, 'capacity' | 'closedReason'> | undefined;
  const closedReason = (): string => {
    if (silence !== undefined) {
      const since = new Date(silence.sinceMs).toISOString();
      return `${name} does not answer since ${since}: ${silence.words}`;
    }
    if (full !== '') return `${name} takes no more jobs: ${full}`;
    return last === undefined || last.closedReason === '' ? '' : `${name}: ${last.closedReason}`;
  };
  const state = (): LrmsState => ({
    closedReason: closedReason(),
    ...(last === undefined ? {} : { capacity: last.capacity }),
  });
  const change = (set: () => void): void => {
    const before = JSON.stringify(state());
    set();
    if (JSON.stringify(state()) !== before) onChange();
  };
  return {
    answers: () => silence === undefined,
    takes: () => silence === undefined && full === '',
    state,
    failures: () => failures,
    answered: (poll) =>
      change(() => {
        if (silence !== undefined) log.info({ system: name }, 'the batch system answers again');
        silence = undefined;
        failures = 0;
        last = poll;
      }),
    silent: (error) =>
      change(() => {
        failures += 1;
        if (silence !== undefined) return;
        log.warn({ err: error, system: name }, 'the batch system does not answer');
        silence = { sinceMs: clock.nowMs(), words: error.message };
      }),
    full: (words) =>
      change(() => {
        full = boundedWords(words);
      }),
  };
}
