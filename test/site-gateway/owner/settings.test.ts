import { expect, test } from 'vitest';
import { OWNER_CONFIG, ownerPolicyOf } from '../../../site-gateway/owner/settings.ts';

test('a PC of somebody has sensible values where its owner names none', () => {
  const owner = OWNER_CONFIG.parse({});
  expect(owner && ownerPolicyOf(owner)).toEqual({
    idleAfterMs: 900_000,
    resumeAfterMs: 300_000,
    whenBack: 'suspend',
    suspendForMs: 600_000,
    load: 0.25,
    hours: undefined,
    onBattery: false,
  });
});

test.for<[object, string, string]>([
  [{ 'idle-after': 'soon' }, 'idle-after', ''],
  [{ 'resume-after': '0s' }, 'resume-after', 'must be from 1s to 7d'],
  [
    { 'resume-after': '20m', 'suspend-for': '1h' },
    'resume-after',
    'must not be longer than idle-after',
  ],
  [{ 'suspend-for': '5m' }, 'suspend-for', 'must be longer than resume-after'],
  [{ 'when-back': 'kill' }, 'when-back', ''],
  [{ load: 25 }, 'load', ''],
  [{ hours: 'Mon-Fri 25:00-07:00' }, 'hours', 'must be like Mon-Fri 18:00-07:00'],
  [{ 'on-batery': true }, '', 'on-batery'],
])('%j is refused', ([settings, where, words]) => {
  const problems = OWNER_CONFIG.safeParse(settings).error?.issues ?? [];
  expect(problems.map(({ path }) => path.join('.'))).toEqual([where]);
  expect(problems[0]?.message).toContain(words);
});
