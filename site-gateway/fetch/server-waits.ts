import { formatBytes, formatDuration } from '../../core/units.ts';
import type { Clock } from '../../service/clock.ts';

/** How long a server has kept one download waiting. */
export interface ServerWait {
  /** From now on, where it was not so before, nothing keeps it but this host; so many bytes of the file have come by now. */
  on(host: string, hadBytes: number): void;
  /** So many bytes came, and the server is not silent; where none is new, it keeps the download waiting all the same. */
  came(bytes: number, isNew: boolean): void;
  /** The server failed for now: why. */
  met(why: string): void;
  /** ms without anything new; 0 where no server keeps it. */
  lastedMs(): number;
  /** Why it is to be given up though bytes come: they have been too few for too long; '' where they have not. */
  tooSlow(): string;
}

/** Which attempts wait for a server elsewhere, for whoever asks why they do not start. */
export interface ServerWaits {
  /** A download to the file `partial`; until it is disposed of. */
  begin(partial: string): ServerWait & Disposable;
  /** An attempt needs the download to `partial`, whoever carries it out; until it is disposed of. */
  needs(attempt: string, partial: string): Disposable;
  /** Whom the attempt waits for, since when and why; '' where it waits for none, or has only just begun to. */
  words(attempt: string): string;
  /** Whether no byte at all has come for the attempt for so long that it is worth telling. */
  isSilent(attempt: string): boolean;
}

/** What is over sooner nobody need know, unless it may not last much longer. */
const WORTH_TELLING_MS = 3_000;
const WORTH_TELLING_PART = 0.25;
/** Sooner nobody can tell that a server is slow. */
const SLOW_MS = 60_000;

/** Whom a download waits for, and what it had when that began. */
interface Since {
  readonly host: string;
  readonly hadBytes: number;
  readonly atMs: number;
  readonly ms: number;
}

interface Known extends ServerWait {
  words(): string;
  isSilent(): boolean;
}

/** When a download fails. */
export interface WaitLimits {
  /** How long it waits. */
  readonly patienceMs: number;
  /** Bytes in a second: a server that has sent fewer for so long is given up, too. */
  readonly leastRate: number;
}

export function openServerWaits(clock: Clock, limits: WaitLimits): ServerWaits {
  const downloads = new Map<string, Known>();
  const needed = new Map<string, string>();
  const neededBy = (attempt: string): Known | undefined => downloads.get(needed.get(attempt) ?? '');
  return {
    begin: (partial) => {
      const wait = openWait(clock, limits);
      downloads.set(partial, wait);
      return { ...wait, [Symbol.dispose]: () => void downloads.delete(partial) };
    },
    needs: (attempt, partial) => {
      needed.set(attempt, partial);
      return { [Symbol.dispose]: () => void needed.delete(attempt) };
    },
    words: (attempt) => neededBy(attempt)?.words() ?? '',
    isSilent: (attempt) => neededBy(attempt)?.isSilent() ?? false,
  };
}

function openWait(clock: Clock, { patienceMs, leastRate }: WaitLimits): Known {
  let since: Since | undefined;
  let turnFromMs: number | undefined;
  let slow = { bytes: 0, ms: 0 };
  let silentFromMs: number | undefined;
  let why = '';
  const worthMs = Math.min(WORTH_TELLING_MS, WORTH_TELLING_PART * patienceMs);
  const lastedMs = (): number => (since === undefined ? 0 : clock.monotonicMs() - since.ms);
  return {
    on: (host, hadBytes) => {
      const ms = clock.monotonicMs();
      since ??= { host, hadBytes, atMs: clock.nowMs(), ms };
      silentFromMs ??= ms;
      turnFromMs ??= ms;
    },
    came: (bytes, isNew) => {
      silentFromMs = undefined;
      // What we do with the bytes, and wait for before we take more, is no fault of the server.
      const turnMs = clock.monotonicMs() - (turnFromMs ?? clock.monotonicMs());
      turnFromMs = undefined;
      slow = { bytes: slow.bytes + bytes, ms: slow.ms + turnMs };
      if (slow.bytes * 1_000 >= leastRate * slow.ms) slow = { bytes: 0, ms: 0 };
      if (!isNew) return;
      since = undefined;
      why = '';
    },
    met: (words) => {
      turnFromMs = undefined;
      why = words;
    },
    lastedMs,
    tooSlow: () =>
      slow.ms < Math.max(patienceMs, SLOW_MS)
        ? ''
        : `has sent ${formatBytes(slow.bytes)} in ${formatDuration(slow.ms)}, and the site wants ${formatBytes(leastRate)} in a second`,
    isSilent: () => silentFromMs !== undefined && clock.monotonicMs() - silentFromMs >= worthMs,
    words: () => {
      if (since === undefined || lastedMs() < worthMs) return '';
      const began = new Date(since.atMs).toISOString();
      const words = why === '' ? silence(since) : why;
      return `waits for ${since.host} since ${began}: ${words}; gives up after ${formatDuration(patienceMs)}`;
    },
  };
}

const silence = ({ hadBytes }: Since): string =>
  hadBytes === 0
    ? 'no byte has come'
    : `nothing has come beyond the first ${formatBytes(hadBytes)}`;
