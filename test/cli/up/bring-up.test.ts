import { expect, test } from 'vitest';
import { notUp, siteWords } from '../../../cli/up/bring-up.ts';
import { SiteState } from '../../../proto/gen/grid/v1/broker.ts';

test('the start of a grid waits for its own sites, and not for one that has left it', () => {
  const detail = 'nothing listens at localhost:1 (ECONNREFUSED)';
  const sites = [
    { id: 'up', state: SiteState.SITE_STATE_UP, detail: '' },
    { id: 'draining', state: SiteState.SITE_STATE_DRAINING, detail: '' },
    { id: 'starting', state: SiteState.SITE_STATE_UNKNOWN, detail },
    { id: 'left', state: SiteState.SITE_STATE_UNKNOWN, detail: 'its certificate has been revoked' },
    { id: 'long-gone', state: SiteState.SITE_STATE_UNKNOWN, detail: 'its certificate has expired' },
    { id: 'elsewhere', state: SiteState.SITE_STATE_LOST, detail },
  ];
  const own = new Set(['up', 'draining', 'starting', 'left', 'long-gone']);
  expect(notUp(sites, own).map(({ id }) => id)).toEqual(['starting']);
});

const site = (id: string, state: SiteState, detail = '') => ({ id, state, detail });
const here = site('a', SiteState.SITE_STATE_UP);
const gone = ['b', 'c'].map((id) =>
  site(id, SiteState.SITE_STATE_UNKNOWN, 'its certificate has been revoked'),
);

test.each([
  [[here], 'a'],
  [[here, ...gone], 'a; left the grid: b, c'],
  [gone, 'none; left the grid: b, c'],
])('the start of a grid says which sites are up and which have left', (sites, words) => {
  expect(siteWords(sites)).toBe(words);
});
