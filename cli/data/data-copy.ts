import { formatDataset } from '../../core/data/dataset.ts';
import { EMPTY_TREE, type TreeRef } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';
import { isSiteId } from '../../core/ids.ts';
import { sitePathProblem, type Transfer, transferCommand } from '../../core/job/transfer.ts';
import { counted, formatBytes, formatSeconds } from '../../core/units.ts';
import { checkJobs } from '../../service/documents/check-jobs.ts';
import { readJobText } from '../../service/documents/job-file.ts';
import { treeToWire } from '../../service/rpc/wire.ts';
import type { Context } from '../context.ts';
import { argument, type Input } from '../input.ts';
import { awayNote, followJob, summaryOf } from '../jobs/follow.ts';
import { readJob } from '../jobs/job-detail.ts';
import { noteIfNowhere } from '../jobs/nowhere.ts';
import { submitJobs } from '../jobs/submit.ts';
import { openSteps } from '../up/steps.ts';
import { type DatasetClient, nameOf, openDatasetClient } from './dataset-client.ts';

/** `SITE:/path`, or `SITE:` for its cache. */
interface SitePlace {
  readonly site: string;
  /** '' for the cache. */
  readonly path: string;
}

/** `grid data cp`: a job that its site's gateway carries out itself. */
export async function copyDataset(context: Context, input: Input): Promise<number> {
  const [from, to] = [argument(input, 0), argument(input, 1)];
  const [source, target] = [sitePlace(from), sitePlace(to)];
  if ((source === undefined) === (target === undefined))
    throw new GridError('USAGE', 'one of the two is a dataset, and the other SITE:PATH');
  await using client = await openDatasetClient(context, input);
  await checkSite(context, client, (source ?? target ?? NOWHERE).site);
  return source === undefined
    ? await toSite(context, input, client, { name: from, place: target ?? NOWHERE })
    : await fromSite(context, input, client, { name: to, place: source });
}

/** A job may wait for a site that is still to come; who copies has written the name wrong. */
async function checkSite(
  { signal }: Context,
  { broker }: DatasetClient,
  site: string,
): Promise<void> {
  const { sites } = await broker.call.listSites({}, { signal });
  checkKnown(
    site,
    sites.map(({ id }) => id),
  );
}

/** Throws SITE_NOT_FOUND with the sites that there are. */
export function checkKnown(site: string, ids: readonly string[]): void {
  const others = ids.length === 0 ? 'no site is enrolled yet' : `it has ${ids.join(', ')}`;
  if (!ids.includes(site))
    throw new GridError('SITE_NOT_FOUND', `the grid has no site '${site}'; ${others}`);
}

const NOWHERE: SitePlace = { site: '', path: '' };

/** Undefined for what names no site; throws USAGE where the path is none that a site may have. */
export function sitePlace(text: string): SitePlace | undefined {
  const [, site = '', path = ''] = /^([^:/]+):(.*)$/s.exec(text) ?? [];
  if (!isSiteId(site) || site === 'grid') return undefined;
  const plain = path.replace(/(?<=.)\/+$/s, '');
  const problem = plain === '' ? undefined : sitePathProblem(plain);
  if (problem === undefined) return { site, path: plain };
  throw new GridError('USAGE', `path ${JSON.stringify(path)} at site ${site} ${problem}`);
}

interface Copy {
  /** The dataset, as it was written. */
  readonly name: string;
  readonly place: SitePlace;
}

async function toSite(
  context: Context,
  input: Input,
  client: DatasetClient,
  { name, place }: Copy,
): Promise<number> {
  const { dataset, tree } = await client.find(await client.refOf(name));
  const { site, path } = place;
  const force = input.on('force');
  const transfer: Transfer = path === '' ? { kind: 'warm' } : { kind: 'write', path, force };
  const inputs = [{ from: `grid:${nameOf(dataset)}`, to: 'data' }];
  const id = await start(context, client, { site, vo: dataset.vo, transfer, inputs });
  if (input.on('detach')) return detached(context, id);
  const { tasks } = await ended(context, client, id);
  const movedBytes = tasks[0]?.usage?.bytesIn ?? 0;
  tell(context, { job: id, dataset: nameOf(dataset), site, path, movedBytes }, tree);
  return 0;
}

async function fromSite(
  context: Context,
  input: Input,
  client: DatasetClient,
  { name, place }: Copy,
): Promise<number> {
  const ref = await client.refOf(name);
  if (ref.version !== undefined)
    throw new GridError('USAGE', `'${formatDataset(ref)}': versions are numbered by the grid`);
  const { site, path } = place;
  if (path === '') throw new GridError('USAGE', `name what to copy: ${site}:/PATH`);
  // Rather than after hours of a transfer that then gets no name.
  const wish = { vo: ref.vo, bytes: 0, chunks: [], dataset: ref.name };
  await client.broker.call.askRoom(wish, { signal: context.signal });
  const transfer: Transfer = { kind: 'read', path };
  const id = await start(context, client, { site, vo: ref.vo, transfer, inputs: [] });
  const share = input.on('share') ? ' --share' : '';
  const later = `once it is done: grid data put job:${id} ${formatDataset(ref)}${share}`;
  if (input.on('detach')) {
    context.terminal.note(later);
    return detached(context, id);
  }
  const { outputs, tasks } = await ended(context, client, id, later);
  const tree = outputs.get(0) ?? EMPTY_TREE;
  const named = { vo: ref.vo, name: ref.name, tree: treeToWire(tree) };
  const request = { ...named, shared: input.on('share'), keepMs: 0 };
  const dataset = await client.datasets.putDataset(request, { signal: context.signal });
  const movedBytes = tasks[0]?.usage?.bytesOut ?? 0;
  tell(context, { job: id, dataset: nameOf(dataset), site, path, movedBytes }, tree);
  return 0;
}

