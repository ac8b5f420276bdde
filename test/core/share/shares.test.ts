import { expect, test } from 'vitest';
import { dn, voName } from '../../../core/ids.ts';
import { NO_NEED } from '../../../core/match/need.ts';
import { claimantOf, nodeKey, nodesOf, sharesFromUse } from '../../../core/share/shares.ts';
import { askFor } from '../../fakes/offers.ts';

const DEMO = voName('demo');
const ALICE = dn('/DC=org/DC=test/CN=Alice');
const BOB = dn('/DC=org/DC=test/CN=Bob');

test.each([
  [['/demo'], undefined, '/demo'],
  [['/demo/imaging/brain', '/demo'], undefined, '/demo/imaging/brain'],
  [['/demo/imaging/Role=operator', '/demo'], undefined, '/demo/imaging'],
  [['/other/x', '/demo/imaging'], undefined, '/demo/imaging'],
  [['/other/x'], undefined, '/demo'],
  [['/demo/imaging', '/demo/genomics'], '/demo/genomics', '/demo/genomics'],
])('attributes %o with group %o are charged to %s', (fqans, group, charged) => {
  const ask = askFor({ fqans, ...(group === undefined ? {} : { group }) });
  expect(claimantOf(ask)).toEqual({ vo: 'demo', group: charged, owner: ALICE });
});

test('a claimant counts in its VO, its group and itself', () => {
  const nodes = nodesOf({ vo: DEMO, group: '/demo/x', owner: ALICE });
  expect(nodes).toEqual([['demo'], ['demo', '/demo/x'], ['demo', '/demo/x', ALICE]]);
  expect(new Set(nodes.map(nodeKey)).size).toBe(3);
});

test('what is in use adds up over the tree', () => {
  const shares = sharesFromUse([
    { claimant: { vo: DEMO, group: '/demo', owner: ALICE }, cpus: 2 },
    { claimant: { vo: DEMO, group: '/demo', owner: BOB }, cpus: 3 },
    { claimant: { vo: DEMO, group: '/demo/x', owner: ALICE }, cpus: 4 },
  ]);
  expect(shares.usage([DEMO])).toBe(9);
  expect(shares.runningCpus([DEMO, '/demo'])).toBe(5);
  expect(shares.usage([DEMO, '/demo/x', ALICE])).toBe(4);
  expect(shares.usage([voName('none')])).toBe(0);
  expect(shares.weight([DEMO])).toBe(1);
  expect(shares.maxRunningCpus([DEMO])).toBeUndefined();
  expect(shares.charge({ ...NO_NEED, cpus: 3, memoryBytes: 2 ** 40, gpus: 1 })).toBe(3);
});
