import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { ERRORS } from '../../core/error-codes.ts';
import { GridError } from '../../core/errors.ts';
import { vosOf } from '../../core/vo/caller.ts';
import type { BrokerService } from '../../proto/gen/grid/v1/broker.ts';
import { type CheckedJob, checkJobs } from '../../service/documents/check-jobs.ts';
import type { Connection } from '../../service/rpc/grpc-client.ts';
import { callerFromWire } from '../../service/rpc/wire.ts';
import { readTreeFile } from '../../service/staging/read-tree.ts';
import { checkCertificate, checkKey, checkProxy, checkTrust } from '../certs/cert-checks.ts';
import type { Context } from '../context.ts';
import { chooseVo, openUserStaging } from '../data/staging.ts';
import { argument, type Input } from '../input.ts';
import { readJob } from '../jobs/job-detail.ts';
import { pathsOf, sendOne, submitJobs } from '../jobs/submit.ts';
import { tailTask } from '../jobs/tail.ts';
import { brokerRemedy } from './link-remedy.ts';
import { followProbe } from './probe-follow.ts';
import { BrokenLink, type Chain, type Held, held, openChain } from './probe-links.ts';
import { checkMatch, checkSite } from './probe-site.ts';

const PATIENCE_MS = 300_000;

/** `grid site test`: sends a probe through every link of the chain and says which one does not hold. */
export async function testSite(context: Context, input: Input): Promise<number> {
  const site = argument(input, 0);
  const chain = openChain(context);
  const base = await mkdtemp(join(tmpdir(), 'grid-probe-'));
  let jobId = '';
  try {
    const probe = { context, chain, site, word: randomUUID(), base };
    await link(chain, 'certificate', () => checkCredential(context));
    using broker = await link(chain, 'broker', () => meetBroker(context, input), brokerRemedy);
    await link(chain, 'site', () => checkSite(broker, site, context.signal));
    const job = await probeJob(probe, await voOf(context, broker, input));
    await link(chain, 'match', () => checkMatch(broker, site, job, context.signal));
    const patienceMs = input.duration('timeout') ?? PATIENCE_MS;
    await link(chain, 'store', () => sendInput({ ...probe, patienceMs }, broker, job));
    jobId = await link(chain, 'submit', () => submitProbe(context, broker, job));
    await tryLinks({
      ...probe,
      broker,
      jobId,
      patienceMs,
    });
  } catch (error) {
    if (!(error instanceof BrokenLink)) throw error;
  } finally {
    chain.rests();
    await rm(base, { recursive: true, force: true });
  }
  return verdict(context, chain, site, jobId);
}

function verdict(context: Context, chain: Chain, site: string, jobId: string): number {
  const { reports } = chain;
  const ok = reports.every((report) => report.ok);
  const { terminal, json } = context;
  if (json) terminal.out(JSON.stringify({ site, ok, jobId, links: reports }));
  else if (ok) terminal.note(`site ${site} works: all ${reports.length} links hold (job ${jobId})`);
  else {
    const job = jobId === '' ? '' : `; its history: grid job events ${jobId}`;
    terminal.note(`site ${site} does not work: the link '${reports.at(-1)?.link}' fails${job}`);
  }
  return ok ? 0 : 1;
}

/** Tries one link; throws BrokenLink after its line was written. */
async function link<T>(
  chain: Chain,
  name: string,
  work: () => Promise<Held<T>>,
  remedyFor = (_: string, usual: string): string => usual,
): Promise<T> {
  const sinceMs = performance.now();
  chain.tries(name);
  try {
    const { value, words } = await work();
    chain.holds(name, sinceMs, words);
    return value;
  } catch (error) {
    const known = asBroken(error);
    chain.breaks(name, sinceMs, known.message, remedyFor(known.message, known.remedy));
    throw known;
  }
}

/** An error of the catalogue brings its own remedy; what is not in it is a fault of ours and is thrown on. */
function asBroken(error: unknown): BrokenLink {
  if (error instanceof BrokenLink) return error;
  if (!(error instanceof GridError) || error.code === 'INTERNAL' || error.code === 'INTERRUPTED')
    throw error;
  return new BrokenLink(`${error.code}: ${error.message}`, ERRORS[error.code].remedy);
}

async function checkCredential(context: Context): Promise<Held<void>> {
  const { env } = context;
  const known = await context.settings();
  const nowMs = Date.now();
  // With a proxy of its own (X509_USER_PROXY) nothing else need be there.
  const own =
    env['X509_USER_PROXY'] === undefined
      ? [checkCertificate(known, env, nowMs), checkKey(known, env)]
      : [];
  const findings = [...own, checkProxy(known, env, nowMs), ...checkTrust(known, env, nowMs)];
  const bad = findings.find(({ verdict: how }) => how === 'fail');
  if (bad !== undefined) {
    const what = bad.check === 'certificate' ? bad.detail : `${bad.check}: ${bad.detail}`;
    throw new BrokenLink(
      `a test sends a job of yours: ${what}`,
      `${bad.remedy ?? 'run `grid cert doctor`'}; or let a member of a VO run this test`,
    );
  }
  return held(undefined, findings.at(-1)?.detail ?? '');
}

