import { headers, type Msg, type NatsConnection } from '@nats-io/transport-node';
import { CHUNK_BYTES } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';
import { mapAtOnce } from './at-once.ts';
import { openByteBudget } from './byte-budget.ts';
import { decipher, encipher } from './chunk-cipher.ts';
import { type CodedChunk, decodeChunk, openChunkCoder } from './chunk-coding.ts';
import { type ChunkStore, verified } from './chunk-store.ts';
import { openFlightWindow } from './flight-window.ts';
import { chunkSubject, directGetSubject, secondSubject } from './names.ts';
import type { NatsLink } from './nats-link.ts';
import { requestsOn } from './wire/nats-requests.ts';
import { isStored } from './wire/open-questions.ts';
import { giveSlab } from './wire/slabs.ts';

const IN_FLIGHT = {
  leastBytes: 2 * CHUNK_BYTES,
  mostBytes: 16 * CHUNK_BYTES,
  nowMs: () => performance.now(),
};
const PROBES_IN_FLIGHT = 256;
const NOTHING = new Uint8Array(0);

/** What JetStream answers to a publish. */
interface PubAck {
  readonly seq?: number;
  readonly error?: { readonly err_code?: number; readonly description?: string };
}

/**
 * Chunks of one VO in its JetStream stream, one message per subject. Only who `looksTwice` is told of chunks in their second
 * places that they are there (`secondSubject`); to others they are missing, and are sent again for nothing.
 */
export function natsChunkStore(link: NatsLink, vo: string, looksTwice = false): ChunkStore {
  const coder = openChunkCoder();
  const sending = openFlightWindow(IN_FLIGHT);
  const receiving = openFlightWindow(IN_FLIGHT);
  const probing = openByteBudget(() => PROBES_IN_FLIGHT);
  const receive = (digest: string, signal?: AbortSignal): Promise<Uint8Array> =>
    receiving.send(CHUNK_BYTES, (again) =>
      link.use((nc) => read(nc, chunkSubject(vo, digest), digest), signal, again),
    );
  return {
    prepare: () => link.prepare(requestsOn),
    missing: async (digests, signal) => {
      const absent = new Set<string>();
      const ask = async (digest: string): Promise<void> => {
        const subject = chunkSubject(vo, digest);
        await probing.take(1);
        try {
          const places = looksTwice ? [subject, secondSubject(subject)] : [subject];
          for (const place of places)
            if (await link.use((nc) => isThere(nc, place), signal)) return;
          absent.add(digest);
        } finally {
          probing.give(1);
        }
      };
      await mapAtOnce(PROBES_IN_FLIGHT, [...new Set(digests)], ask);
      return absent;
    },
    put: async (digest, bytes, signal) => {
      const coded = await coder.encode(bytes);
      const subject = chunkSubject(vo, digest);
      return sending.send(coded.bytes.byteLength, async (again) => {
        const whole = encipher(digest, coded.bytes);
        const isNew = await link
          .use((nc) => store(nc, subject, { ...coded, bytes: whole }), signal, again)
          .catch((error: unknown) => whyNotStored(link, subject, error, signal));
        giveSlab(whole);
        return isNew ? coded.bytes.byteLength : 0;
      });
    },
    receive,
    get: async (digest, signal) => verified(digest, await receive(digest, signal)),
  };
}

/** Quotas are told by the broker, before anything is sent. */
const SERVER_LIMIT =
  'nats-server keeps no more for it than `staging.quota` and `staging.chunk-quota` of the broker; what was removed makes room when it is swept';

/** What says how a chunk is coded; without it the chunk is as it is. */
const CODING = 'Content-Encoding';
const packed = headers();
packed.set(CODING, 'zstd');

/** False where the chunk was there. */
async function store(nc: NatsConnection, subject: string, coded: CodedChunk): Promise<boolean> {
  // What is refused and is not there has been swept in between, or cannot be read: only then it needs its second place.
  for (const place of [subject, subject, secondSubject(subject)]) {
    if (await publish(nc, place, coded)) return true;
    if (await isThere(nc, place)) return false;
  }
  throw new GridError('STAGING_UNAVAILABLE', `nats-server can neither read nor replace ${subject}`);
}

