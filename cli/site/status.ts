import type { Offer } from '../../core/match/offer.ts';
import { formatBytes, formatDuration } from '../../core/units.ts';
import type { InspectSiteResponse, SiteAttempt } from '../../proto/gen/grid/v1/broker.ts';
import { State, type VoTransfers } from '../../proto/gen/grid/v1/common.ts';
import { stateFromWire } from '../../service/rpc/wire.ts';
import type { Context } from '../context.ts';
import { argument, type Input } from '../input.ts';
import { agoText, facts, table, wrap } from '../render.ts';
import { differenceOf, type SiteAttemptView } from './differences.ts';
import { offeredFacts } from './offered-facts.ts';
import { clockText, type SiteView, siteView } from './sites.ts';

interface Line extends SiteAttemptView {
  readonly difference: string;
}

/** `grid site status`: ends with 1 where the sides differ, or where the gateway cannot be asked. */
export async function showSite(context: Context, input: Input): Promise<number> {
  using broker = await context.openBroker();
  const request = { id: argument(input, 0) };
  const answer = await broker.call.inspectSite(request, { signal: context.signal });
  const { site, attempts, ...rest } = answer;
  const { unasked } = rest;
  if (site === undefined) throw new TypeError('the broker sent no site');
  const view = siteView(site);
  const lines = attempts.map((one) => lineOf(one, unasked === ''));
  const differences = lines.filter(({ difference }) => difference !== '').length;
  const { terminal, json } = context;
  if (json) terminal.out(JSON.stringify({ site: view, attempts: lines, differences, ...rest }));
  else show(context, view, lines, answer);
  return differences === 0 && unasked === '' ? 0 : 1;
}

function lineOf(one: SiteAttempt, asked: boolean): Line {
  const view: SiteAttemptView = {
    attempt: one.attemptId,
    job: one.jobId,
    grid: one.state === State.STATE_UNSPECIFIED ? '' : stateFromWire(one.state),
    gateway: one.gatewayState,
    batchId: one.batchId,
    batch: one.batchState,
    reason: one.batchReason,
  };
  return { ...view, difference: differenceOf(view, asked) };
}

function show(
  context: Context,
  site: SiteView,
  lines: readonly Line[],
  { unasked, transfers, ...troubles }: InspectSiteResponse,
): void {
  const { terminal, colours } = context;
  const { offer } = site;
  const closed = offer?.closedReason || site.quarantined || site.detail;
  const said = (text: string, before = ''): string =>
    text === '' ? '' : wrap(`${before}${text}`, Math.max(24, terminal.columns - 14));
  terminal.out(
    facts(
      [
        ['site', `${site.id} at ${site.address}`],
        ['state', said(`${site.state}${closed === '' ? '' : `: ${closed}`}`)],
        ['heard', agoText(site.lastHeardAtMs, Date.now())],
        ['clock', clockText(site.clockAheadMs)],
        ...(offer === undefined ? [] : offeredFacts(offer)),
        ['images', said(troubles.imagesTrouble, 'not run here: ')],
        ['transfers', transfers.map(transfersText).join('; ')],
        ['store', said(troubles.storeTrouble, 'met by the last transfers: ')],
        ['certificate', said(troubles.certificateTrouble)],
        ['not asked', said(unasked)],
      ],
      colours,
    ),
  );
  const queues = offer?.queues ?? [];
  const tables = [
    [QUEUE_HEADINGS, queues.map(queueRow)],
    [KIND_HEADINGS, queues.flatMap(kindRows)],
  ] as const;
  for (const [headings, rows] of tables)
    if (rows.length > 0) terminal.out(`\n${table(headings, rows, colours, terminal.columns)}`);
  if (lines.length === 0) {
    const there =
      unasked === '' ? ', and nothing of the grid in the queue' : ' that the grid knows of';
    terminal.note(`no attempts${there}`);
    return;
  }
  const rows = lines.map((line) => [
    line.attempt,
    line.grid,
    line.gateway,
    [line.batch, line.reason].filter((text) => text !== '').join(': '),
    line.batchId,
    colours.warn(line.difference),
  ]);
  terminal.out(
    `\n${table(['attempt', 'grid', 'gateway', 'batch system', 'batch id', ''], rows, colours, terminal.columns)}`,
  );
}

const QUEUE_HEADINGS = ['queue', 'cpus free', 'cpus', 'memory of a node', 'longest'];

const queueRow = (queue: Offer['queues'][number]): readonly string[] => [
  queue.name,
  String(queue.freeCpus),
  String(queue.totalCpus),
  queue.memoryPerNodeBytes === 0 ? '' : formatBytes(queue.memoryPerNodeBytes),
  queue.maxWalltimeMs === 0 ? 'no limit' : formatDuration(queue.maxWalltimeMs),
];

const KIND_HEADINGS = ['queue', 'nodes', 'cpus of each', 'memory', 'GPUs', 'cpus free'];

const kindRows = ({ name, kinds }: Offer['queues'][number]): readonly (readonly string[])[] =>
  kinds.map((kind) => [
    name,
    String(kind.nodes),
    kind.cpus === 0 ? '' : String(kind.cpus),
    kind.memoryBytes === 0 ? '' : formatBytes(kind.memoryBytes),
    kind.gpus === 0 ? '' : `${kind.gpus} ${kind.gpuModels.join(', ')}`.trim(),
    String(kind.freeCpus),
  ]);

/** `demo 16 moving, 40 waiting (3 background)`. */
const transfersText = ({ vo, moving, waiting, background }: VoTransfers): string =>
  `${vo} ${moving} moving, ${waiting} waiting${background === 0 ? '' : ` (${background} background)`}`;
