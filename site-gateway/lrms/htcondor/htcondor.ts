import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
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
  type BatchSystem,
  hasBegun,
  keyOf,
  type MissingElement,
  type SubmitAnswer,
} from '../batch/batch-system.ts';
import {
  END_ATTRIBUTES,
  endOf,
  isThere,
  JOB_ATTRIBUTES,
  type JobAd,
  jobOf,
  listedEnd,
  parseEnds,
  parseJobs,
  parseSlots,
  SLOT_ATTRIBUTES,
} from './ads.ts';
import { capacityOf, closedReason } from './capacity.ts';
import { type SubmitOptions, submitFile } from './submit-file.ts';

/** HTCondor by its commands: a schedd on this machine, and nodes that see the spool. */
export interface HTCondorOptions extends SubmitOptions {
  /** CONDOR_CONFIG; the commands' own default where it is ''. */
  readonly config: string;
  /** PATH of the commands. */
  readonly path: string;
  /** The account whose jobs these are. */
  readonly user: string;
}

const LOOK_TIMEOUT_MS = 20_000;
const SUBMIT_TIMEOUT_MS = 60_000;
const MOST_TASKS = 1_000;
const JOBS_AT_A_TIME = 500;
/** Records of the history that are read at most. */
const MOST_RECORDS = 100_000;

export function openHTCondor(options: HTCondorOptions): BatchSystem {
  const env = options.config === '' ? {} : { CONDOR_CONFIG: options.config };
  const run = openCommandRunner({ PATH: options.path, ...env });
  const ours = `Owner == "${options.user}" && GridToken =!= undefined`;
  const which = ['SlotType =!= "Dynamic"', ...(options.slots === '' ? [] : [`(${options.slots})`])];
  const slotArgs = ['-json', '-attributes', SLOT_ATTRIBUTES, '-constraint', which.join(' && ')];
  /** By `keyOf`: how elements ended that the last look has shown. */
  let listed: ReadonlyMap<string, BatchEnd> = new Map();
  return {
    name: 'HTCondor',
    maxTasks: () => MOST_TASKS,
    submit: async (order) => {
      const file = join(order.directory, 'submit');
      await writeFile(file, submitFile(order, options));
      return submitAnswer(await run('condor_submit', ['-terse', file], SUBMIT_TIMEOUT_MS));
    },
    poll: async () => {
      const [queue, status] = await Promise.all([
        told(run, 'condor_q', ['-json', '-attributes', JOB_ATTRIBUTES, '-constraint', ours]),
        told(run, 'condor_status', slotArgs),
      ]);
      const ads = parseJobs(queue).filter(isThere);
      listed = listedEnds(ads);
      const slots = parseSlots(status);
      const capacity = capacityOf(slots, ads);
      return { jobs: jobsOf(ads), capacity, closedReason: closedReason(slots) };
    },
    autopsy: async (elements) => {
      const gone = elements.filter((element) => !listed.has(keyOf(element)));
      return new Map([...listed, ...(gone.length === 0 ? [] : await autopsy(run, ours, gone))]);
    },
    /**
     * HTCondor kills in its own time only: `condor_rm -forcex` forgets jobs that go on, and `condor_vacate_job -fast` does
     * nothing once a job is removed. The script that got TERM kills where the gateway allows it (Submissions.allowKill).
     */
    signal: async (jobs) => {
      for (let at = 0; at < jobs.length; at += JOBS_AT_A_TIME)
        await removeJobs(run, jobs.slice(at, at + JOBS_AT_A_TIME));
    },
  };
}

const AWAY =
  /failed to (?:fetch|connect|end)|can't (?:connect|find)|not find|timed out|authenticat|CEDAR/i;
const FULL = /MAX_JOBS|maximum number of jobs|too many jobs|would exceed/i;

function submitAnswer({ ok, stdout, stderr }: CommandResult): SubmitAnswer {
  const cluster = /^(\d+)\.\d+ - \1\.\d+$/m.exec(stdout)?.[1];
  if (ok && cluster !== undefined)
    return { kind: 'submitted', jobOf: (index) => `${cluster}.${index - 1}` };
  const words = wordsOf(stderr);
  if (FULL.test(stderr)) return { kind: 'full', words };
  if (AWAY.test(stderr) || !/ERROR/.test(stderr)) throw unanswered('condor_submit', words, stdout);
  return { kind: 'refused', words };
}

async function told(run: CommandRunner, command: string, args: readonly string[]): Promise<string> {
  const { ok, stdout, stderr } = await run(command, args, LOOK_TIMEOUT_MS);
  if (!ok) throw new BatchSilence(wordsOf(stderr) || `${command} failed without a word`);
  return stdout;
}

const wordsOf = (stderr: string): string =>
  stderr
    .split('\n')
    .map((line) => line.replace(/^-- |^ERROR: /g, '').trim())
    .filter((line) => line !== '')
    .join('; ')
    .slice(0, 400);

const elementOf = ({ GridToken, ProcId }: Pick<JobAd, 'GridToken' | 'ProcId'>) => ({
  token: GridToken,
  index: ProcId + 1,
});

function jobsOf(ads: readonly JobAd[]): ReadonlyMap<string, BatchJob> {
  const jobs = new Map<string, BatchJob>();
  for (const ad of ads) {
    const key = keyOf(elementOf(ad));
    if (!hasBegun(jobs.get(key))) jobs.set(key, jobOf(ad));
  }
  return jobs;
}

function listedEnds(ads: readonly JobAd[]): ReadonlyMap<string, BatchEnd> {
  const ends = new Map<string, BatchEnd>();
  for (const ad of ads) {
    const end = listedEnd(ad);
    if (end !== undefined) ends.set(keyOf(elementOf(ad)), end);
  }
  return ends;
}

/**
 * From the schedd's history, read from its end backwards: no further than the number that is looked for, and, for jobs that are
 * not in it, no further than jobs of long ago.
 */
async function autopsy(
  run: CommandRunner,
  ours: string,
  elements: readonly MissingElement[],
): Promise<ReadonlyMap<string, BatchEnd>> {
  const keys = new Set(elements.map(keyOf));
  const tokens = [...new Set(elements.map(({ token }) => `"${token}"`))];
  const which = `${ours} && member(GridToken, {${tokens.join(',')}})`;
  const indexes = [...new Set(elements.map(({ index }) => index - 1))];
  const most = String(tokens.length * indexes.length);
  const constraint = `${which} && member(ProcId, {${indexes.join(',')}})`;
  const bounds = ['-match', most, '-scanlimit', String(MOST_RECORDS)];
  const args = ['-json', '-attributes', END_ATTRIBUTES, ...bounds, '-constraint', constraint];
  const text = await told(run, 'condor_history', args);
  const ends = parseEnds(text).map((ad) => [keyOf(elementOf(ad)), endOf(ad)] as const);
  return new Map(ends.filter(([key]) => keys.has(key)));
}

/** A job that has ended meanwhile is no error. */
async function removeJobs(run: CommandRunner, jobs: readonly string[]): Promise<void> {
  const { ok, stderr } = await run('condor_rm', jobs, LOOK_TIMEOUT_MS);
  if (!ok && AWAY.test(stderr)) throw new BatchSilence(wordsOf(stderr));
}
