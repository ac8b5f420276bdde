import { expect, test } from 'vitest';
import { systemClock } from '../../../service/clock.ts';
import { openLog } from '../../../service/log.ts';
import { openStoreHealth } from '../../../site-gateway/staging/store-health.ts';

function open() {
  let ms = 0;
  const startMs = Date.UTC(2026, 10, 29);
  const clock = { ...systemClock, nowMs: () => startMs + ms, monotonicMs: () => ms };
  const health = openStoreHealth(clock, openLog('test', 'fatal'));
  return {
    health,
    after: (moreMs: number): void => {
      ms += moreMs;
    },
  };
}

test('trouble with the store is told with its begin and its last words, once it lasts', () => {
  const { health, after } = open();
  health.heard('demo', 'timeout');
  expect(health.trouble()).toBe('');
  after(4_000);
  health.heard('demo', 'connect ECONNREFUSED');
  expect(health.trouble()).toBe('demo since 2026-11-29T00:00:00.000Z: connect ECONNREFUSED');
});

test('an answer ends it, for the VO that got it', () => {
  const { health, after } = open();
  health.heard('demo', 'timeout');
  health.heard('bio', 'revoked');
  after(4_000);
  health.heard('demo', '');
  expect(health.trouble()).toBe('bio since 2026-11-29T00:00:00.000Z: revoked');
  expect(health.waits('bio')).toBe('waits for the store since 2026-11-29T00:00:00.000Z: revoked');
  expect(health.waits('demo')).toBe('');
  health.heard('bio', '');
  expect(health.trouble()).toBe('');
});
