import { expect, test } from 'vitest';
import { openTallies } from '../../broker/room/tallies.ts';
import { emptyTally } from '../../core/data/room.ts';

const SCOPE = { vo: 'demo', owner: '' };

/** How often trees are counted when somebody looks every second for a minute, and a count takes so long. */
async function counts(tookMs: number, fresh: boolean): Promise<number> {
  let nowMs = 0;
  let counted = 0;
  const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
  const count = () => {
    counted += 1;
    nowMs += tookMs;
    return Promise.resolve(emptyTally());
  };
  const tallies = openTallies(clock, { count });
  for (let second = 0; second < 60; second += 1) {
    await tallies.of(SCOPE, fresh);
    nowMs += 1_000;
  }
  return counted;
}

test('a count is good for ten seconds, and before a refusal it is made anew', async () => {
  expect(await counts(1, false)).toBe(6);
  expect(await counts(1, true)).toBe(60);
});

test('one that takes a second is made less often, also for those who are refused again and again', async () => {
  expect(await counts(1_000, false)).toBe(2);
  expect(await counts(1_000, true)).toBe(12);
});
