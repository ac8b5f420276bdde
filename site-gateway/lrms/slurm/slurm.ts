import { randomBytes } from 'node:crypto';
import type { Clock } from '../../../service/clock.ts';
import {
  BatchSilence,
  type CommandResult,
  type CommandRunner,
  openCommandRunner,
  unanswered,
} from '../batch/batch-command.ts';
import {
  type BatchEnd,
  type BatchJob,
  type BatchOrder,
  type BatchSystem,
  type Element,
  hasBegun,
  type JobOwners,
  keyOf,
  type Needs,
  type SubmitAnswer,
} from '../batch/batch-system.ts';
import { jobName } from '../batch/job-name.ts';
import { runnerAs, unsubmittable } from '../batch/submit-as.ts';
import type { Capacity } from '../lrms.ts';
import { capacityOf, choose, closedReason, gpuTypeOf, isOpen, queueFor } from './slurm-capacity.ts';
import { LOOK_TIMEOUT_MS, told, wordsOf } from './slurm-command.ts';
import { openLimitLooks } from './slurm-limits.ts';
import {
  endOf,
  jobOf,
  parseNodes,
  parseQueue,
  parseTestedStart,
  type QueueLine,
  queueFormat,
} from './slurm-output.ts';

/** Slurm by its commands and their text: JSON and REST change with every release, and 22.05 reports wrong exit codes there. */
export interface SlurmOptions {
  /** slurm.conf; the commands' own default where it is ''. */
  readonly conf: string;
  /** PATH of the commands. */
  readonly path: string;
  /** Partitions to use, best first; empty for the default one. */
  readonly partitions: readonly string[];
  readonly account: string;
  /** The reservation that jobs run in; '' for none. */
  readonly reservation: string;
  /** Names of licences in Slurm, by those of the grid; what is not named Slurm does not hear of. */
  readonly licences: Readonly<Record<string, string>>;
  /** Further arguments of sbatch. */
  readonly extraArgs: readonly string[];
  /** How long sbatch may take; 30 s where it is not said. */
  readonly submitTimeoutMs?: number;
  readonly clock: Clock;
}

const SUBMIT_TIMEOUT_MS = 30_000;
const JOBS_AT_A_TIME = 500;
/** Looks between two questions when a task would start: with all it asks the gateway runs 30 commands a minute. */
const START_LOOKS = 6;
/** What is asked for before a task has come. */
const SMALL: Needs = { cpus: 1, memoryBytes: 2 ** 20, gpus: 0, nodes: 1, walltimeMs: 0 };

export function openSlurm(options: SlurmOptions): BatchSystem {
  const mark = randomBytes(8).toString('hex');
  const { run, look, lookAhead } = runnersOf(options, mark);
  const waitOf = openStartLooks(lookAhead, options);
  const limits = openLimitLooks(look, options);
  let queues: Capacity['queues'] = [];
  let typical = SMALL;
  return {
    name: 'Slurm',
    maxTasks: () => Math.max(1, limits.last().maxArray - 1),
    submit: async (order) => {
      typical = order.needs;
      const args = submitArgs(order, { ...options, queue: queueFor(order.needs, queues) });
      const { submitTimeoutMs = SUBMIT_TIMEOUT_MS } = options;
      const result = await runnerAs(run, order)('sbatch', args, submitTimeoutMs);
      // It was closed since the last look at it.
      if (CLOSED.test(result.stderr)) limits.forget();
      return unsubmittable(order, result.stderr) ?? submitAnswer(result, order.count);
    },
    poll: async (owners) => {
      const { partitions, reserved } = await limits();
      const users = owners.all().map(({ uid }) => uid);
      const [queue, nodes] = await Promise.all([
        told(look, 'squeue', ['-h', '-a', `--user=${users.join(',')}`]),
        told(look, 'scontrol', ['-o', '-d', '-a', 'show', 'node']),
      ]);
      const lines = parseQueue(queue, mark, owners);
      const open = parseNodes(nodes).filter((node) => isOpen(node, reserved));
      const chosen = choose(partitions, options.partitions);
      const capacity = capacityOf(open, lines, chosen);
      ({ queues } = capacity);
      const said = { ...capacity, expectedWaitMs: await waitOf(typical, queues) };
      return { jobs: jobsOf(lines), capacity: said, closedReason: closedReason(chosen, open) };
    },
    autopsy: (elements, owners) => autopsy(look, { elements, owners, mark }),
    signal: async (jobs) => {
      for (let at = 0; at < jobs.length; at += JOBS_AT_A_TIME)
        await cancelJobs(run, jobs.slice(at, at + JOBS_AT_A_TIME));
    },
    signalUnseen: async (jobs, token, uid) => {
      const which = [`--name=${jobName(token)}`, `--user=${uid}`];
      for (let at = 0; at < jobs.length; at += JOBS_AT_A_TIME)
        await cancelJobs(run, [...which, ...jobs.slice(at, at + JOBS_AT_A_TIME)]);
    },
  };
}

