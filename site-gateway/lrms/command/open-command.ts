import { BatchSilence, type CommandResult, openCommandRunner } from '../batch/batch-command.ts';
import {
  type BatchEnd,
  type BatchJob,
  type BatchOrder,
  type BatchSignal,
  type BatchSystem,
  type Element,
  hasBegun,
  keyOf,
  type MissingElement,
  type SubmitAnswer,
} from '../batch/batch-system.ts';
import { jobName } from '../batch/job-name.ts';
import { parseMemory } from '../batch/memory-words.ts';
import type { Capacity } from '../lrms.ts';
import { queueFor } from '../slurm/slurm-capacity.ts';
import { lastLine, parseClock, type Row, readListing, unreadable } from './listing.ts';
import type { CommandTemplate } from './template.ts';
import { fill, fillText, placeholdersOf, type Values, type Words } from './words.ts';

/** Any batch system that has commands, by a template that says what they are called and how what they print is read. */
export interface CommandOptions {
  readonly template: CommandTemplate;
  /** PATH of the commands. */
  readonly path: string;
  /** Further variables of the commands. */
  readonly env: Readonly<Record<string, string>>;
  readonly account: string;
  readonly extraArgs: readonly string[];
  /** What the site has; the first queue that takes a task gets it. */
  readonly capacity: Capacity;
  /** The account whose jobs these are. */
  readonly uid: number;
  readonly user: string;
}

const JOBS_AT_A_TIME = 500;
const NAME = /^(?:grid-)?([0-9a-f]{16})(?![0-9a-f])/;

export function openCommand(options: CommandOptions): BatchSystem {
  const { template, capacity, uid, user } = options;
  const run = openCommandRunner({ PATH: options.path, ...options.env });
  const who = { uid: String(uid), user };
  const call = async (words: Words, values: Values, timeoutMs: number): Promise<CommandResult> => {
    const [program = '', ...args] = fill(words, { ...values, ...who });
    return run(program, args, timeoutMs);
  };
  return {
    name: template.name,
    leavesMemory: template.ignores.includes('memory'),
    maxTasks: () => template.array?.most ?? 1,
    submit: async (order) => {
      const { submit } = template;
      const answer = await call(submit.run, valuesOf(order, options), submit.timeout);
      return submitAnswer(answer, template, order.count);
    },
    poll: async () => {
      const { poll } = template;
      const answer = await call(poll.run, {}, poll.timeout);
      const jobs = jobsOf(readListing(poll, answer, programOf(poll.run)), template);
      return { jobs, capacity, closedReason: '' };
    },
    autopsy: async (elements) => {
      const { autopsy } = template;
      const ends = new Map<string, BatchEnd>();
      if (autopsy === undefined) return ends;
      for (const values of askedOf(autopsy.run, elements)) {
        const answer = await call(autopsy.run, values, autopsy.timeout);
        for (const row of readListing(autopsy, answer, programOf(autopsy.run))) {
          const [element, end] = [elementOf(row), endOf(row, template)];
          if (element !== undefined && end !== undefined) ends.set(keyOf(element), end);
        }
      }
      return ends;
    },
    signal: async (jobs, signal) => {
      for (const words of template.cancel[CANCEL[signal]])
        for (const values of eachOf(words, { one: 'job', many: 'jobs' }, jobs)) {
          const { ok, stderr } = await call(words, values, template.cancel.timeout);
          // A job that has ended meanwhile is no error.
          if (!ok && template.away.test(stderr)) throw new BatchSilence(lastLine(stderr));
        }
    },
  };
}

const CANCEL = { TERM: 'term', KILL: 'kill' } as const satisfies Record<BatchSignal, string>;
const programOf = (words: Words): string => [words[0] ?? ''].flat()[0] ?? '';

/** All that the batch system hears of a task: numbers, and names that the gateway has made. Nothing of the job's own text. */
function valuesOf(order: BatchOrder, options: CommandOptions): Values {
  const { needs, count } = order;
  const { array } = options.template;
  const isArray = count > 1;
  const mib = Math.ceil(needs.memoryBytes / 2 ** 20);
  const seconds = Math.ceil(needs.walltimeMs / 1_000);
  const minutes = Math.ceil(seconds / 60);
  const orNone = (value: number, text = String(value)): string => (value > 0 ? text : '');
  return {
    script: order.script,
    directory: order.directory,
    task: isArray ? array?.['index-variable'] : '1',
    name: jobName(order.token),
    count: String(count),
    index: isArray ? '' : '1',
    array: isArray ? `1-${count}` : '',
    cpus: String(needs.cpus),
    'total-cpus': String(needs.cpus * needs.nodes),
    nodes: String(needs.nodes),
    gpus: orNone(needs.gpus),
    'memory-bytes': String(needs.memoryBytes),
    'memory-kib': String(Math.ceil(needs.memoryBytes / 2 ** 10)),
    'memory-mib': String(mib),
    'total-memory-mib': String(mib * needs.nodes),
    'walltime-seconds': orNone(seconds),
    'walltime-minutes': orNone(minutes),
    'walltime-clock': orNone(seconds, clockOf(seconds)),
    queue: queueFor(needs, options.capacity.queues)?.name ?? '',
    account: options.account,
    'extra-args': options.extraArgs,
  };
}

