import { expect, test } from 'vitest';
import {
  framed,
  giveSlab,
  pastWord,
  pinSlab,
  takeSlab,
  unpinSlab,
} from '../../../../service/staging/wire/slabs.ts';

const [HEAD, TAIL] = [Buffer.from('PUB a 3\r\n'), Buffer.from('\r\n')];

test('a slab that was given back is used again, whatever its length was', () => {
  const first = takeSlab(10);
  giveSlab(first);
  const second = takeSlab(1_048_576);
  expect(second.buffer).toBe(first.buffer);
  expect(second.byteLength).toBe(1_048_576);
});

test('as many slabs are kept as a transfer has in work and in flight', () => {
  const slabs = Array.from({ length: 40 }, () => takeSlab(10));
  for (const slab of slabs) giveSlab(slab);
  const again = Array.from({ length: 40 }, () => takeSlab(10));
  expect(new Set(again.map(({ buffer }) => buffer))).toEqual(
    new Set(slabs.map(({ buffer }) => buffer)),
  );
  for (const slab of again) giveSlab(slab);
});

test('a slab that was given back twice is handed out once', () => {
  const slab = takeSlab(10);
  giveSlab(slab);
  giveSlab(slab);
  expect(takeSlab(10).buffer).not.toBe(takeSlab(10).buffer);
});

test('a slab that a socket still sends is not used again', () => {
  const slab = takeSlab(10);
  pinSlab(slab);
  giveSlab(slab);
  unpinSlab(slab);
  expect(takeSlab(10).buffer).not.toBe(slab.buffer);
});

test('a frame is made around the bytes without a copy', () => {
  const bytes = takeSlab(3);
  bytes.set(Buffer.from('xyz'));
  const frame = framed(HEAD, bytes, TAIL);
  expect(Buffer.from(frame).toString()).toBe('PUB a 3\r\nxyz\r\n');
  expect(frame.buffer).toBe(bytes.buffer);
});

test('a frame around bytes that a socket still sends, or that are in no slab, is a copy', () => {
  const bytes = takeSlab(3);
  pinSlab(bytes);
  expect(framed(HEAD, bytes, TAIL).buffer).not.toBe(bytes.buffer);
  unpinSlab(bytes);
  const frame = framed(HEAD, Buffer.from('xyz'), TAIL);
  expect(Buffer.from(frame).toString()).toBe('PUB a 3\r\nxyz\r\n');
});

test('what is larger than a chunk has a buffer of its own', () => {
  const large = takeSlab(2_000_000);
  giveSlab(large);
  expect(large.byteLength).toBe(2_000_000);
  expect(takeSlab(10).buffer).not.toBe(large.buffer);
});

test('a slab is taken so that what matters in it begins a word', () => {
  const slabs = Array.from({ length: 17 }, (_, aligned) => takeSlab(100, aligned));
  expect(slabs.map((slab, aligned) => pastWord(slab.subarray(aligned)))).toEqual(
    slabs.map(() => 0),
  );
  expect(slabs.every(({ byteLength }) => byteLength === 100)).toBe(true);
  for (const slab of slabs) giveSlab(slab);
});
