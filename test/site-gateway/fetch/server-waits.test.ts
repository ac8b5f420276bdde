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
  return { waits: openServerWaits(clock, 600_000), after };
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
    wait.came(true);
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
  wait.came(false);
  expect(waits.isSilent('one')).toBe(false);
  wait.on('data.example.org', 0);
  after(2_000);
  expect(waits.isSilent('one')).toBe(false);
  expect(wait.lastedMs()).toBe(6_000);
  expect(waits.words('one')).toContain('waits for data.example.org since 2026-11-29T00:00:00.000Z');
});
