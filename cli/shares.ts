import { GridError } from '../core/errors.ts';
import type { CapChange, ListSharesResponse, Share } from '../proto/gen/grid/v1/broker.ts';
import type { Context } from './context.ts';
import { argument, type Input } from './input.ts';
import type { Palette } from './palette.ts';
import { table } from './render.ts';

/** `grid share ls`. */
export async function showShares(context: Context, input: Input): Promise<number> {
  using broker = await context.openBroker();
  const { signal } = context;
  const [tree, me] = await Promise.all([
    broker.call.listShares({ vo: input.text('vo') ?? '' }, { signal }),
    broker.call.whoAmI({}, { signal }),
  ]);
  const { terminal, colours } = context;
  if (context.json) terminal.out(JSON.stringify(tree));
  else {
    terminal.out(sharesText(tree, me.caller?.dn ?? '', colours, terminal.columns));
    const days = Number((tree.halfLifeMs / 86_400_000).toFixed(2));
    terminal.note(
      `usage counts half after ${days} days; whoever has used least of its part is next`,
    );
  }
  return 0;
}

/** The tree, indented, with the lines of `me` marked. */
export function sharesText(
  { shares }: Pick<ListSharesResponse, 'shares'>,
  me: string,
  colours: Palette,
  columns?: number,
): string {
  const headings = ['node', 'weight', 'target', 'used', 'cpu hours', 'running cpus', 'queued'];
  const rows = shares.map((share) => [
    nameText(share, me, colours),
    String(share.weight),
    percent(share.targetPart),
    percent(share.usedPart),
    (share.usage / 3_600).toFixed(1),
    ofCap(share.runningCpus, share.maxRunningCpus),
    ofCap(share.queuedTasks, share.maxQueuedTasks),
  ]);
  return table(headings, rows, colours, columns);
}

function nameText({ node, group, owner }: Share, me: string, colours: Palette): string {
  if (owner !== '') return `    ${owner === me ? colours.strong(`${owner} (you)`) : owner}`;
  if (group === '') return node;
  return node.endsWith('/') ? `  ${node} ${colours.dim('(no group)')}` : `  ${node}`;
}

const percent = (part: number): string => `${(100 * part).toFixed(1)} %`;

const ofCap = (value: number, cap: number | undefined): string =>
  cap === undefined ? String(value) : `${value} of ${cap}`;

/** `grid share set`. */
export async function setWeight(context: Context, input: Input): Promise<number> {
  const text = input.text('weight') ?? '';
  const weight = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(weight))
    throw new GridError('USAGE', `--weight '${text}' is not a number such as 2 or 0.5`);
  using broker = await context.openBroker();
  const request = { node: argument(input, 0), weight };
  const { share } = await broker.call.setShare(request, { signal: context.signal });
  return answer(context, share);
}

/** `grid share quota`. */
export async function setQuota(context: Context, input: Input): Promise<number> {
  const request = {
    node: argument(input, 0),
    runningCpus: capOf(input, 'running-cpus'),
    queuedTasks: capOf(input, 'queued'),
  };
  using broker = await context.openBroker();
  const { share } = await broker.call.setQuota(request, { signal: context.signal });
  return answer(context, share);
}

/** `none` takes the cap away. */
function capOf(input: Input, name: string): CapChange | undefined {
  const text = input.text(name);
  if (text === undefined) return undefined;
  if (text === 'none') return { none: true, most: 0 };
  if (/^-?\d{1,15}$/.test(text)) return { none: false, most: Number(text) };
  throw new GridError('USAGE', `--${name} '${text}' is neither a whole number nor none`);
}

function answer({ terminal, json }: Context, share: Share | undefined): number {
  if (share === undefined) return 0;
  const { node, weight, targetPart, usage, queuedTasks, runningCpus } = share;
  if (json) terminal.out(JSON.stringify(share));
  else {
    const caps = [
      ['running cpus', share.maxRunningCpus],
      ['queued tasks', share.maxQueuedTasks],
    ] as const;
    const most = caps.flatMap(([what, cap]) =>
      cap === undefined ? [] : [`at most ${cap} ${what}`],
    );
    const parts = [
      `weight ${weight}`,
      `${percent(targetPart)} of what its siblings share`,
      ...most,
    ];
    terminal.out(`${node}: ${parts.join(', ')}`);
  }
  if (usage === 0 && queuedTasks === 0 && runningCpus === 0)
    terminal.note(`nothing has been charged to ${node} so far: is that its name?`);
  return 0;
}