interface NewTransfer {
  readonly site: string;
  readonly vo: string;
  readonly transfer: Transfer;
  readonly inputs: readonly { readonly from: string; readonly to: string }[];
}

async function start(
  context: Context,
  { broker }: DatasetClient,
  { site, vo, transfer, inputs }: NewTransfer,
): Promise<string> {
  const spec = {
    name: `copy-${transfer.kind}`,
    command: transferCommand(transfer),
    vo,
    sites: [site],
    inputs,
    memory: '64M',
  };
  const written = readJobText({ name: 'copy', text: JSON.stringify(spec), base: context.cwd });
  const [job] = await submitJobs(context, broker.call, await checkJobs(written));
  if (job === undefined) throw new GridError('INTERNAL', 'the broker answered without a job id');
  return job.id;
}

/**
 * Waits for the end, and says on the way why it waits; throws TRANSFER_FAILED. Who interrupts it is told that the copy goes
 * on, and what is to be done `later`.
 */
async function ended(
  context: Context,
  client: DatasetClient,
  jobId: string,
  later = '',
): ReturnType<typeof readJob> {
  try {
    return await untilCopied(context, client, jobId);
  } catch (error) {
    if (context.signal.aborted) {
      const { note } = context.terminal;
      note(
        `the copy goes on as job ${jobId}: \`grid wait ${jobId}\` waits for it, \`grid cancel ${jobId}\` ends it`,
      );
      if (later !== '') note(later);
    }
    throw error;
  }
}

async function untilCopied(
  context: Context,
  { broker }: DatasetClient,
  jobId: string,
): ReturnType<typeof readJob> {
  const { signal, terminal } = context;
  terminal.note(
    `copying as job ${jobId}; Ctrl-C leaves it running, \`grid why ${jobId}\` explains`,
  );
  await noteIfNowhere(context, broker.call, jobId);
  const untilEnd = async (say: (text: string) => void): ReturnType<typeof readJob> => {
    const onAway = awayNote(say);
    for await (const event of followJob({ broker: broker.call, jobId, signal, onAway })) {
      const { state, site, reason, detail } = event;
      if (state === 'running') say(`under way at ${site}`);
      else if (state === 'queued' && reason !== '') say(`${reason}: ${detail}`);
    }
    const found = await readJob(context, broker, jobId);
    if (found.job.state === 'done') return found;
    const why = [found.job.reason, found.job.detail].filter((text) => text !== '').join(': ');
    throw new GridError('TRANSFER_FAILED', `job ${jobId} is ${found.job.state}: ${why}`);
  };
  const howFar = async (): Promise<string> => {
    const { state, detail } = await summaryOf({ broker: broker.call, jobId, signal });
    return state === 'running' ? detail : '';
  };
  return terminal.showsProgress ? timed(context, untilEnd, howFar) : untilEnd(terminal.note);
}

const TICK_MS = 1_000;
const LOOK_MS = 2_000;

/** One line on a terminal: what was said last, how far it is, and for how long the work has been going on. */
function timed<T>(
  context: Context,
  work: (say: (text: string) => void) => Promise<T>,
  howFar: () => Promise<string>,
): Promise<T> {
  return openSteps(context).run('copying', async (say) => {
    const startedMs = performance.now();
    let words = 'waiting';
    let far = '';
    const show = (): void => {
      const seconds = Math.floor((performance.now() - startedMs) / 1_000);
      const all = far === '' ? words : `${words}, ${far}`;
      say(seconds === 0 ? all : `${all}, for ${formatSeconds(seconds * 1_000)}`);
    };
    const timer = setInterval(show, TICK_MS);
    const looks = setInterval(() => {
      // That the broker is away is said by who follows the job.
      howFar().then(
        (text) => {
          far = text;
        },
        () => undefined,
      );
    }, LOOK_MS);
    try {
      return await work((text) => {
        words = text;
        show();
      });
    } finally {
      clearInterval(timer);
      clearInterval(looks);
      say(words);
    }
  });
}

function detached({ terminal, json }: Context, job: string): number {
  terminal.out(json ? JSON.stringify({ job }) : job);
  return 0;
}

interface Copied {
  readonly job: string;
  readonly dataset: string;
  readonly site: string;
  readonly path: string;
  /** Between the store and the site. */
  readonly movedBytes: number;
}

function tell({ terminal, json }: Context, copied: Copied, { files, totalBytes }: TreeRef): void {
  terminal.out(json ? JSON.stringify(copied) : copied.dataset);
  if (json) return;
  const moved =
    copied.movedBytes === 0 ? 'nothing had to move' : `${formatBytes(copied.movedBytes)} moved`;
  terminal.note(`${counted(files, 'file')}, ${formatBytes(totalBytes)}: ${moved}`);
}
