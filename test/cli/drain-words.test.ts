import { expect, test } from 'vitest';
import { unitWords } from '../../cli/site/drain.ts';
import { isHeard, restOf } from '../../cli/site/drain-words.ts';
import { SiteState } from '../../proto/gen/grid/v1/broker.ts';

const draining = (
  attempts: number,
  detail = '',
  state: SiteState = SiteState.SITE_STATE_DRAINING,
) => ({
  attempts,
  state,
  detail,
});

test('what a draining site has ends there or is moved', () => {
  expect(restOf(draining(0), true)).toBe(' and is empty');
  expect(restOf(draining(1), false)).toBe('; it has 1 task, which ends there');
  expect(restOf(draining(1), true)).toBe('; it has 1 task, which is moved');
  expect(restOf(draining(3), false)).toBe('; it has 3 tasks, which end there');
  expect(restOf(draining(3), true)).toBe('; it has 3 tasks, which are moved');
});

test('of a site that nobody hears nobody says that its tasks are moved', () => {
  const away = draining(2, 'not connected: nothing listens at a:1');
  const lost = draining(2, 'silent for longer than its lease', SiteState.SITE_STATE_LOST);
  for (const site of [away, lost]) {
    expect(isHeard(site)).toBe(false);
    expect(restOf(site, true)).toBe(
      `; it has 2 tasks, and the broker does not hear it (${site.detail}): they begin again elsewhere when its lease is over, if it is not back`,
    );
  }
  expect(isHeard(draining(2))).toBe(true);
});

const CAMPUS = { id: 'campus', address: 'campus.example.org:7461' };

test('a unit of another grid is told to be left alone, and no command to stop it is given', () => {
  const unit = 'hanse-site-campus.service';
  expect(unitWords(CAMPUS, { unit, became: 'removed' })).toContain('is stopped and removed');
  const left = unitWords(CAMPUS, { unit, became: 'left-alone' });
  expect(left).toContain(`${unit} of this machine was left alone`);
  expect(left).not.toContain('systemctl');
});

test.each([
  ['localhost:7461', false],
  ['127.0.0.1:7461', false],
  ['[::1]:7461', false],
  ['campus.example.org:7461', true],
])('a gateway at %s that is no unit of this machine may be one elsewhere: %s', (address, maybe) => {
  const words = unitWords({ id: 'campus', address }, undefined);
  expect(words).toContain(`where it runs (${address}): end its process`);
  expect(words.includes('systemctl')).toBe(maybe);
});

test('who may not stop the unit of this machine is told how root does', () => {
  const unit = 'hanse-site-campus.service';
  expect(unitWords(CAMPUS, { unit, became: 'for-root' })).toContain(
    `root may stop its gateway now: systemctl disable --now ${unit}`,
  );
});
