import { describe, expect, test } from 'vitest';
import { dn, voName } from '../../../core/ids.ts';
import { needOf } from '../../../core/match/need.ts';
import { capFault, formatNode, parseNode, weightFault } from '../../../core/share/node.ts';
import { listShares } from '../../../core/share/share-list.ts';
import { addQueued, openShareTree } from '../../../core/share/share-tree.ts';
import { askFor } from '../../fakes/offers.ts';

const DEMO = voName('demo');
const BOB = dn('/DC=org/DC=test/CN=Bob');
const HOUR_MS = 3_600_000;
const WEEK_MS = 7 * 24 * HOUR_MS;
const FOUR = needOf(askFor({}, { cpus: 4 }).resources);

describe('the name of a node', () => {
  test.each([
    ['/demo', ['demo']],
    ['/demo/', ['demo', '/demo']],
    ['/demo/imaging/brain', ['demo', '/demo/imaging/brain']],
    ['/demo:/DC=org/CN=Ada', ['demo', '/demo', '/DC=org/CN=Ada']],
    ['/demo/x:/DC=org/CN=robot: a', ['demo', '/demo/x', '/DC=org/CN=robot: a']],
  ])('%s is %o, and back', (text, node) => {
    const parsed = parseNode(text);
    expect(parsed).toEqual(node);
    expect(parsed && formatNode(parsed)).toBe(text);
  });

  test.each([
    '',
    'demo',
    '/',
    '//',
    '/demo/Role=manager',
    '/demo/x/',
    '/demo:Ada',
    '/demo:',
    ':/CN=A',
  ])("'%s' is none", (text) => {
    expect(parseNode(text)).toBeUndefined();
  });
});

test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e308, 0.0009])(
  '%d is no weight',
  (weight) => {
    expect(weightFault(weight)).toContain(`${weight} is out of range`);
  },
);

test('weights and caps within their bounds are fine', () => {
  expect([0.001, 1, 1_000_000].map(weightFault)).toEqual([undefined, undefined, undefined]);
  expect([0, 5].map((cap) => capFault('cpus', cap))).toEqual([undefined, undefined]);
  expect(capFault('queued tasks', -1)).toContain('-1 queued tasks is out of range');
  expect(capFault('cpus', 1.5)).toContain('1.5');
});

describe('a task is charged', () => {
  test('a minute as soon as it is placed, then as it runs, and once in all', () => {
    const tree = openShareTree();
    const leaf = tree.leafOf(askFor());
    const usage = (nowMs: number) => tree.sharesAt(nowMs).usage([DEMO]);
    tree.place(leaf, FOUR);
    expect(usage(0)).toBe(4 * 60);
    expect(tree.sharesAt(0).charge(FOUR)).toBe(4 * 60);
    // The word of the start comes a second late.
    tree.start(leaf, FOUR, HOUR_MS, HOUR_MS + 1_000);
    const running = usage(2 * HOUR_MS);
    expect(running).toBeCloseTo(4 * 60 + 4 * 3_600, -2);
    tree.end(
      leaf,
      { need: FOUR, startedAtMs: HOUR_MS, endedAtMs: 2 * HOUR_MS },
      2 * HOUR_MS + 5_000,
    );
    expect(usage(2 * HOUR_MS + 5_000)).toBeCloseTo(running - 4 * 60, 0);
    expect(usage(2 * HOUR_MS + WEEK_MS)).toBeCloseTo((running - 4 * 60) / 2, 0);
    expect(tree.sharesAt(0).runningCpus([DEMO])).toBe(0);
  });

  test('to its owner, its group and its VO, and to nobody else', () => {
    const tree = openShareTree();
    tree.addEnded(tree.leafOf(askFor({ fqans: ['/demo/x'] })), 100, 0, 0);
    tree.addEnded(tree.leafOf(askFor({ owner: BOB })), 50, 0, 0);
    const shares = tree.sharesAt(0);
    expect(shares.usage([DEMO])).toBe(150);
    expect(shares.usage([DEMO, '/demo/x'])).toBe(100);
    expect(shares.usage([DEMO, '/demo', BOB])).toBe(50);
    expect(shares.usage([voName('other')])).toBe(0);
  });

  test('nothing that has not started', () => {
    const tree = openShareTree();
    const leaf = tree.leafOf(askFor());
    tree.place(leaf, FOUR);
    tree.end(leaf, { need: FOUR, startedAtMs: undefined, endedAtMs: HOUR_MS }, HOUR_MS);
    expect(tree.usageOf(leaf, HOUR_MS)).toBe(0);
  });

  test('and a hundred thousand tasks that came and went leave nothing behind but what they used', () => {
    const tree = openShareTree();
    const leaf = tree.leafOf(askFor());
    const need = needOf(askFor({}, { memoryBytes: 5 * 2 ** 30 }).resources);
    let nowMs = 1.8e12;
    for (let index = 0; index < 100_000; index += 1) {
      tree.place(leaf, need);
      tree.start(leaf, need, nowMs, nowMs + 100);
      nowMs += 1_000;
      if (index >= 10)
        tree.end(leaf, { need, startedAtMs: nowMs - 11_000, endedAtMs: nowMs }, nowMs + 10);
    }
    const steady = 10 * 1.25;
    expect(leaf.runningTasks).toBe(10);
    expect(leaf.running.rate).toBeCloseTo(steady, 6);
    expect(leaf.placedWeighed).toBeCloseTo(steady, 6);
    expect(leaf.running.amount).toBeLessThan(steady * 12);
  });
});

test('a list has every node that tells something, with the parts among its siblings', () => {
  const tree = openShareTree();
  tree.record([DEMO]).weight = 3;
  tree.addEnded(tree.leafOf(askFor({ fqans: ['/demo/x'] })), 300, 0, 0);
  addQueued(tree.leafOf(askFor({ owner: BOB })), 7);
  tree.addEnded(tree.leafOf(askFor({ vo: voName('bio'), fqans: ['/bio'] })), 100, 0, 0);
  tree.leafOf(askFor({ owner: dn('/CN=Idle') }));
  const lines = listShares(tree, 0, [tree.record([voName('atlas')])]);
  const rows = lines.map(({ name, targetPart, usedPart }) => [name, targetPart, usedPart]);
  expect(rows).toEqual([
    ['/atlas', 0.2, 0],
    ['/bio', 0.2, 0.25],
    ['/bio/', 1, 1],
    ['/bio:/DC=org/DC=test/CN=Alice', 1, 1],
    ['/demo', 0.6, 0.75],
    ['/demo/', 0.5, 0],
    ['/demo:/DC=org/DC=test/CN=Bob', 1, 0],
    ['/demo/x', 0.5, 1],
    ['/demo/x:/DC=org/DC=test/CN=Alice', 1, 1],
  ]);
  expect(lines.find(({ name }) => name === '/demo')?.record.queuedTasks).toBe(7);
});
