import { randomBytes } from 'node:crypto';
import { errors, type Msg } from '@nats-io/transport-node';

/** A question that has been asked and not answered. */
interface Open {
  readonly subject: string;
  readonly askedAtMs: number;
  isSent: boolean;
  /** When the server was known to have read it. */
  readAtMs: number;
  resolve(answer: Msg): void;
  reject(error: Error): void;
}

/** What is known of the line to the server. */
interface Line {
  /** When anything came from the server last; of `nowMs`. */
  heardAtMs(): number;
  /** Resolves when the server has read what was sent before. */
  ping(): Promise<void>;
  /** Milliseconds that never go back. */
  nowMs(): number;
}

export interface OpenQuestions {
  /** `sent` is to be called when the question has left. */
  add(subject: string): { token: string; answer: Promise<Msg>; sent: () => void };
  answer(token: string, message: Msg): void;
  fail(error: Error, which: (subject: string) => boolean): void;
  /** Rejects with TimeoutError those that nobody is going to answer; called every second by itself. */
  look(): void;
}

/** Nothing at all was heard for so long: the line is dead. A chunk at 40 kB/s takes as long. */
const DEAD_MS = 30_000;
/** The server read a question, and is done with others: what leads the stream went away with it. */
const LOST_MS = 5_000;
const LOOK_EVERY_MS = 1_000;
/** A look that comes so late is the first thing that a process does which stood still: what came meanwhile it has yet to read. */
const LATE_MS = 3 * LOOK_EVERY_MS;
const NEVER = Number.POSITIVE_INFINITY;
const NO_RESPONDERS = 503;
const TOKEN_BYTES = 12;

/**
 * How long an answer takes says little: on a thin line a question waits for those before it. So a question is given up
 * when nothing is heard at all, or when the server has read it (a ping sent after it was answered) and then answers
 * those asked later, or none.
 */
export function openQuestions(line: Line): OpenQuestions {
  const open = new Map<string, Open>();
  const ping = openPing(line);
  let timer: NodeJS.Timeout | undefined;
  /** The youngest question that has been answered. */
  let answeredOfMs = Number.NEGATIVE_INFINITY;
  let lookedAtMs = line.nowMs();
  let wasLate = false;
  const look = (): void => {
    const lateMs = line.nowMs() - lookedAtMs;
    lookedAtMs += lateMs;
    wasLate = lateMs >= LATE_MS && !wasLate;
    if (wasLate) return;
    for (const [token, one] of open) {
      if (!isGivenUp(one, answeredOfMs, line)) continue;
      open.delete(token);
      one.reject(new errors.TimeoutError());
    }
    ping([...open.values()].filter(({ isSent, readAtMs }) => isSent && readAtMs === NEVER));
    if (open.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
  return {
    add: (subject) => {
      // A leaf node hears the answers of its VO and may have one sent anywhere: it must not know where the next one is waited for.
      const token = randomBytes(TOKEN_BYTES).toString('base64url');
      const { promise, resolve, reject } = Promise.withResolvers<Msg>();
      // Whoever asked may have given up.
      promise.catch(() => undefined);
      const askedAtMs = line.nowMs();
      const one: Open = { subject, askedAtMs, isSent: false, readAtMs: NEVER, resolve, reject };
      open.set(token, one);
      if (timer === undefined) lookedAtMs = askedAtMs;
      timer ??= setInterval(look, LOOK_EVERY_MS).unref();
      const sent = (): void => {
        one.isSent = true;
      };
      return { token, answer: promise, sent };
    },
    answer: (token, message) => {
      const one = open.get(token);
      if (one === undefined) return;
      open.delete(token);
      answeredOfMs = Math.max(answeredOfMs, one.askedAtMs);
      const isEmpty = message.data.byteLength === 0 && !isStored(message);
      if (isEmpty && message.headers?.code === NO_RESPONDERS)
        one.reject(new errors.NoRespondersError(one.subject));
      else one.resolve(message);
    },
    fail: (error, which) => {
      for (const [token, one] of open) {
        if (!which(one.subject)) continue;
        open.delete(token);
        one.reject(error);
      }
    },
    look,
  };
}

/** Whether it comes from a stream, and not from the server itself, which may name the subject when it says that nobody is there. */
export const isStored = ({ headers }: Msg): boolean => headers?.has('Nats-Stream') === true;

function isGivenUp({ askedAtMs, readAtMs }: Open, answeredOfMs: number, line: Line): boolean {
  const nowMs = line.nowMs();
  const heardAtMs = line.heardAtMs();
  if (nowMs - Math.max(askedAtMs, heardAtMs) >= DEAD_MS) return true;
  const isOvertaken = answeredOfMs > readAtMs || nowMs - heardAtMs >= LOST_MS;
  return nowMs - readAtMs >= LOST_MS && isOvertaken;
}

/** One ping at a time, after which it is known that the server has read what was asked before. */
function openPing(line: Line): (asked: readonly Open[]) => void {
  let isOut = false;
  return (asked) => {
    if (isOut || asked.length === 0) return;
    isOut = true;
    const read = (): void => {
      isOut = false;
      for (const one of asked) one.readAtMs = line.nowMs();
    };
    const failed = (): void => {
      isOut = false;
    };
    line.ping().then(read, failed);
  };
}