async function meetBroker(
  context: Context,
  input: Input,
): Promise<Held<Connection<BrokerService>>> {
  const broker = await context.openBroker();
  const { caller } = await broker.call.whoAmI({}, { signal: context.signal });
  const { dn } = callerFromWire(caller);
  const vo = input.text('vo') ?? vosOf(callerFromWire(caller)).join(', ');
  if (vo === '') throw new BrokenLink(`${dn} shows no VO to act under`, 'run `grid login --vo VO`');
  return held(broker, `lets ${dn} in, VO ${vo}`);
}

async function voOf(
  context: Context,
  broker: Connection<BrokerService>,
  input: Input,
): Promise<string> {
  const named = input.text('vo') ?? (await context.settings()).vo;
  return named ?? chooseVo(context, broker.call);
}

interface Probe {
  readonly context: Context;
  readonly chain: Chain;
  readonly site: string;
  /** What must come back. */
  readonly word: string;
  /** Directory of its input. */
  readonly base: string;
}

/** Reads a file, writes two streams and a file: all that a job can do. */
async function probeJob({ site, word, base }: Probe, vo: string): Promise<CheckedJob> {
  await writeFile(join(base, 'probe.txt'), `${word}\n`);
  const raw = {
    name: 'site-test',
    command: ['sh', '-c', 'cat probe.txt && cp probe.txt probe.out && hostname >&2'],
    inputs: ['probe.txt'],
    outputs: ['probe.out'],
    memory: '64M',
    walltime: '5m',
    sites: [site],
    vo,
  };
  const [job] = await checkJobs([{ raw, base, where: () => '' }]);
  if (job === undefined) throw new TypeError('a job was checked and is not there');
  return job;
}

/** Longer than a restart of nats-server takes. */
const STORE_PATIENCE_MS = 8_000;

const silent = (context: Context): Context => ({
  ...context,
  quiet: true,
  terminal: { ...context.terminal, note: () => undefined },
});

/** Sends the input before the job is, so that a store that is away is named within seconds. */
async function sendInput(
  { context, base, patienceMs }: Probe & { readonly patienceMs: number },
  broker: Connection<BrokerService>,
  { spec }: CheckedJob,
): Promise<Held<void>> {
  const atMostMs = Math.min(STORE_PATIENCE_MS, patienceMs);
  await using store = await openUserStaging(context, broker.call, spec.vo, atMostMs);
  await sendOne(silent(context), store, base, pathsOf(spec));
  return held(undefined, `nats-server has the input, in the store of VO ${spec.vo}`);
}

async function submitProbe(
  context: Context,
  broker: Connection<BrokerService>,
  job: CheckedJob,
): Promise<Held<string>> {
  const [submitted] = await submitJobs(silent(context), broker.call, [job]);
  const id = submitted?.id ?? '';
  return held(id, `job ${id} is in the ledger`);
}

interface Sent extends Probe {
  readonly broker: Connection<BrokerService>;
  readonly jobId: string;
  readonly patienceMs: number;
}

/** From the gateway to the result. A probe that gets stuck is cancelled. */
async function tryLinks(probe: Sent): Promise<void> {
  const { context, chain, broker, jobId } = probe;
  try {
    await followProbe(probe);
  } catch (error) {
    await broker.call
      .cancelJobs({ jobIds: [jobId], reason: 'the test of the site is over' }, {})
      .catch(() => undefined);
    throw error;
  }
  const detail = await readJob(context, broker, jobId);
  await link(chain, 'logs', async () => {
    const said = await streamOf(probe, detail.spec.vo, 'stdout');
    if (said.trim() !== probe.word)
      throw new BrokenLink(`stdout is '${said.slice(0, 80)}', not what the probe wrote`, LOST);
    const host = (await streamOf(probe, detail.spec.vo, 'stderr')).trim();
    return held(undefined, `both streams came back; it ran on ${host}`);
  });
  await link(chain, 'result', async () => {
    const tree = detail.outputs.get(0);
    if (tree === undefined) throw new BrokenLink('the job has no results', LOST);
    await using store = await openUserStaging(context, broker.call, detail.spec.vo);
    const bytes = await buffer(readTreeFile(store, tree, 'probe.out', context.signal));
    if (bytes.toString().trim() !== probe.word)
      throw new BrokenLink('probe.out is not what went in', LOST);
    return held(undefined, `${bytes.byteLength} bytes went in and came back the same`);
  });
}

const LOST = 'look at the log of the gateway and of nats-server, and report it';

async function streamOf(
  { context, broker, jobId }: Sent,
  vo: string,
  stream: 'stdout' | 'stderr',
): Promise<string> {
  const wish = { broker: broker.call, jobId, ordinal: 0, stream, vo, follow: false };
  return (await buffer(tailTask(context, wish))).toString();
}
