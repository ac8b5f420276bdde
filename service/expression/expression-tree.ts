import { type ASTNode, serialize } from '@marcbachmann/cel-js';
import type { ExpressionKind, Reads } from '../../core/match/ask.ts';
import {
  ATTRIBUTES,
  COMPREHENSIONS,
  FUNCTIONS,
  MAX_LIST_ITEMS,
  MOMENTARY,
} from './expression-language.ts';

/** What can be told of an expression without evaluating it. */

/** Something that the grid does not offer, although CEL does. */
export interface Refused {
  readonly offset: number;
  readonly message: string;
}

/** Steps of one evaluation at most, were all lists as long as they can be: a few milliseconds. */
const MAX_STEPS = 20_000;

/** The first thing in the tree that is not offered, or that takes too long. */
export function refusedIn(tree: ASTNode): Refused | undefined {
  const steps = stepsOf(tree);
  if (steps <= MAX_STEPS) return forbiddenIn(tree, false);
  const message = `it may take ${steps} steps where lists are long, at most ${MAX_STEPS}`;
  return forbiddenIn(tree, false) ?? { offset: tree.start, message };
}

function forbiddenIn(node: ASTNode, inComprehension: boolean): Refused | undefined {
  let inside = inComprehension;
  if (node.op === 'call' || node.op === 'rcall') {
    const called = node.args[0];
    if (!FUNCTIONS.includes(called))
      return { offset: node.start, message: `'${called}' is not offered here` };
    if (node.op === 'rcall' && COMPREHENSIONS.includes(called)) {
      if (inComprehension)
        return { offset: node.start, message: `'${called}' inside another comprehension` };
      inside = true;
    }
  }
  for (const child of childrenOf(node.args)) {
    const refused = forbiddenIn(child, inside);
    if (refused !== undefined) return refused;
  }
  return undefined;
}

function stepsOf(node: ASTNode): number {
  const sum = (nodes: readonly ASTNode[]): number =>
    nodes.reduce((total, child) => total + stepsOf(child), 0);
  if (node.op === 'rcall' && COMPREHENSIONS.includes(node.args[0])) {
    const [, range, body] = node.args;
    return 1 + stepsOf(range) + Math.max(1, itemsOf(range)) * sum(body);
  }
  const children = childrenOf(node.args);
  const looksThrough = ['in', '==', '!=', '+'].includes(node.op);
  return 1 + sum(children) + (looksThrough ? Math.max(0, ...children.map(itemsOf)) : 0);
}

/** The most items of a list that the node may be; 0 for what is no list. */
function itemsOf(node: ASTNode): number {
  if (node.op === 'list') return node.args.length;
  if (node.op === 'rcall') return node.args[0] === 'filter' ? itemsOf(node.args[1]) : 0;
  if (node.op === '?:') return Math.max(itemsOf(node.args[1]), itemsOf(node.args[2]));
  if (node.op === '+') return itemsOf(node.args[0]) + itemsOf(node.args[1]);
  const attribute = attributeOf(node);
  if (attribute === undefined) return 0;
  const type = ATTRIBUTES[attribute.owner]?.[attribute.name ?? ''] ?? 'list<dyn>';
  return type.startsWith('list') ? MAX_LIST_ITEMS : 0;
}

/** `site.cpus` and `site["cpus"]`; without a name where that is not written out. */
function attributeOf(
  node: ASTNode,
): { readonly owner: string; readonly name: string | undefined } | undefined {
  if (node.op !== '.' && node.op !== '[]') return undefined;
  const [owner, member] = node.args;
  if (owner.op !== 'id' || ATTRIBUTES[owner.args] === undefined) return undefined;
  if (typeof member === 'string') return { owner: owner.args, name: member };
  const name = member.op === 'value' && typeof member.args === 'string' ? member.args : undefined;
  return { owner: owner.args, name };
}

/** What the tree looks at; where that is not clear it is said to look. */
export function readsIn(kind: ExpressionKind, tree: ASTNode): Reads {
  const seen = { job: false, caller: false, queue: false, momentary: false };
  const look = (node: ASTNode, attribute: string | undefined): void => {
    if (node.op === 'id') {
      if (node.args === 'job' || node.args === 'caller' || node.args === 'queue')
        seen[node.args] = true;
      if (node.args === 'site' || node.args === 'queue')
        seen.momentary ||= attribute === undefined || MOMENTARY.includes(attribute);
      return;
    }
    const name = attributeOf(node)?.name;
    for (const child of childrenOf(node.args)) look(child, name);
  };
  look(tree, undefined);
  // Which of several queues is the best depends on what is free in them.
  return { ...seen, momentary: seen.momentary || (kind === 'rank' && seen.queue) };
}

/** What has to hold altogether, as text that can be joined by `&&` again. */
export function termsIn(tree: ASTNode): readonly string[] {
  if (tree.op === '&&') return tree.args.flatMap(termsIn);
  const text = serialize(tree);
  return [tree.op === '||' || tree.op === '?:' ? `(${text})` : text];
}

function childrenOf(args: unknown): readonly ASTNode[] {
  if (Array.isArray(args)) return args.flatMap(childrenOf);
  return isNode(args) ? [args] : [];
}

const isNode = (value: unknown): value is ASTNode =>
  typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
