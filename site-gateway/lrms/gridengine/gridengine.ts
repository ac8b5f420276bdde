import { join } from 'node:path';
import type { Clock } from '../../../service/clock.ts';
import { BatchSilence, type CommandRunner, openCommandRunner } from '../batch/batch-command.ts';
import {
  type BatchEnd,
  type BatchJob,
  type BatchSignal,
  type BatchSystem,
  type Element,
  hasBegun,
  type JobOwners,
  keyOf,
  type MissingElement,
} from '../batch/batch-system.ts';
import type { Capacity } from '../lrms.ts';
import { readAccounting } from './accounting.ts';
import { capacityOf, closedReason } from './capacity.ts';
import { openExpectedWait } from './expected-wait.ts';
import { openLayout, type Tell } from './layout.ts';
import { lostOf, openLostHosts } from './lost-hosts.ts';
import { withoutEnvironment } from './parallel.ts';
import {
  type JobLine,
  jobIdOf,
  parseDetails,
  parseQstat,
  type QstatAnswer,
  stateOf,
} from './qstat.ts';
import { AWAY, submit, wordsOf } from './qsub.ts';
import { type RequestOptions, requestOf } from './request.ts';
import { openWaitReasons } from './wait-reasons.ts';

/** Grid Engine by its commands: XML where they have it. Made against Son of Grid Engine 8.1.9. */
export interface GridEngineOptions extends RequestOptions {
  /** SGE_ROOT; the commands' own default where it is ''. */
  readonly root: string;
  /** SGE_CELL. */
  readonly cell: string;
  /** SGE_QMASTER_PORT and SGE_EXECD_PORT; those of /etc/services where undefined. */
  readonly ports: { readonly qmaster: number | undefined; readonly execd: number | undefined };
  /** PATH of the commands. */
  readonly path: string;
  /** Complex by which memory is asked for; '' for the first of the usual ones that can be used up. */
  readonly memory: string;
  /** Complex by which GPUs are asked for; '' for none. */
  readonly gpus: string;
  /** Complexes by which licences are asked for, by the grid's names; what is not named Grid Engine does not hear of. */
  readonly licences: Readonly<Record<string, string>>;
  /** A host that is not heard of for so long is lost, and its jobs with it. */
  readonly hostPatienceMs: number;
  /** How long qsub may take; 30 s where it is not said. */
  readonly submitTimeoutMs?: number;
  readonly clock: Clock;
}

const LOOK_TIMEOUT_MS = 10_000;
const JOBS_AT_A_TIME = 500;
/** Debian's default. */
const DEFAULT_ROOT = '/var/lib/gridengine';
/** Accounting is written at intervals, 15 s by default. */
const SETTLE_MS = 20_000;

export function openGridEngine(options: GridEngineOptions): BatchSystem {
  const run = openCommandRunner(environmentOf(options));
  const tell: Tell = (command, args) => told(run, command, args);
  const layout = openLayout(tell, options);
  const lostHosts = openLostHosts(options);
  const waits = openWaitReasons(run, tell);
  const expected = openExpectedWait(inUtc(options), options.clock);
  const accounting = join(options.root || DEFAULT_ROOT, options.cell, 'common/accounting');
  let limits: Capacity['queues'] = [];
  let troubled: ReadonlyMap<string, JobLine> = new Map();
  let lost: ReadonlyMap<string, string> = new Map();
  return {
    name: 'Grid Engine',
    settleMs: SETTLE_MS,
    maxTasks: () => layout.maxTasks(),
    submit: async (order) => {
      expected.sees(order.needs);
      const request = requestOf(order, options, layout.now(), limits);
      if (request === undefined) {
        const words = withoutEnvironment(order.needs, layout.now().environments);
        return { kind: 'refused', words };
      }
      return submit(run, request, order, options.submitTimeoutMs);
    },
    poll: async (owners) => {
      await layout.look();
      const { instances, pending } = await queueOf(tell, layout.resources(), owners);
      await layout.lookAtHosts(instances);
      lost = lostOf(instances, lostHosts(instances));
      const lines = [...instances.flatMap(({ jobs }) => jobs), ...pending];
      const isKnown = (key: string): boolean => !lost.has(key);
      troubled = elementsOf(lines.filter((line) => stateOf(line) === 'stuck'));
      const reasons = await waits(lines.filter((line) => stateOf(line) === 'waits'));
      const capacity = capacityOf(instances, layout.now());
      limits = capacity.queues;
      return {
        jobs: jobsOf(lines, reasons, isKnown),
        capacity: await expected.with(capacity, instances, layout.now()),
        closedReason: closedReason(instances, layout.now()),
      };
    },
    autopsy: async (elements, owners) => {
      const ends = await autopsy(accounting, elements, owners);
      const stuck = await stuckEnds(tell, elements, troubled);
      const gone = lostEnds(elements, lost);
      return new Map([...ends, ...stuck, ...gone]);
    },
    signal: async (jobs, signal) => {
      for (let at = 0; at < jobs.length; at += JOBS_AT_A_TIME)
        await remove(run, jobs.slice(at, at + JOBS_AT_A_TIME), signal);
    },
  };
}