function runnersOf({ path, conf }: SlurmOptions, mark: string) {
  const env = { PATH: path, ...(conf === '' ? {} : { SLURM_CONF: conf }) };
  return {
    run: openCommandRunner(env),
    look: openCommandRunner({
      ...env,
      // Without it long lists of array elements are cut.
      SLURM_BITSTR_LEN: '0',
      // Here, because words of a command are seen by everybody on the machine.
      SQUEUE_FORMAT: queueFormat(mark),
    }),
    // Slurm writes instants without an offset.
    lookAhead: openCommandRunner({ ...env, TZ: 'UTC' }),
  };
}

interface PlaceOptions extends SlurmOptions {
  readonly queue: Capacity['queues'][number] | undefined;
}

/** Asks now and then how long a task would wait; 0 where there is no answer, which says nothing of how Slurm is. */
function openStartLooks(run: CommandRunner, options: SlurmOptions) {
  let looks = 0;
  let waitMs = 0;
  return async (needs: Needs, queues: Capacity['queues']): Promise<number> => {
    if (looks++ % START_LOOKS !== 0) return waitMs;
    const asked = needsArgs(needs, { ...options, queue: queueFor(needs, queues) });
    const args = ['--test-only', ...asked, '--wrap=true'];
    const said = await run('sbatch', args, LOOK_TIMEOUT_MS).catch(() => undefined);
    const atMs = parseTestedStart(said?.stderr ?? '');
    waitMs = atMs === undefined ? 0 : Math.max(0, atMs - options.clock.nowMs());
    return waitMs;
  };
}

function submitArgs(order: BatchOrder, options: PlaceOptions): readonly string[] {
  const { needs, count, directory } = order;
  const isArray = count > 1;
  return [
    '--parsable',
    `--job-name=${jobName(order.token)}`,
    `--comment=${order.comment}`,
    '--no-requeue',
    '--propagate=NONE',
    `--chdir=${directory}`,
    // Relative: in a path Slurm would read `%`.
    `--output=${isArray ? '%a' : '1'}.log`,
    '--open-mode=append',
    '--input=/dev/null',
    ...needsArgs(needs, options),
    ...(isArray ? [`--array=1-${count}`] : []),
    order.script,
    directory,
    ...(isArray ? [] : ['1']),
  ];
}

const needsArgs = (needs: Needs, options: PlaceOptions): readonly string[] => [
  `--nodes=${needs.nodes}`,
  // A core is a slot, so that mpirun and srun start as many processes as there are cores.
  `--ntasks-per-node=${needs.cpus}`,
  `--mem=${Math.ceil(needs.memoryBytes / 2 ** 20)}M`,
  ...(needs.walltimeMs > 0 ? [`--time=${Math.ceil(needs.walltimeMs / 60_000)}`] : []),
  ...(needs.gpus > 0 ? [`--gres=gpu${gpuTypeOf(needs, options.queue)}:${needs.gpus}`] : []),
  ...(options.queue === undefined ? [] : [`--partition=${options.queue.name}`]),
  ...(options.account === '' ? [] : [`--account=${options.account}`]),
  ...(options.reservation === '' ? [] : [`--reservation=${options.reservation}`]),
  ...licenceArgs(needs, options),
  ...options.extraArgs,
];

