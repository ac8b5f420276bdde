import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { round } from '../../../core/match/match.ts';
import { needOf } from '../../../core/match/need.ts';
import { DEFAULT_WEIGHTS, weighedCpus } from '../../../core/share/charge.ts';
import { fairOrder } from '../../../core/share/fair-order.ts';
import { formatNode, parseNode } from '../../../core/share/node.ts';
import { openShareTree } from '../../../core/share/share-tree.ts';
import { type Claimant, claimantOf, nodesOf, type ShareNode } from '../../../core/share/shares.ts';
import { askFor, siteOf } from '../../fakes/offers.ts';
import { item, queue, snapshot } from '../../fakes/round.ts';

const PAGE = readFileSync('docs/scheduling.md', 'utf8');
const DAY_MS = 86_400_000;
const GIB = 2 ** 30;

/** The rows of the table with these headings. */
function rowsOf(...headings: readonly string[]): readonly (readonly string[])[] {
  const head = `| ${headings.join(' | ')} |\n`;
  const [body = ''] = (PAGE.split(head)[1] ?? '').split('\n\n');
  const lines = body.split('\n').slice(1);
  expect(lines.length, `rows of the table ${head}`).toBeGreaterThan(1);
  return lines.map((line) => line.slice(2, -2).split(' | '));
}

const numbers = (cells: readonly string[]): readonly number[] => cells.map(Number.parseFloat);

function nodeNamed(cell = ''): ShareNode {
  const node = parseNode(cell.replaceAll('`', ''));
  if (node === undefined) throw new TypeError(`${cell} is no node`);
  return node;
}

const isAbove = (a: ShareNode, b: ShareNode): boolean =>
  a.length < b.length && a.every((part, index) => part === b[index]);

/** Who is in the nodes of a table: where it names no owner somebody all the same. */
const claimantsOf = (nodes: readonly ShareNode[]): readonly Claimant[] =>
  nodes
    .filter((node) => !nodes.some((other) => isAbove(node, other)))
    .map(([vo, group = `/${vo}`, owner = askFor().owner]) => ({ vo, group, owner }));

/** The tree of shares with the nodes and weights of a table, which begin each row. */
function treeOf(rows: readonly (readonly string[])[]) {
  const tree = openShareTree();
  const nodes = rows.map(([name, weight]) => {
    const record = tree.record(nodeNamed(name));
    record.weight = Number(weight);
    return record.node;
  });
  return { tree, asks: claimantsOf(nodes).map((claimant) => askFor(claimant)) };
}

test('weighed cpus are what the page says', () => {
  const rows = rowsOf('a task of', 'cpus', 'memory', 'GPUs', 'weighed cpus');
  const said = rows.map((cells) => numbers(cells.slice(1)));
  const found = said.map(([cpus = 0, gib = 0, gpus = 0]) => {
    const need = needOf(askFor({}, { cpus, memoryBytes: gib * GIB, gpus }).resources);
    return [cpus, gib, gpus, weighedCpus(need, DEFAULT_WEIGHTS)];
  });
  expect(found).toEqual(said);
});

test('usage fades as the page says', () => {
  const rows = rowsOf('days later', 'cpu hours');
  const tree = openShareTree();
  const leaf = tree.leafOf(askFor());
  tree.addEnded(leaf, 100 * 3_600, 0, 0);
  const left = rows.map(([days = '']) => tree.usageOf(leaf, Number(days) * DAY_MS) / 3_600);
  expect(rows.map(([, hours]) => hours)).toEqual(left.map((hours) => hours.toFixed(1)));
});

test('an idle grid is divided as the page says', () => {
  const rows = rowsOf('node', 'weight', 'cpus');
  const { tree, asks } = treeOf(rows);
  const { placements } = round(
    snapshot({
      sites: [siteOf('aachen', { totalCpus: 48, freeCpus: 48, freeMemoryBytes: 48 * GIB })],
      queues: asks.map((ask, index) =>
        queue(String(index), ask, item(String(index), 1, { tasks: 5_000 })),
      ),
      shares: tree.sharesAt(0),
    }),
  );
  for (const { job } of placements) {
    const ask = asks[Number(job)] ?? askFor();
    tree.place(tree.leafOf(ask), needOf(ask.resources));
  }
  const shares = tree.sharesAt(0);
  const given = rows.map(([name]) => String(shares.runningCpus(nodeNamed(name))));
  expect(given).toEqual(rows.map(([, , cpus]) => cpus));
});

test('the next turn is whose the page says', () => {
  const rows = rowsOf('node', 'weight', 'cpu hours', 'for its weight');
  const hoursOf = new Map(rows.map(([name = '', , hours]) => [name, Number(hours)]));
  const { tree, asks } = treeOf(rows);
  const claimants = asks.map(claimantOf);
  for (const ask of asks) {
    const names = nodesOf(claimantOf(ask)).map((node) => `\`${formatNode(node)}\``);
    const [hours = 0] = names.toReversed().flatMap((name) => hoursOf.get(name) ?? []);
    tree.addEnded(tree.leafOf(ask), hours * 3_600, 0, 0);
  }
  const shares = tree.sharesAt(0);
  const used = rows.map(([name]) => shares.usage(nodeNamed(name)) / 3_600);
  expect(used).toEqual([...hoursOf.values()]);
  const each = rows.map(([name], index) => (used[index] ?? 0) / shares.weight(nodeNamed(name)));
  expect(each).toEqual(rows.map((row) => Number(row[3])));
  const [owner] = nodesOf(fairOrder(claimants, shares).next() ?? claimantOf(askFor())).toReversed();
  expect(PAGE).toContain(`The next turn is that of \`${owner && formatNode(owner)}\``);
});
