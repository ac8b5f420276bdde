import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { GridError } from '../../core/errors.ts';
import { isChunkName } from './chunk-cipher.ts';
import { nameAt, STREAM } from './names.ts';

const BATCH = 500;
const TIMEOUT_MS = 20_000;
/** A consumer of a broker that has ended goes by itself. */
const IDLE_NS = 30_000_000_000;

/** What a keeper publishes to for `removeStrays`. */
export const straySubjects = (): readonly string[] => [
  `$JS.API.CONSUMER.CREATE.${STREAM}`,
  `$JS.API.CONSUMER.DELETE.${STREAM}.*`,
  `$JS.API.CONSUMER.MSG.NEXT.${STREAM}.*`,
  `$JS.API.STREAM.MSG.DELETE.${STREAM}`,
];

/**
 * Takes out what a member has stored under names that no chunk has, and says how much that was. By their numbers: a name may be
 * `*`, or bytes that no request can say. Only headers are read, yet those of all that is stored.
 */
export async function removeStrays(nc: NatsConnection, vo: string): Promise<number> {
  const config = {
    deliver_policy: 'all',
    ack_policy: 'none',
    headers_only: true,
    inactive_threshold: IDLE_NS,
  };
  const made = await ask(nc, `CONSUMER.CREATE.${STREAM}`, { stream_name: STREAM, config });
  if (made.name === undefined) {
    const why = made.error?.description ?? 'no reason';
    throw new GridError('STAGING_UNAVAILABLE', `the store refuses a consumer: ${why}`);
  }
  const { name } = made;
  let removed = 0;
  try {
    for (;;) {
      const some = await next(nc, name);
      for (const { subject, reply = '' } of some) {
        if (isChunkName(nameAt(vo, subject))) continue;
        const stray = { seq: sequenceIn(reply), no_erase: true };
        const { error } = await ask(nc, `STREAM.MSG.DELETE.${STREAM}`, stray);
        if (error === undefined) removed += 1;
      }
      if (some.length < BATCH) return removed;
    }
  } finally {
    await ask(nc, `CONSUMER.DELETE.${STREAM}.${name}`, {}).catch(() => undefined);
  }
}

/** The next messages that the consumer has not given yet. */
async function next(nc: NatsConnection, consumer: string): Promise<readonly Msg[]> {
  const subject = `$JS.API.CONSUMER.MSG.NEXT.${STREAM}.${consumer}`;
  const wish = JSON.stringify({ batch: BATCH, no_wait: true });
  const how = { strategy: 'count', maxMessages: BATCH, maxWait: TIMEOUT_MS, noMux: true } as const;
  const some: Msg[] = [];
  // They come under their own subjects, which tell an inbox for all answers nothing.
  for await (const message of await nc.requestMany(subject, wish, how)) {
    // A status: there are no more.
    if (message.reply === undefined || message.reply === '') break;
    some.push(message);
  }
  return some;
}

/** `$JS.ACK.stream.consumer.delivered.SEQUENCE.sequence.time.pending`, or longer with domain and account before the stream. */
function sequenceIn(reply: string): number {
  const parts = reply.split('.');
  return Number(parts[parts.length > 9 ? 7 : 5]);
}

interface Answer {
  readonly error?: { readonly description?: string };
  readonly name?: string;
}

async function ask(nc: NatsConnection, verb: string, request: object): Promise<Answer> {
  const message = await nc.request(`$JS.API.${verb}`, JSON.stringify(request), {
    timeout: TIMEOUT_MS,
  });
  return message.json<Answer>();
}
