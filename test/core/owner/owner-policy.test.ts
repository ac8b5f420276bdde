import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseHours } from '../../../core/owner/hours.ts';
import {
  decide,
  firstState,
  type OwnerPolicy,
  type OwnerSigns,
  type OwnerState,
  WHEN_BACK,
} from '../../../core/owner/owner-policy.ts';

const MINUTE = 60_000;
/** A Sunday, 10:00 UTC. */
const START = Date.UTC(2026, 10, 29, 10);
const POLICY: OwnerPolicy = {
  idleAfterMs: 15 * MINUTE,
  resumeAfterMs: 5 * MINUTE,
  whenBack: 'suspend',
  suspendForMs: 10 * MINUTE,
  load: 0.25,
  hours: undefined,
  onBattery: false,
};

interface Look extends Partial<OwnerSigns> {
  readonly minute: number;
}

/** Looks one after another; `usedAtMs` in minutes of the test. */
function live(policy: Partial<OwnerPolicy>, looks: readonly Look[]): readonly OwnerState[] {
  const states: OwnerState[] = [];
  let state = firstState(START);
  for (const { minute, usedAtMs, watchedSinceMs, ...rest } of looks) {
    const own = { usedAtMs, watchedSinceMs, zoneMs: 0, load: 0, onBattery: false, ...rest };
    state = decide({ ...POLICY, ...policy }, state, { ...own, nowMs: START + minute * MINUTE });
    states.push(state);
  }
  return states;
}

const used = (minute: number): number => START + minute * MINUTE;
const phases = (states: readonly OwnerState[]): readonly string[] =>
  states.map(({ phase }) => phase);

test('a machine that nobody uses is open', () => {
  const [state] = live({}, [{ minute: 0 }]);
  expect(state).toMatchObject({ phase: 'open', why: '' });
});

test('its owner comes back: tasks are suspended, then end, and new ones begin when it has been quiet', () => {
  const looks = [0, 2, 9, 10].map((minute) => ({ minute, usedAtMs: used(minute) }));
  const later = [12, 15, 24, 25].map((minute) => ({ minute, usedAtMs: used(10) }));
  const states = live({}, [...looks, ...later]);
  expect(phases(states)).toEqual([
    ...['suspended', 'suspended', 'suspended', 'ended'],
    ...['ended', 'closed', 'closed', 'open'],
  ]);
  expect(states[1]?.why).toBe('its owner is at the machine since 10:00 (UTC)');
  expect(states[5]?.why).toBe(
    'nobody was seen to use it since 10:10 (UTC), and its owner lends it after 15m 00s of that',
  );
});

test('suspended tasks go on after a while without anybody, before new ones begin', () => {
  const states = live(
    {},
    [1, 5, 6, 15, 16].map((minute) => ({ minute, usedAtMs: used(1) })),
  );
  expect(phases(states)).toEqual(['suspended', 'suspended', 'closed', 'closed', 'open']);
});

test('each time that the owner comes back the time of suspension begins anew', () => {
  const states = live({}, [
    { minute: 1, usedAtMs: used(1) },
    { minute: 6, usedAtMs: used(1) },
    { minute: 12, usedAtMs: used(12) },
    { minute: 21, usedAtMs: used(21) },
    { minute: 22, usedAtMs: used(22) },
  ]);
  expect(phases(states)).toEqual(['suspended', 'closed', 'suspended', 'suspended', 'ended']);
});

test('`stop` ends tasks at once, `keep` lets them go on', () => {
  const looks = [{ minute: 0, usedAtMs: used(0) }];
  expect(phases(live({ whenBack: 'stop' }, looks))).toEqual(['ended']);
  expect(phases(live({ whenBack: 'keep' }, looks))).toEqual(['closed']);
});

test('load counts once it has lasted, and is quiet like a keyboard afterwards', () => {
  const looks = [0, 0.1, 0.5, 1].map((minute) => ({ minute, load: 0.6 }));
  const states = live({}, [...looks, { minute: 3 }, { minute: 7 }, { minute: 17 }]);
  expect(phases(states)).toEqual([
    ...['open', 'open', 'open'],
    ...['suspended', 'suspended', 'closed', 'open'],
  ]);
  expect(states[3]?.why).toBe('programs of its owner keep it busy since 10:01 (UTC)');
});

