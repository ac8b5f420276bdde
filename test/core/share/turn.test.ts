import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dn } from '../../../core/ids.ts';
import { fairOrder } from '../../../core/share/fair-order.ts';
import { addQueued, openShareTree } from '../../../core/share/share-tree.ts';
import { claimantOf } from '../../../core/share/shares.ts';
import { turnsOf } from '../../../core/share/turn.ts';
import { askFor } from '../../fakes/offers.ts';

const askOf = (name: string, group: string) => askFor({ owner: dn(`/CN=${name}`), group });

test('an owner stands behind those that have used less of their part', () => {
  const tree = openShareTree();
  const ada = tree.leafOf(askOf('Ada', '/demo/imaging'));
  const bob = tree.leafOf(askOf('Bob', '/demo/imaging'));
  const carol = tree.leafOf(askOf('Carol', '/demo/genomics'));
  tree.addEnded(ada, 300, 0, 0);
  tree.addEnded(bob, 100, 0, 0);
  addQueued(ada, 2);
  addQueued(bob, 1);
  bob.weight = 3;
  expect(turnsOf(tree, ada, 0)).toEqual([
    { node: '/demo', place: 1, waiting: 1, usedPart: 1, targetPart: 1 },
    { node: '/demo/imaging', place: 1, waiting: 1, usedPart: 1, targetPart: 1 },
    { node: '/demo/imaging:/CN=Ada', place: 2, waiting: 2, usedPart: 0.75, targetPart: 0.25 },
  ]);
  addQueued(carol, 1);
  expect(turnsOf(tree, ada, 0)[1]).toMatchObject({ place: 2, waiting: 2 });
});

test('who is first at every level is who a round serves first', () => {
  const person = fc.record({
    name: fc.constantFrom('Ada', 'Bob', 'Carol'),
    group: fc.constantFrom('/demo', '/demo/imaging'),
    usage: fc.integer({ min: 0, max: 3 }),
    weight: fc.integer({ min: 1, max: 2 }),
  });
  fc.assert(
    fc.property(fc.array(person, { minLength: 1, maxLength: 5 }), (people) => {
      const tree = openShareTree();
      for (const { name, group, usage, weight } of people) {
        const leaf = tree.leafOf(askOf(name, group));
        leaf.weight = weight;
        tree.addEnded(leaf, 60 * usage, 0, 0);
        addQueued(leaf, 1);
      }
      const claimants = new Map(
        people.map(({ name, group }) => [`${group}:${name}`, claimantOf(askOf(name, group))]),
      );
      const next = fairOrder(claimants.values(), tree.sharesAt(0)).next();
      const first = [...claimants.values()].filter(({ vo, group, owner }) =>
        turnsOf(tree, tree.record([vo, group, owner]), 0).every(({ place }) => place === 1),
      );
      expect(first).toEqual([next]);
    }),
  );
});
