import {
  createInbox,
  errors,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  type NatsConnectionImpl,
} from '@nats-io/transport-node';
import type { BulkTransport } from './nats-transport.ts';
import { framed } from './slabs.ts';

interface Question {
  readonly subject: string;
  readonly bytes: Uint8Array;
  readonly headers?: MsgHdrs;
  readonly timeoutMs: number;
}

/** Questions with one answer each, as `request` of nats.js, for many at a time and for large ones without a copy. */
export interface Requests {
  /** Rejects as `request` of nats.js does: time-out, nobody there, not permitted, connection closed. */
  ask(question: Question): Promise<Msg>;
}

interface Waiting {
  readonly subject: string;
  readonly endsAtMs: number;
  resolve(answer: Msg): void;
  reject(error: Error): void;
}

/** From here on a question goes out as it is, and does not pass through the buffer of nats.js. */
const BULK_BYTES = 32_768;
const LOOK_EVERY_MS = 1_000;
const NO_RESPONDERS = 503;
const END = Buffer.from('\r\n');

const opened = new WeakMap<NatsConnection, Requests>();

/** Those of a connection, which share one subscription. */
export function requestsOn(connection: NatsConnection): Requests {
  const known = opened.get(connection);
  if (known !== undefined) return known;
  const requests = openRequests(connection as NatsConnectionImpl);
  opened.set(connection, requests);
  return requests;
}

function openRequests(nc: NatsConnectionImpl): Requests {
  const inbox = createInbox(nc.options.inboxPrefix);
  const waiting = openWaiting();
  nc.subscribe(`${inbox}.*`, {
    callback: (error, message) => {
      if (error === null) waiting.answer(message.subject.slice(inbox.length + 1), message);
      else waiting.fail(error, () => true);
    },
  });
  // What goes out in bulk must not overtake the subscription for its answer.
  const ready = nc.flush();
  ready.catch(() => undefined);
  let isReady = false;
  void ready.then(
    () => {
      isReady = true;
    },
    () => undefined,
  );
  watch(nc, waiting);
  return {
    ask: async ({ subject, bytes, headers, timeoutMs }) => {
      const { token, answer } = waiting.add(subject, timeoutMs);
      const reply = `${inbox}.${token}`;
      if (bytes.byteLength < BULK_BYTES || headers !== undefined) {
        nc.publish(subject, bytes, headers === undefined ? { reply } : { reply, headers });
      } else {
        if (!isReady) await Promise.race([ready, answer]);
        const head = Buffer.from(`PUB ${subject} ${reply} ${bytes.byteLength}\r\n`);
        (nc.protocol.transport as BulkTransport).sendBulk(framed(head, bytes, END));
      }
      return answer;
    },
  };
}

/** Fails what waits when it cannot be answered any more. */
function watch(nc: NatsConnectionImpl, waiting: ReturnType<typeof openWaiting>): void {
  const watching = async (): Promise<void> => {
    for await (const status of nc.status()) {
      if (status.type !== 'error') continue;
      const { error } = status;
      if (!(error instanceof errors.PermissionViolationError)) continue;
      if (error.operation === 'publish') waiting.fail(error, (of) => of === error.subject);
    }
  };
  watching().catch(() => undefined);
  const closed = (error: unknown): void => {
    const cause = error instanceof Error ? error : undefined;
    const failure = new errors.RequestError('connection closed', cause && { cause });
    waiting.fail(failure, () => true);
  };
  nc.closed().then(closed, closed);
}

function openWaiting(): {
  add(subject: string, timeoutMs: number): { token: string; answer: Promise<Msg> };
  answer(token: string, message: Msg): void;
  fail(error: Error, which: (subject: string) => boolean): void;
} {
  const waiting = new Map<string, Waiting>();
  let count = 0;
  let timer: NodeJS.Timeout | undefined;
  const look = (): void => {
    const nowMs = performance.now();
    for (const [token, one] of waiting) {
      if (one.endsAtMs > nowMs) continue;
      waiting.delete(token);
      one.reject(new errors.TimeoutError());
    }
    if (waiting.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
  return {
    add: (subject, timeoutMs) => {
      count += 1;
      const token = count.toString(36);
      const { promise, resolve, reject } = Promise.withResolvers<Msg>();
      // Whoever asked may have given up.
      promise.catch(() => undefined);
      waiting.set(token, { subject, endsAtMs: performance.now() + timeoutMs, resolve, reject });
      timer ??= setInterval(look, LOOK_EVERY_MS).unref();
      return { token, answer: promise };
    },
    answer: (token, message) => {
      const one = waiting.get(token);
      if (one === undefined) return;
      waiting.delete(token);
      const nobody = message.data.byteLength === 0 && message.headers?.code === NO_RESPONDERS;
      if (nobody) one.reject(new errors.NoRespondersError(one.subject));
      else one.resolve(message);
    },
    fail: (error, which) => {
      for (const [token, one] of waiting) {
        if (!which(one.subject)) continue;
        waiting.delete(token);
        one.reject(error);
      }
    },
  };
}
