import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { CHUNK_BYTES } from '../../../core/data/manifest.ts';
import {
  CIPHER_BYTES,
  chunkName,
  decipher,
  encipher,
  isChunkName,
} from '../../../service/staging/chunk-cipher.ts';
import { sha256 } from '../../../service/staging/chunk-store.ts';

const DIGEST = sha256(Buffer.from('a chunk'));

test.for([0, 1, 100, 131_071, 131_072, 131_073, CHUNK_BYTES])(
  '%i bytes come back from what stands for them',
  (size) => {
    const bytes = randomBytes(size);
    const before = Buffer.from(bytes);
    const whole = encipher(DIGEST, bytes);
    expect(bytes.equals(before)).toBe(true);
    expect(whole.byteLength).toBe(size + CIPHER_BYTES);
    expect(Buffer.compare(decipher(DIGEST, whole), bytes)).toBe(0);
  },
);

test('what comes at any place of a buffer is read, and nothing beside it is written', () => {
  const bytes = randomBytes(300);
  const whole = encipher(DIGEST, bytes);
  for (let at = 0; at < 9; at += 1) {
    const buffer = Buffer.alloc(400, 7);
    buffer.set(whole, at);
    const turned = decipher(DIGEST, buffer.subarray(at, at + whole.byteLength));
    expect(Buffer.compare(turned, bytes)).toBe(0);
    const beside = [buffer.subarray(0, at), buffer.subarray(at + whole.byteLength)];
    expect(beside.every((part) => part.every((byte) => byte === 7))).toBe(true);
  }
});

test('nothing of a chunk is seen in it, and it is another one each time', () => {
  const bytes = Buffer.alloc(100_000, 'the same words again and again ');
  const [one, other] = [encipher(DIGEST, bytes), encipher(DIGEST, bytes)];
  expect(Buffer.from(one).includes('the same words')).toBe(false);
  const isSame = (at: number): boolean =>
    Buffer.compare(one.subarray(at, at + 16), other.subarray(at, at + 16)) === 0;
  expect([0, 16, 50_000, one.byteLength - 16].filter(isSame)).toEqual([]);
});

test('what is in a store already keeps its name and its key', () => {
  expect(chunkName(DIGEST)).toBe(
    'a19721de729070af7848099ac254d3db3606a0de2536636d99beb60b5efcc201',
  );
  // Made by another program: AES-256-GCM of Python's `cryptography`.
  const whole = '000102030405060708090a0b3eaf9739b6e9b122914265c5674aa7e03f041198ff63ff';
  expect(Buffer.from(decipher(DIGEST, Buffer.from(whole, 'hex'))).toString()).toBe('a chunk');
});

test('a name is that of a chunk, and not its digest', () => {
  const name = chunkName(DIGEST);
  expect(isChunkName(name)).toBe(true);
  expect(name).not.toBe(DIGEST);
  expect(['*', '>', 'a', `${name}0`, name.toUpperCase()].filter(isChunkName)).toEqual([]);
});

describe('CHUNK_CORRUPT is what', () => {
  const spoiled = (change: (whole: Uint8Array) => Uint8Array): (() => Uint8Array) => {
    const whole = change(encipher(DIGEST, randomBytes(200)));
    return () => decipher(DIGEST, whole);
  };
  const flipped = (at: number) => (whole: Uint8Array) => {
    const place = at < 0 ? whole.byteLength + at : at;
    whole[place] = (whole[place] ?? 0) ^ 1;
    return whole;
  };

  test.for([0, 11, 12, 100, -17, -16, -1])('has another bit at %i', (at) => {
    expect(spoiled(flipped(at))).toThrow(
      expect.objectContaining({ code: 'CHUNK_CORRUPT', message: expect.stringContaining(DIGEST) }),
    );
  });

  test.for([0, 1, 27, 28, 227])('ends after %i bytes', (length) => {
    expect(spoiled((whole) => whole.subarray(0, length))).toThrow(/was not made from it/);
  });

  test('was made with another digest', () => {
    const whole = encipher(sha256(Buffer.from('another')), randomBytes(200));
    expect(() => decipher(DIGEST, whole)).toThrow(/was not made from it/);
  });
});
