import { expect, test } from 'vitest';
import { systemClock } from '../../../service/clock.ts';
import { openServerWaits } from '../../../site-gateway/fetch/server-waits.ts';

function open() {
  let ms = 0;
  const startMs = Date.UTC(2026, 10, 29);
  const clock = { ...systemClock, nowMs: () => startMs + ms, monotonicMs: () => ms };
  const after = (moreMs: number): void => {
    ms += moreMs;
  };
  return { waits: openServerWaits(clock, { patienceMs: 600_000, leastRate: 1_024 }), after };
}

test('every attempt that needs a download is told whom it waits for, since when and why', () => {
  const { waits, after } = open();
  using wait = waits.begin('a.part');
  using _one = waits.needs('one', 'a.part');
  using _two = waits.needs('two', 'a.part');
  using _other = waits.needs('other', 'b.part');
  wait.on('data.example.org', 0);
  after(2_000);
  expect(waits.words('one')).toBe('');
  after(2_000);
  const since = 'waits for data.example.org since 2026-11-29T00:00:00.000Z';
  expect(waits.words('one')).toBe(`${since}: no byte has come; gives up after 10m 00s`);
  wait.on('data.example.org', 0);
  wait.met('answers 503');
  expect(waits.words('two')).toBe(`${since}: answers 503; gives up after 10m 00s`);
  expect(wait.lastedMs()).toBe(4_000);
  expect(waits.words('other')).toBe('');
});

test('what comes ends the wait, and the next one begins later and for its own reason', () => {
  const { waits, after } = open();
  using _one = waits.needs('one', 'a.part');
  {
    using wait = waits.begin('a.part');
    wait.on('data.example.org', 0);
    wait.met('answers 503');
    after(4_000);
    wait.came(10_000, true);
    expect([waits.words('one'), wait.lastedMs()]).toEqual(['', 0]);
    wait.on('data.example.org', 4_096);
    after(4_000);
    expect(waits.words('one')).toContain(
      'since 2026-11-29T00:00:04.000Z: nothing has come beyond the first 4 KiB; gives up',
    );
  }
  expect(waits.words('one')).toBe('');
});

test('bytes that are not new end the silence, and not the wait', () => {
  const { waits, after } = open();
  using wait = waits.begin('a.part');
  using _one = waits.needs('one', 'a.part');
  wait.on('data.example.org', 0);
  after(2_000);
  expect(waits.isSilent('one')).toBe(false);
  after(2_000);
  expect(waits.isSilent('one')).toBe(true);
  wait.came(10_000, false);
  expect(waits.isSilent('one')).toBe(false);
  wait.on('data.example.org', 0);
  after(2_000);
  expect(waits.isSilent('one')).toBe(false);
  expect(wait.lastedMs()).toBe(6_000);
  expect(waits.words('one')).toContain('waits for data.example.org since 2026-11-29T00:00:00.000Z');
});

/** A server that sends so many bytes each second, for so long; what comes of it. */
function sending(bytes: number, seconds: number, ownMs = 0): string {
  const { waits, after } = open();
  using wait = waits.begin('a.part');
  for (let second = 0; second < seconds; second += 1) {
    wait.on('data.example.org', second * bytes);
    after(1_000);
    wait.came(bytes, true);
    after(ownMs);
  }
  return wait.tooSlow();
}

test('a server that sends less than the least rate is given up after the patience', () => {
  expect(sending(1, 599)).toBe('');
  expect(sending(1, 600)).toBe('has sent 600 B in 10m 00s, and the site wants 1 KiB in a second');
  expect(sending(1_024, 10_000)).toBe('');
});

test("the time that is not the server's does not make it slow", () => {
  expect(sending(1_024, 100, 60_000)).toBe('');
  expect(sending(1, 599, 60_000)).toBe('');
});

test('what came fast does not count for what comes slowly later, nor slow for fast', () => {
  const { waits, after } = open();
  using wait = waits.begin('a.part');
  const second = (bytes: number): void => {
    wait.on('data.example.org', 0);
    after(1_000);
    wait.came(bytes, true);
  };
  second(2 ** 30);
  for (let n = 0; n < 599; n += 1) second(1);
  expect(wait.tooSlow()).toBe('');
  second(2 ** 20);
  for (let n = 0; n < 599; n += 1) second(1);
  expect(wait.tooSlow()).toBe('');
  second(1);
  expect(wait.tooSlow()).toContain('has sent 600 B');
});
