import { expect, test } from 'vitest';
import { placementOf } from '../../../site-gateway/staging/cache.ts';

const [ROOT, SOMEBODY] = [0, 1_000];
const accounts = [{ dn: '*', account: 'grid', deny: false, system: false }];

test('a task that could change the files of the cache gets copies where tasks are kept from each other', () => {
  for (const sandbox of ['namespaces', 'cgroup'] as const) {
    expect(placementOf({ accounts: [], sandbox }, SOMEBODY)).toBe('copy');
    expect(placementOf({ accounts: accounts, sandbox }, ROOT)).toBe('link');
  }
  for (const sandbox of ['auto', 'account'] as const) {
    expect(placementOf({ accounts: [], sandbox }, SOMEBODY)).toBe('link');
    expect(placementOf({ accounts: [], sandbox }, ROOT)).toBe('copy');
  }
});