/** qstat, which writes instants without an offset. */
function inUtc(options: GridEngineOptions): (args: readonly string[]) => Promise<string> {
  const run = openCommandRunner({ ...environmentOf(options), TZ: 'UTC' });
  return (args) => told(run, 'qstat', args);
}

function environmentOf({ root, cell, ports, path }: GridEngineOptions): Record<string, string> {
  const optional = {
    SGE_ROOT: root,
    SGE_CELL: cell,
    SGE_QMASTER_PORT: ports.qmaster === undefined ? '' : String(ports.qmaster),
    SGE_EXECD_PORT: ports.execd === undefined ? '' : String(ports.execd),
  };
  const set = Object.entries(optional).filter(([, value]) => value !== '');
  return { PATH: path, ...Object.fromEntries(set) };
}

/** What a command says when all goes well. */
async function told(run: CommandRunner, command: string, args: readonly string[]): Promise<string> {
  const { ok, stdout, stderr } = await run(command, args, LOOK_TIMEOUT_MS);
  if (!ok) throw new BatchSilence(wordsOf(stderr || stdout) || `${command} failed without a word`);
  return stdout;
}

/** The queues, and the jobs in them: without what other users call as the gateway calls a submission. */
async function queueOf(
  tell: Tell,
  resources: readonly string[],
  owners: JobOwners,
): Promise<QstatAnswer> {
  const users = owners.all().map(({ name }) => name);
  const args = ['-f', '-F', resources.join(','), '-r', '-u', users.join(','), '-xml'];
  const { instances, pending } = parseQstat(await tell('qstat', args));
  const own = (lines: readonly JobLine[]): readonly JobLine[] =>
    lines.filter(({ token, owner }) => owners.isOwn(token, { name: owner }));
  return {
    instances: instances.map((instance) => ({ ...instance, jobs: own(instance.jobs) })),
    pending: own(pending),
  };
}

function jobsOf(
  lines: readonly JobLine[],
  reasons: ReadonlyMap<string, string>,
  isKnown: (key: string) => boolean,
): ReadonlyMap<string, BatchJob> {
  const jobs = new Map<string, BatchJob>();
  for (const line of lines)
    for (const index of line.indexes) {
      const key = keyOf({ token: line.token, index });
      const reason = reasons.get(line.number) ?? '';
      const job = { id: jobIdOf(line, index), state: stateOf(line), reason };
      if (isKnown(key) && !hasBegun(jobs.get(key))) jobs.set(key, job);
    }
  return jobs;
}

const elementsOf = (lines: readonly JobLine[]): ReadonlyMap<string, JobLine> =>
  new Map(
    lines.flatMap((line) =>
      line.indexes.map((index) => [keyOf({ token: line.token, index }), line] as const),
    ),
  );

const lostEnds = (
  elements: readonly Element[],
  lost: ReadonlyMap<string, string>,
): readonly (readonly [string, BatchEnd])[] =>
  elements.flatMap((element) => {
    const words = lost.get(keyOf(element));
    if (words === undefined) return [];
    return [[keyOf(element), { kind: 'node-failed', words, isListed: true }] as const];
  });

async function autopsy(
  file: string,
  elements: readonly MissingElement[],
  owners: JobOwners,
): Promise<ReadonlyMap<string, BatchEnd>> {
  return (await readAccounting(file, elements, owners)) ?? new Map<string, BatchEnd>();
}

/** Of elements that could not be started: why, from where they still stand. */
async function stuckEnds(
  tell: Tell,
  elements: readonly Element[],
  troubled: ReadonlyMap<string, JobLine>,
): Promise<ReadonlyMap<string, BatchEnd>> {
  const stuck = elements.flatMap((element) => {
    const line = troubled.get(keyOf(element));
    return line === undefined ? [] : [{ element, line }];
  });
  if (stuck.length === 0) return new Map();
  const numbers = [...new Set(stuck.map(({ line }) => line.number))];
  const { errors } = parseDetails(await tell('qstat', ['-j', numbers.join(','), '-xml']));
  return new Map(
    stuck.map(({ element, line }) => {
      const words = errors.get(line.number)?.get(element.index) ?? `state ${line.state}`;
      return [keyOf(element), { kind: 'not-begun', words, isListed: true }] as const;
    }),
  );
}

/** Both signals are qdel: it announces the end to the script, and the script does the rest. */
async function remove(
  run: CommandRunner,
  jobs: readonly string[],
  _signal: BatchSignal,
): Promise<void> {
  const { ok, stdout, stderr } = await run('qdel', jobs, LOOK_TIMEOUT_MS);
  // A job that has ended meanwhile is no error.
  const words = wordsOf(stderr || stdout);
  if (!ok && AWAY.test(words)) throw new BatchSilence(words);
}