/** False where the stream takes no other one in its place. */
async function publish(
  nc: NatsConnection,
  subject: string,
  { bytes, coding }: CodedChunk,
): Promise<boolean> {
  const question = coding === 'zstd' ? { subject, bytes, headers: packed } : { subject, bytes };
  const ack = ackOf(await requestsOn(nc).ask(question));
  if (ack.error === undefined) return true;
  const reason = ack.error.description ?? 'no reason';
  // The stream keeps one message per subject and discards new ones.
  if (/maximum messages per subject/.test(reason)) return false;
  if (/maximum (?:bytes|messages exceeded)|resource limits|storage limit/i.test(reason))
    throw new GridError('STORE_QUOTA', `the store of the VO is full: ${SERVER_LIMIT} (${reason})`);
  if (/insufficient (?:storage )?resources|no space/i.test(reason)) {
    throw new GridError('STORE_FULL', `nats-server has no room for more chunks: ${reason}`);
  }
  throw new GridError('STAGING_UNAVAILABLE', `the store refuses a chunk: ${reason}`);
}

/** A stream that answers again does so within this time. */
const LOOK_MS = 5_000;

/**
 * A stream that could not write once takes nothing more, and says nothing either, yet goes on to answer what it has. Throws
 * `error`, or what it means; false where the chunk is there after all.
 */
async function whyNotStored(
  link: NatsLink,
  subject: string,
  error: unknown,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const isUnanswered = error instanceof GridError && isTimeout(error.cause);
  if (!isUnanswered || signal?.aborted === true) throw error;
  const there = await link
    .use((nc) => isThere(nc, subject), AbortSignal.timeout(LOOK_MS))
    .catch(() => undefined);
  if (there === true) return false;
  if (there === undefined) throw error;
  throw new GridError(
    'STORE_FULL',
    'nats-server answers, but stores nothing more: its disk is full, or was and it has not been started again since',
    { cause: error },
  );
}

const isTimeout = (error: unknown): boolean =>
  error instanceof Error && error.name === 'TimeoutError';

/** No stream ever gets this far, so a publish that expects it is always refused, and the refusal tells the truth. */
const NEVER = String(Number.MAX_SAFE_INTEGER);
const impossible = headers();
impossible.set('Nats-Expected-Last-Subject-Sequence', NEVER);

/**
 * Asks without moving the chunk, and without the right to list the stream (that would show every member what all others
 * have stored): the server answers an impossible expectation with the sequence number that the subject really has.
 */
async function isThere(nc: NatsConnection, subject: string): Promise<boolean> {
  const question = { subject, bytes: NOTHING, headers: impossible };
  const ack = ackOf(await requestsOn(nc).ask(question));
  const last = /^wrong last sequence: (\d+)$/.exec(ack.error?.description ?? '')?.[1];
  return last !== undefined && last !== '0';
}

/** A question that the store of a VO answers whatever it has. */
export const probeOf =
  (vo: string) =>
  (nc: NatsConnection): Promise<unknown> =>
    isThere(nc, chunkSubject(vo, '0'.repeat(64)));

/** Any server of a cluster answers, and one that was away may not have caught up; the one that leads knows. */
async function read(nc: NatsConnection, subject: string, digest: string): Promise<Uint8Array> {
  for (const place of [subject, secondSubject(subject)]) {
    const found = await directGet(nc, place);
    if (found !== undefined) return unpacked(digest, found);
    if (await isThere(nc, place))
      throw new GridError('STAGING_UNAVAILABLE', 'a server of the store lacks a chunk yet');
  }
  throw new GridError('CHUNK_MISSING', `the store has no chunk ${digest}`);
}

async function unpacked(digest: string, answer: Msg): Promise<Uint8Array> {
  const coding = answer.headers?.get(CODING) ?? '';
  const bytes = decipher(digest, answer.data);
  if (coding === '') return bytes;
  const more = await decodeChunk(digest, { bytes, coding });
  giveSlab(bytes);
  return more;
}

/** Undefined where the server that answers has no such chunk. */
async function directGet(nc: NatsConnection, subject: string): Promise<Msg | undefined> {
  const at = nc.info?.jetstream === true ? 'server' : 'leaf';
  const question = { subject: directGetSubject(subject, at), bytes: NOTHING };
  const answer = await requestsOn(nc).ask(question);
  // nats-server 2.9 gives a message with the status that whoever stored it made up.
  if (isStored(answer)) return answer;
  const code = answer.headers?.code ?? 0;
  if (code === 404) return undefined;
  if (code >= 300) {
    const reason = answer.headers?.description ?? '';
    throw new GridError('STAGING_UNAVAILABLE', `the store answers ${code} ${reason}`);
  }
  return answer;
}

function ackOf(answer: Msg): PubAck {
  try {
    return answer.json<PubAck>();
  } catch (error) {
    throw new GridError('STAGING_UNAVAILABLE', 'the store gave an answer that is no JSON', {
      cause: error,
    });
  }
}