const clockOf = (seconds: number): string => {
  const parts = [seconds / 3_600, (seconds / 60) % 60, seconds % 60];
  return parts.map((part) => String(Math.floor(part)).padStart(2, '0')).join(':');
};

function submitAnswer(
  answer: CommandResult,
  template: CommandTemplate,
  count: number,
): SubmitAnswer {
  const { submit, array } = template;
  if (!answer.ok) return failedSubmit(answer, template);
  const parts = submit.job.exec(answer.stdout)?.groups;
  if (parts === undefined) throw unreadable(programOf(submit.run), answer.stdout);
  const text = count > 1 ? (array?.['job-name'] ?? '') : submit['job-name'];
  return { kind: 'submitted', jobOf: (index) => fillText(text, { ...parts, index: `${index}` }) };
}

/** Only what is said about this very job is a refusal; other trouble is the system's, and the job waits. */
function failedSubmit(
  { stdout, stderr }: CommandResult,
  { submit, away }: CommandTemplate,
): SubmitAnswer {
  const said = `${stderr}\n${stdout}`;
  const words = lastLine(stderr) || lastLine(stdout);
  if (submit.full?.test(said) === true) return { kind: 'full', words };
  if (away.test(said) || !submit.refused.test(said))
    throw new BatchSilence(words || `${programOf(submit.run)} failed without a word`);
  return { kind: 'refused', words };
}

/** One of ours, or undefined. */
function elementOf({ name, index }: Row): Element | undefined {
  const token = NAME.exec(name)?.[1];
  return token === undefined ? undefined : { token, index: Number(index || 1) };
}

function jobsOf(rows: readonly Row[], { states }: CommandTemplate): ReadonlyMap<string, BatchJob> {
  const jobs = new Map<string, BatchJob>();
  for (const row of rows) {
    const element = elementOf(row);
    if (element === undefined || states.over?.test(row.state) === true) continue;
    const state = stateOf(row, states);
    if (!hasBegun(jobs.get(keyOf(element))))
      jobs.set(keyOf(element), { id: row.job, state, reason: row.reason });
  }
  return jobs;
}

function stateOf({ state }: Row, states: CommandTemplate['states']): BatchJob['state'] {
  if (states.waits.test(state)) return 'waits';
  return states.suspended?.test(state) === true ? 'suspended' : 'runs';
}

/** Undefined for a state in which it has not ended. */
function endOf(row: Row, { states, ends }: CommandTemplate): BatchEnd | undefined {
  const { state, reason } = row;
  if (states.over?.test(state) !== true) return undefined;
  const words = reason === '' ? state : `${state}, ${reason}`;
  const said = (['walltime', 'memory', 'cancelled', 'node-failed'] as const).find(
    (kind) => ends[kind]?.test(row.text) === true,
  );
  const usage = {
    cpuMs: parseClock(row.cputime),
    wallMs: parseClock(row.walltime),
    peakMemoryBytes: parseMemory(row.peak),
  };
  const knows = row.cputime + row.walltime + row.peak !== '';
  return { kind: said ?? 'ended', words, ...(knows ? { usage } : {}) };
}

/** For each time that the command has to be run: whom it asks about. */
function askedOf(words: Words, elements: readonly MissingElement[]): readonly Values[] {
  const names = [...new Set(elements.map(({ token }) => jobName(token)))];
  const jobs = elements.map(({ job }) => job).filter((job) => job !== '');
  const byName = placeholdersOf(words).has('name') || placeholdersOf(words).has('names');
  return byName
    ? eachOf(words, { one: 'name', many: 'names' }, names)
    : eachOf(words, { one: 'job', many: 'jobs' }, jobs);
}

function eachOf(
  words: Words,
  { one, many }: { readonly one: string; readonly many: string },
  values: readonly string[],
): readonly Values[] {
  if (placeholdersOf(words).has(one)) return values.map((value) => ({ [one]: value }));
  const calls = Math.ceil(values.length / JOBS_AT_A_TIME);
  return Array.from({ length: calls }, (_, at) => ({
    [many]: values.slice(at * JOBS_AT_A_TIME, (at + 1) * JOBS_AT_A_TIME),
  }));
}
