import { expect, test } from 'vitest';
import { type Again, openFlightWindow } from '../../../service/staging/flight-window.ts';

const MIB = 2 ** 20;

/** A line that carries one chunk after the other, on a clock of its own. */
async function mostOnTheWay(bytesPerMs: number, chunks: number): Promise<number> {
  let nowMs = 0;
  const window = openFlightWindow({
    leastBytes: 2 * MIB,
    mostBytes: 16 * MIB,
    nowMs: () => nowMs,
  });
  const line: (() => void)[] = [];
  let most = 0;
  const sending = Array.from({ length: chunks }, () =>
    window.send(MIB, () => new Promise<void>((resolve) => line.push(resolve))),
  );
  const all = Promise.all(sending);
  for (let carried = 0; carried < chunks; carried += 1) {
    await new Promise(setImmediate);
    most = Math.max(most, line.length);
    nowMs += MIB / bytesPerMs;
    line.shift()?.();
  }
  await all;
  return most;
}

test('two chunks are on their way on a thin line, at any time', async () => {
  expect(await mostOnTheWay(400, 40)).toBe(2);
});

test('as much as a second carries is on its way', async () => {
  expect(await mostOnTheWay(8 * (MIB / 1_000), 80)).toBe(8);
});

test('never more than the most', async () => {
  expect(await mostOnTheWay(1_000_000, 80)).toBe(16);
});

test('what fails gives its place to the next, and its error to the caller', async () => {
  const window = openFlightWindow({ leastBytes: MIB, mostBytes: MIB, nowMs: () => 0 });
  const failing = window.send(MIB, () => Promise.reject(new Error('cut')));
  const next = window.send(MIB, () => Promise.resolve('done'));
  await expect(failing).rejects.toThrow('cut');
  expect(await next).toBe('done');
});

test('what is lost together halves what may be on its way once, and what arrives widens it slowly', async () => {
  const window = openFlightWindow({ leastBytes: MIB, mostBytes: 16 * MIB, nowMs: () => 0 });
  const line: { readonly arrive: () => void; readonly lose: () => void }[] = [];
  const work = async (again: Again): Promise<void> => {
    for (;;) {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      line.push({ arrive: () => resolve(true), lose: () => resolve(false) });
      if (await promise) return;
      await again();
    }
  };
  const arrive = async (chunks: number): Promise<void> => {
    for (let count = 0; count < chunks; count += 1) {
      line.shift()?.arrive();
      await new Promise(setImmediate);
    }
  };
  const sending = Promise.all(Array.from({ length: 2_000 }, () => window.send(MIB, work)));
  await arrive(40);
  expect(line).toHaveLength(16);
  for (const { lose } of line.splice(0)) lose();
  await new Promise(setImmediate);
  expect(line).toHaveLength(8);
  await arrive(64);
  expect(line).toHaveLength(9);
  for (let losses = 0; losses < 6; losses += 1) {
    for (const { lose } of line.splice(0)) lose();
    await new Promise(setImmediate);
  }
  expect(line).toHaveLength(1);
  await arrive(1_500);
  expect(line).toHaveLength(16);
  await arrive(2_000);
  await sending;
});
