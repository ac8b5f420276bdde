import { randomUUID } from 'node:crypto';
import {
  errors,
  type Msg,
  type MsgHdrs,
  type MsgHdrsImpl,
  type NatsConnection,
  type NatsConnectionImpl,
} from '@nats-io/transport-node';
import type { BulkTransport } from './nats-transport.ts';
import { type OpenQuestions, openQuestions } from './open-questions.ts';
import { framed } from './slabs.ts';

interface Question {
  readonly subject: string;
  readonly bytes: Uint8Array;
  readonly headers?: MsgHdrs;
}

/** Questions with one answer each, as `request` of nats.js, for many at a time and for large ones without a copy. */
export interface Requests {
  /** Rejects as `request` of nats.js does: no answer to come, nobody there, not permitted, connection closed. */
  ask(question: Question): Promise<Msg>;
}

/** From here on a question goes out as it is, and does not pass through the buffer of nats.js. */
const BULK_BYTES = 32_768;
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
  const inbox = `${nc.options.inboxPrefix}.${randomUUID()}`;
  const transport = nc.protocol.transport as BulkTransport;
  const waiting = openQuestions({
    heardAtMs: () => transport.heardAtMs,
    ping: () => nc.flush(),
    nowMs: () => performance.now(),
  });
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
    ask: async (question) => {
      const { subject, bytes, headers } = question;
      const { token, answer, sent } = waiting.add(subject);
      const reply = `${inbox}.${token}`;
      if (bytes.byteLength < BULK_BYTES) {
        nc.publish(subject, bytes, headers === undefined ? { reply } : { reply, headers });
        sent();
      } else {
        if (!isReady) await Promise.race([ready, answer]);
        const head = headOf(question, reply);
        transport.sendBulk(framed(head, bytes, END), sent);
      }
      return answer;
    },
  };
}

/** What announces the bytes on the wire. */
function headOf({ subject, bytes, headers }: Question, reply: string): Uint8Array {
  if (headers === undefined) return Buffer.from(`PUB ${subject} ${reply} ${bytes.byteLength}\r\n`);
  const more = (headers as MsgHdrsImpl).encode();
  const total = more.byteLength + bytes.byteLength;
  const line = Buffer.from(`HPUB ${subject} ${reply} ${more.byteLength} ${total}\r\n`);
  return Buffer.concat([line, more]);
}

/** Fails what waits when it cannot be answered any more. */
function watch(nc: NatsConnectionImpl, waiting: OpenQuestions): void {
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
