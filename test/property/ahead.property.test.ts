import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dn, jobId } from '../../core/ids.ts';
import { round } from '../../core/match/match.ts';
import { needOf } from '../../core/match/need.ts';
import { tasksAhead } from '../../core/share/ahead.ts';
import { openShareTree } from '../../core/share/share-tree.ts';
import { claimantOf } from '../../core/share/shares.ts';
import { askFor, NO_RULES, siteOf } from '../fakes/offers.ts';

const node = fc.record({
  usage: fc.integer({ min: 0, max: 600 }),
  weight: fc.constantFrom(0.5, 1, 2, 3),
});
const job = fc.record({
  owner: fc.constantFrom('Ada', 'Bob', 'Carol'),
  group: fc.constantFrom('/demo', '/demo/imaging', '/demo/genomics'),
  tasks: fc.integer({ min: 1, max: 12 }),
});
const grid = fc.record({
  jobs: fc.array(job, { minLength: 1, maxLength: 8 }),
  nodes: fc.array(node, { minLength: 8, maxLength: 8 }),
});

/** A round that has room for all places them in the order of turns. */
function ordered({ jobs, nodes }: typeof grid extends fc.Arbitrary<infer G> ? G : never) {
  const tree = openShareTree();
  const asks = jobs.map(({ owner, group }) => askFor({ owner: dn(`/CN=${owner}`), group }));
  const leaves = asks.map((ask) => tree.leafOf(ask));
  leaves.forEach((leaf, index) => {
    const { usage = 0, weight = 1 } = nodes[index] ?? {};
    leaf.weight = weight;
    if (leaf.parent !== undefined) leaf.parent.weight = nodes[7 - index]?.weight ?? 1;
    tree.addEnded(leaf, usage, 0, 0);
  });
  const shares = tree.sharesAt(0);
  const queues = jobs.map(({ tasks }, seq) => ({
    key: `${seq}`,
    ask: asks[seq] ?? askFor(),
    items: [
      {
        job: jobId(`j${seq}`),
        seq,
        firstOrdinal: 0,
        tasks,
        avoid: [],
        notBeforeMs: 0,
        inputs: '',
      },
    ],
  }));
  const sites = [
    siteOf('large', {
      totalCpus: 1_000,
      freeCpus: 1_000,
      freeMemoryBytes: 2 ** 50,
      totalMemoryBytes: 2 ** 50,
    }),
  ];
  const snapshot = { nowMs: 0, sites, queues, shares, rules: NO_RULES, limit: 1_000 };
  const { placements } = round(snapshot);
  const waiting = (seq: number) =>
    jobs.map(({ tasks }, other) => {
      const ask = asks[other] ?? askFor();
      const older = other < seq ? tasks : 0;
      return { claimant: claimantOf(ask), need: needOf(ask.resources), tasks, older };
    });
  return jobs.map((_, seq) => ({
    turnsBefore: placements.findIndex(({ job: id }) => id === `j${seq}`),
    ownBefore: placements
      .slice(
        0,
        placements.findIndex(({ job: id }) => id === `j${seq}`),
      )
      .filter(({ job: id }) => leaves[Number(id.slice(1))] === leaves[seq]).length,
    ahead: tasksAhead(waiting(seq), claimantOf(asks[seq] ?? askFor()), shares),
  }));
}

test('as many tasks are ahead of a job as a round with room for all places before it', () => {
  fc.assert(
    fc.property(grid, (made) => {
      for (const { turnsBefore, ownBefore, ahead } of ordered(made))
        expect(ahead).toEqual({ tasks: turnsBefore, own: ownBefore });
    }),
    { numRuns: 1_000 },
  );
});

test('a million jobs of another are not ahead of the one of somebody who has used less', () => {
  const tree = openShareTree();
  const mine = askFor({ owner: dn('/CN=Ada') });
  const theirs = askFor({ owner: dn('/CN=Bob') });
  tree.addEnded(tree.leafOf(theirs), 120, 0, 0);
  const waiting = [
    {
      claimant: claimantOf(theirs),
      need: needOf(theirs.resources),
      tasks: 1_000_000,
      older: 999_999,
    },
    { claimant: claimantOf(mine), need: needOf(mine.resources), tasks: 1, older: 0 },
  ];
  const shares = tree.sharesAt(0);
  expect(tasksAhead(waiting, claimantOf(mine), shares)).toEqual({ tasks: 0, own: 0 });
  expect(tasksAhead(waiting, claimantOf(theirs), shares)).toEqual({
    tasks: 1_000_000,
    own: 999_999,
  });
});

test('what a cap stops is not ahead', () => {
  const tree = openShareTree();
  const [mine, theirs] = ['/CN=Bob', '/CN=Ada'].map((owner) => askFor({ owner: dn(owner) }));
  if (mine === undefined || theirs === undefined) throw new TypeError('no asks');
  const waiting = [
    { claimant: claimantOf(theirs), need: needOf(theirs.resources), tasks: 5, older: 5 },
    { claimant: claimantOf(mine), need: needOf(mine.resources), tasks: 1, older: 0 },
  ];
  expect(tasksAhead(waiting, claimantOf(mine), tree.sharesAt(0)).tasks).toBe(1);
  tree.leafOf(theirs).quota = { runningCpus: 0 };
  expect(tasksAhead(waiting, claimantOf(mine), tree.sharesAt(0)).tasks).toBe(0);
});