function licenceArgs({ licences = {} }: Needs, options: SlurmOptions): readonly string[] {
  const known = Object.entries(licences).filter(([name]) => Object.hasOwn(options.licences, name));
  const words = known.map(([name, count]) => `${options.licences[name]}:${count}`);
  return words.length === 0 ? [] : [`--licenses=${words.join(',')}`];
}

const CLOSED = /required partition not available/i;
/** One text stands for every limit of QOS and associations: the line before says which it is. */
const LIMIT = /^sbatch: error: ((?:QOS|Assoc|Max)\w+)$/m;
/** Of those only the ones on how many jobs there may be are over with time. */
const FULL =
  /(?:Max|Grp)Submit|MaxJobCount|limit on number of jobs|temporarily unable|submissions disabled/i;
const AWAY =
  /contact slurm controller|timed out|connection|transmitted|authentication|socket|slurmctld|unexpected message|message (?:send|receive) failure|I\/O error|standby/i;

/** What sbatch itself finds wrong with what it is asked; slurmctld has not heard of it. */
const WRONG = /^sbatch: (?:error: )?((?:invalid|unrecognized|ambiguous|option) .*)/im;

/** Only what is said about this very job is a refusal; other trouble is the system's, and the job waits. */
function submitAnswer({ ok, stdout, stderr }: CommandResult, count: number): SubmitAnswer {
  // Whole only with the end of its line.
  const id = /^(\d+)(?:;\S*)?\n$/.exec(stdout)?.[1];
  if (ok && id !== undefined)
    return { kind: 'submitted', jobOf: (index) => (count > 1 ? `${id}_${index}` : id) };
  const failure = failureOf(stderr);
  const words = failure ?? wordsOf(stderr);
  if (FULL.test(stderr) || CLOSED.test(stderr)) return { kind: 'full', words };
  if (failure === undefined || AWAY.test(failure)) throw unanswered('sbatch', words, stdout);
  return { kind: 'refused', words };
}

/** Why a submission failed; undefined where nothing is said about that. */
function failureOf(stderr: string): string | undefined {
  const words = (/Batch job submission failed: (.*)/.exec(stderr) ?? WRONG.exec(stderr))?.[1];
  const limit = LIMIT.exec(stderr)?.[1];
  return words === undefined || limit === undefined ? words : `${limit}: ${words}`;
}

function jobsOf(queue: readonly QueueLine[]): ReadonlyMap<string, BatchJob> {
  const jobs = new Map<string, BatchJob>();
  for (const line of queue)
    for (const index of line.indexes) {
      const key = keyOf({ token: line.token, index });
      const job = jobOf(line, index);
      if (!hasBegun(jobs.get(key))) jobs.set(key, job);
    }
  return jobs;
}

interface Asked {
  readonly elements: readonly Element[];
  readonly owners: JobOwners;
  /** See `queueFormat`. */
  readonly mark: string;
}

/** By name, in every partition and every state: Slurm knows ended jobs for MinJobAge, 300 s by default. */
async function autopsy(
  run: CommandRunner,
  { elements, owners, mark }: Asked,
): Promise<ReadonlyMap<string, BatchEnd>> {
  const names = [...new Set(elements.map(({ token }) => jobName(token)))].join(',');
  const text = await told(run, 'squeue', ['-h', '-a', '-t', 'all', '-n', names]);
  const ends = new Map<string, BatchEnd>();
  for (const line of parseQueue(text, mark, owners)) {
    const end = endOf(line);
    if (end === undefined) continue;
    for (const index of line.indexes) ends.set(keyOf({ token: line.token, index }), end);
  }
  return ends;
}

/**
 * Slurm sends TERM at once and KILL after KillWait, 30 s by default, whatever scancel is asked for, and will hear nothing more of the
 * job. The script kills where the gateway allows it (Submissions.allowKill). A job that has ended meanwhile is no error.
 */
async function cancelJobs(run: CommandRunner, jobs: readonly string[]): Promise<void> {
  const { ok, stderr } = await run('scancel', jobs, LOOK_TIMEOUT_MS);
  if (!ok && AWAY.test(stderr)) throw new BatchSilence(wordsOf(stderr));
}
