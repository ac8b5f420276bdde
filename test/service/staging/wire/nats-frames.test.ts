import { randomBytes } from 'node:crypto';
import { Kind, Parser, type ParserEvent } from '@nats-io/transport-node';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openFrameCutter } from '../../../../service/staging/wire/nats-frames.ts';

const HEADERS = Buffer.from('NATS/1.0\r\nNats-Subject: stage.x\r\n\r\n');

const message = (size: number): Buffer =>
  Buffer.concat([Buffer.from(`MSG inbox.1 7 ${size}\r\n`), randomBytes(size), Buffer.from('\r\n')]);

const withHeaders = (size: number): Buffer =>
  Buffer.concat([
    Buffer.from(`HMSG inbox.2 7 reply.3 ${HEADERS.length} ${HEADERS.length + size}\r\n`),
    HEADERS,
    randomBytes(size),
    Buffer.from('\r\n'),
  ]);

const LINES = [
  'INFO {"version":"2.9.10","max_payload":1}\r\n',
  'PING\r\n',
  '+OK\r\n',
  "-ERR 'x'\r\n",
];

const part = fc.oneof(
  fc.constantFrom(...LINES).map((line) => Buffer.from(line)),
  fc.integer({ min: 0, max: 60_000 }).map(message),
  fc.integer({ min: 0, max: 60_000 }).map(withHeaders),
);

/** `bytes` in pieces of these lengths, over and over. */
function* pieces(bytes: Buffer, lengths: readonly number[]): Generator<Buffer> {
  let at = 0;
  for (let index = 0; at < bytes.length; index += 1) {
    const length = lengths[index % lengths.length] ?? 1;
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

const cut = (bytes: Buffer, lengths: readonly number[]): readonly Uint8Array[] => {
  const cutter = openFrameCutter();
  return [...pieces(bytes, lengths)].flatMap((piece) => cutter.push(piece));
};

function parsed(frames: readonly Uint8Array[]): string[] {
  const seen: string[] = [];
  const parser = new Parser({
    push: ({ kind, data }: ParserEvent) => {
      seen.push(`${kind} ${Buffer.from(data ?? []).toString('base64')}`);
    },
  });
  for (const frame of frames) parser.parse(frame);
  return seen;
}

test('whatever comes in pieces goes on as the same bytes and the same messages', () => {
  fc.assert(
    fc.property(
      fc.array(part, { minLength: 1, maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1, maxLength: 5 }),
      (parts, lengths) => {
        const bytes = Buffer.concat(parts);
        const frames = cut(bytes, lengths);
        expect(Buffer.compare(Buffer.concat(frames), bytes)).toBe(0);
        expect(parsed(frames)).toEqual(parsed([bytes]));
      },
    ),
    { numRuns: 200 },
  );
});

test('a large message comes whole, whatever stands around it', () => {
  const large = withHeaders(1_048_576);
  const bytes = Buffer.concat([message(10), large, message(20), Buffer.from('PING\r\n')]);
  const frames = cut(bytes, [16_384, 1, 9_000]);
  expect(frames.some((frame) => Buffer.compare(frame, large) === 0)).toBe(true);
  expect(parsed(frames).map((text) => Number(text.split(' ')[0]))).toEqual([
    Kind.MSG,
    Kind.MSG,
    Kind.MSG,
    Kind.PING,
  ]);
});

test('a size that is no number is left to the parser to refuse', () => {
  const frames = cut(Buffer.from('MSG inbox.1 7 many\r\nPING\r\n'), [5]);
  expect(() => parsed(frames)).toThrow('Bad or Missing Size');
});
