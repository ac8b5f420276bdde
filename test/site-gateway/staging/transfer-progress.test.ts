import { expect, test } from 'vitest';
import { openProgressWords } from '../../../site-gateway/staging/transfer-progress.ts';

const MIB = 2 ** 20;

test('how far a transfer is is told every few seconds, with the rate since it was told last', () => {
  const progress = openProgressWords();
  expect(progress.words(0)).toBe('');
  progress.update({ doneBytes: 100 * MIB, totalBytes: 400 * MIB });
  expect(progress.words(1_000)).toBe('');
  progress.update({ doneBytes: 150 * MIB, totalBytes: 400 * MIB });
  expect(progress.words(2_000)).toBe('');
  expect(progress.words(6_000)).toBe('150 MiB of 400 MiB, 10 MiB/s');
  progress.update({ doneBytes: 300 * MIB, totalBytes: 400 * MIB });
  expect(progress.words(7_000)).toBe('150 MiB of 400 MiB, 10 MiB/s');
  expect(progress.words(11_000)).toBe('300 MiB of 400 MiB, 30 MiB/s');
  expect(progress.words(16_000)).toBe('300 MiB of 400 MiB, 0 B/s');
});
