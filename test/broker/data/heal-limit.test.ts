import { expect, test } from 'vitest';
import { type HealLimit, openHealLimit } from '../../../broker/data/heal-limit.ts';

const ADA = { vo: 'demo', dn: '/CN=Ada' };
const HOUR_MS = 3_600_000;

const open = (): { readonly limit: HealLimit; readonly after: (ms: number) => void } => {
  let atMs = 0;
  const limit = openHealLimit({ nowMs: () => atMs, monotonicMs: () => atMs });
  return {
    limit,
    after: (ms) => {
      atMs += ms;
    },
  };
};

test('who has had too many sound chunks read is told how many, and when more may be', () => {
  const { limit, after } = open();
  limit.take(ADA, 9_500);
  expect(() => limit.take(ADA, 1_000)).toThrow(
    '/CN=Ada has had 9500 chunks of VO demo looked at that were sound, at most 10000 in an hour: 1000 more may be looked at from 1970-01-01T00:03:00Z on',
  );
  after(179_000);
  expect(() => limit.take(ADA, 1_000)).toThrow('00:03:00Z on');
  after(1_000);
  limit.take(ADA, 1_000);
  after(HOUR_MS);
  limit.take(ADA, 10_000);
});

test('each member of each VO has its own', () => {
  const { limit } = open();
  limit.take(ADA, 10_000);
  limit.take({ vo: 'demo', dn: '/CN=Bob' }, 10_000);
  limit.take({ vo: 'bio', dn: '/CN=Ada' }, 10_000);
  expect(() => limit.take(ADA, 1)).toThrow('/CN=Ada has had 10000 chunks of VO demo');
});

test('what was worth the look is not counted', () => {
  const { limit } = open();
  for (let chunks = 0; chunks < 100_000; chunks += 10_000) limit.take(ADA, 10_000)(10_000);
  limit.take(ADA, 10_000)(1);
  limit.take(ADA, 1);
  expect(() => limit.take(ADA, 1)).toThrow('/CN=Ada has had 10000 chunks of VO demo');
});
