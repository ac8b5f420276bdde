import { expect, test } from 'vitest';
import { differenceOf, type SiteAttemptView } from '../../cli/site/differences.ts';

const AGREED: SiteAttemptView = {
  attempt: 'j1.0.1',
  job: 'j1',
  grid: 'running',
  gateway: 'running',
  batchId: '17',
  batch: 'runs',
  reason: '',
};

test.for<[Partial<SiteAttemptView>, string]>([
  [{}, ''],
  [{ grid: 'submitted', gateway: 'submitted', batch: 'waits', reason: 'Resources' }, ''],
  [{ grid: 'submitted', gateway: 'submitted', batch: 'unlisted' }, ''],
  [{ grid: 'staging-in', gateway: 'staging-in', batch: '', batchId: '' }, ''],
  [{ attempt: '', job: '', grid: '', gateway: '' }, 'belongs to no attempt'],
  [{ gateway: '', batch: '', batchId: '' }, 'does not know it'],
  [{ grid: '' }, 'has let it go'],
  [{ grid: 'submitted' }, 'the grid does not know that'],
  [{ batch: 'waits' }, 'its batch job waits'],
  [{ batch: 'unlisted' }, 'does not list it'],
  [{ grid: 'submitted', gateway: 'submitted' }, 'it has not begun'],
  [{ grid: 'submitted', gateway: 'submitted', batch: 'stuck' }, 'cannot start it'],
])('%o: %s', ([part, words]) => {
  const difference = differenceOf({ ...AGREED, ...part }, true);
  expect(difference).toContain(words);
  expect(difference === '').toBe(words === '');
});

test('nothing is concluded where the gateway could not be asked', () => {
  expect(differenceOf({ ...AGREED, gateway: '', batch: '' }, false)).toBe('');
});