test('on battery nothing runs, not even with `keep`, unless it may', () => {
  const looks = [{ minute: 0, onBattery: true }, { minute: 11, onBattery: true }, { minute: 12 }];
  const states = live({ whenBack: 'keep' }, looks);
  expect(phases(states)).toEqual(['suspended', 'ended', 'open']);
  expect(states[0]?.why).toBe('it runs on battery since 10:00 (UTC)');
  expect(phases(live({ onBattery: true }, looks))).toEqual(['open', 'open', 'open']);
});

test('outside the hours it is the owner’s, by the clock of the machine', () => {
  const text = 'Mon-Fri 18:00-07:00';
  const hours = { text, spans: parseHours(text) ?? [] };
  const zoneMs = 90 * MINUTE;
  const looks = [
    { minute: 0, zoneMs },
    { minute: 24 * 60 + 8 * 60, zoneMs },
  ];
  const states = live({ hours }, looks);
  expect(phases(states)).toEqual(['suspended', 'open']);
  expect(states[0]?.why).toBe(
    'its owner lends it Mon-Fri 18:00-07:00 only, and has it since 11:30 (UTC+1:30)',
  );
});

test('where something tells only of what is watched, it is not lent before it was watched long enough', () => {
  const watchedSinceMs = START;
  const states = live(
    {},
    [0, 14, 15].map((minute) => ({ minute, watchedSinceMs })),
  );
  expect(phases(states)).toEqual(['closed', 'closed', 'open']);
});

test('a clock that is set back makes nothing last until that time comes again', () => {
  const loaded = [0, 600, 601].map((minute) => ({ minute, load: 1 }));
  const later = [10, 14, 15, 24, 25].map((minute) => ({ minute }));
  const phase = phases(live({}, [...loaded, ...later]));
  expect(phase.slice(loaded.length)).toEqual([
    ...['suspended', 'suspended', 'closed', 'closed', 'open'],
  ]);
  const typing = [600, 10, 12, 16, 20].map((minute) => ({ minute, usedAtMs: used(minute) }));
  expect(phases(live({}, typing)).at(-1)).toBe('ended');
});

const policies = fc.record({
  idleAfterMs: fc.integer({ min: 5 * MINUTE, max: 30 * MINUTE }),
  resumeAfterMs: fc.integer({ min: 1_000, max: 5 * MINUTE }),
  whenBack: fc.constantFrom(...WHEN_BACK),
  suspendForMs: fc.integer({ min: 0, max: 20 * MINUTE }),
  load: fc.double({ min: 0.05, max: 1, noNaN: true }),
  hours: fc.constantFrom(undefined, { text: 'Sun', spans: parseHours('Sun') ?? [] }),
  onBattery: fc.boolean(),
});
const looks = fc.array(
  fc.record({
    afterMs: fc.integer({ min: 500, max: 4 * MINUTE }),
    isUsed: fc.boolean(),
    load: fc.double({ min: 0, max: 1, noNaN: true }),
    onBattery: fc.boolean(),
  }),
  { maxLength: 60 },
);

test('it is never open in use, on battery or busy; tasks stand still no longer than the owner lets them; every no says why', () => {
  fc.assert(
    fc.property(policies, looks, (policy, sequence) => {
      let state = firstState(START);
      let nowMs = START;
      let usedAtMs: number | undefined;
      let suspendedSinceMs: number | undefined;
      for (const { afterMs, isUsed, load, onBattery } of sequence) {
        nowMs += afterMs;
        usedAtMs = isUsed ? nowMs : usedAtMs;
        const signs = { nowMs, zoneMs: 0, usedAtMs, watchedSinceMs: undefined, load, onBattery };
        state = decide(policy, state, signs);
        const { phase } = state;
        const isQuiet = usedAtMs === undefined || nowMs - usedAtMs >= policy.idleAfterMs;
        const isBarred = onBattery && !policy.onBattery;
        expect(phase === 'open' && (!isQuiet || isBarred || state.load >= policy.load)).toBe(false);
        expect(state.why === '').toBe(phase === 'open');
        suspendedSinceMs = phase === 'suspended' ? (suspendedSinceMs ?? nowMs) : undefined;
        expect(nowMs - (suspendedSinceMs ?? nowMs)).toBeLessThanOrEqual(policy.suspendForMs);
        expect(policy.whenBack === 'keep' && !isBarred && /suspended|ended/.test(phase)).toBe(
          false,
        );
        expect(policy.whenBack === 'stop' && phase === 'suspended').toBe(false);
      }
    }),
  );
});
