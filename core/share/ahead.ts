import type { Need } from '../match/need.ts';
import { capAgainst } from './fair-order.ts';
import { type Claimant, nodeKey, nodesOf, type ShareNode, type Shares } from './shares.ts';

/** Waiting tasks of one ask class. */
export interface Waiting {
  readonly claimant: Claimant;
  readonly need: Need;
  readonly tasks: number;
  /** How many of them are of jobs that were submitted before the one in question. */
  readonly older: number;
}

/** Tasks that have their turn first. */
export interface Ahead {
  readonly tasks: number;
  /** How many of them are of the same claimant. */
  readonly own: number;
}

/** Tasks, and what they would be charged together. */
interface Sum {
  tasks: number;
  charge: number;
}

/** What waits below a node. */
interface Branch extends Sum {
  readonly node: ShareNode;
}

/**
 * How many tasks have their turn before a job of the claimant, if nothing ends and nothing comes in the meantime: its
 * own older ones and, from the owner up to the VO, of each node beside it as many as it takes until that one's usage for
 * its weight has come up to the claimant's of then. Exact where the tasks below a node are charged alike; elsewhere each
 * counts as their mean. What a cap stops now is not counted.
 */
export function tasksAhead(waiting: Iterable<Waiting>, claimant: Claimant, shares: Shares): Ahead {
  const me = claimantKey(claimant);
  const ahead: Sum = { tasks: 0, charge: 0 };
  const branches = new Map<string, Branch>();
  for (const { claimant: other, need, tasks, older } of waiting) {
    if (tasks === 0 || capAgainst(shares, other, need.cpus) !== undefined) continue;
    const charge = shares.charge(need);
    for (const node of nodesOf(other)) {
      const key = nodeKey(node);
      const branch = branches.get(key) ?? { node, tasks: 0, charge: 0 };
      branches.set(key, branch);
      grow(branch, tasks, charge);
    }
    if (claimantKey(other) === me) grow(ahead, older, charge);
  }
  const own = ahead.tasks;
  for (const node of nodesOf(claimant).toReversed()) {
    const level = (shares.usage(node) + ahead.charge) / shares.weight(node);
    const before = [...branches.values()]
      .filter((branch) => isBeside(branch.node, node))
      .map((branch) => ({ branch, turns: turnsUntil(level, branch, node, shares) }));
    for (const { branch, turns } of before) grow(ahead, turns, branch.charge / branch.tasks);
  }
  return { tasks: ahead.tasks, own };
}

function grow(sum: Sum, tasks: number, charge: number): void {
  sum.tasks += tasks;
  sum.charge += tasks * charge;
}

const claimantKey = ({ vo, group, owner }: Claimant): string => nodeKey([vo, group, owner]);

/** Whether two nodes have the same parent and are not the same. */
function isBeside(a: ShareNode, b: ShareNode): boolean {
  const last = b.length - 1;
  return (
    a.length === b.length &&
    a[last] !== b[last] &&
    a.slice(0, last).join() === b.slice(0, last).join()
  );
}

/** How many turns a branch takes before `node`, which stands at `level`; what is equal goes by name, as in a round. */
function turnsUntil(level: number, branch: Branch, node: ShareNode, shares: Shares): number {
  const room = level * shares.weight(branch.node) - shares.usage(branch.node);
  const exact = (room * branch.tasks) / branch.charge;
  const whole = Math.round(exact);
  const isWhole = Math.abs(exact - whole) < 1e-6;
  const isFirst = (branch.node.at(-1) ?? '') < (node.at(-1) ?? '');
  const turns = isWhole ? whole + (isFirst ? 1 : 0) : Math.ceil(exact);
  return Math.min(branch.tasks, Math.max(0, turns));
}
