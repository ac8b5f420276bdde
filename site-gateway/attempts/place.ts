import { GridError } from '../../core/errors.ts';
import { type AttemptId, attemptId, isVoName } from '../../core/ids.ts';
import { imageFault } from '../../core/job/software.ts';
import type { JobSpec } from '../../core/job/spec.ts';
import type { AccountWish } from '../../core/match/accounts.ts';
import type { Caller } from '../../core/vo/caller.ts';
import { boundedWords } from '../../core/words.ts';
import {
  Acceptance,
  type PlacedAnswer,
  type PlacedAttempt,
  type PlacedJob,
  type PlaceRequest,
} from '../../proto/gen/grid/v1/site.ts';
import { callerFromWire, treeFromWire } from '../../service/rpc/wire.ts';
import type { AcceptedAttempt, Journal } from '../journal/journal.ts';
import {
  type SiteFacts,
  type SiteNow,
  tooExposed,
  tooLarge,
  unfetched,
  withoutSoftware,
} from '../offer.ts';
import { wishOf } from './attempt.ts';
import type { Supervisor } from './supervisor.ts';
import { specOf } from './task.ts';

export interface PlaceOptions {
  readonly facts: SiteFacts;
  readonly journal: Journal;
  readonly supervisor: Supervisor;
  /** What the site has now. */
  readonly now: () => Pick<SiteNow, 'size' | 'disk'>;
  /** Why the site takes nothing; '' while it does. */
  readonly closedReason: () => string;
  /** Why the site's policy does not welcome a job; undefined when it does. */
  readonly unwelcome: (spec: JobSpec, caller: Caller) => string | undefined;
  /** Why the owner of a job has no account; undefined when he has, or needs none. */
  readonly accountless: (wish: AccountWish) => string | undefined;
  readonly nowMs: () => number;
}

interface Refusal {
  readonly reason: string;
  readonly detail: string;
}

/** Attempts that a site keeps at most; a broker that sends more has lost count. */
const MAX_LIVE = 20_000;
/** The name of a directory, a word of the shell and a line of the launcher's reports. */
const ATTEMPT_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Takes attempts in. */
export interface Placing {
  /** Looks at each attempt of a batch, writes those that are welcome into the journal, then answers. */
  place(request: PlaceRequest): Promise<readonly PlacedAnswer[]>;
  /** Resolves when what is being written by now is in the journal, or never will be. */
  settled(): Promise<void>;
}

export function openPlace(options: PlaceOptions): Placing {
  const { journal, supervisor } = options;
  /** Batches whose transaction is under way, by attempt. */
  const underway = new Map<string, Promise<void>>();

  const admit = async (accepted: readonly AcceptedAttempt[]): Promise<void> => {
    if (accepted.length === 0) return;
    const written = journal.accept(accepted, options.nowMs());
    for (const { id } of accepted) underway.set(id, written);
    try {
      await written;
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      throw new GridError('SITE_CLOSED', `the journal cannot be written: ${words}`, {
        cause: error,
      });
    } finally {
      for (const { id } of accepted) underway.delete(id);
    }
    supervisor.accept(accepted);
  };

  const place: Placing['place'] = async (request) => {
    const refusals = request.jobs.map((job) => refusalOf(options, { job, memoryBytes: 0 }));
    const had = journal.known(request.attempts.map(({ attemptId: id }) => id));
    const before = request.attempts
      .map(({ attemptId: id }) => underway.get(id))
      .filter((written) => written !== undefined);
    const fresh = new Map<string, AcceptedAttempt>();
    const answers = request.attempts.map((placed): PlacedAnswer => {
      const id = placed.attemptId;
      if (had.has(id) || underway.has(id) || fresh.has(id))
        return answer(id, Acceptance.ACCEPTANCE_ALREADY_HAD_IT);
      const job = request.jobs[placed.jobIndex];
      if (job === undefined || !ATTEMPT_ID.test(id))
        throw new GridError('REQUEST_INVALID', `attempt '${id}' refers to job ${placed.jobIndex}`);
      const { memoryBytes } = placed;
      const usual = refusals[placed.jobIndex];
      const refusal = memoryBytes === 0 ? usual : refusalOf(options, { job, memoryBytes });
      if (refusal !== undefined) return answer(id, Acceptance.ACCEPTANCE_REFUSED, refusal);
      fresh.set(id, acceptedOf(attemptId(id), placed, job));
      return answer(id, Acceptance.ACCEPTANCE_ACCEPTED);
    });
    await Promise.all([...before, admit([...fresh.values()])]);
    return answers;
  };
  return {
    place,
    settled: async () => {
      await Promise.allSettled(underway.values());
    },
  };
}

const acceptedOf = (id: AttemptId, placed: PlacedAttempt, job: PlacedJob): AcceptedAttempt => ({
  id,
  jobId: placed.jobId,
  ordinal: placed.ordinal,
  taskValue: placed.taskValue,
  memoryBytes: placed.memoryBytes,
  queue: placed.queue,
  job,
});

const answer = (
  id: string,
  acceptance: Acceptance,
  { reason, detail }: Refusal = { reason: '', detail: '' },
): PlacedAnswer => ({
  attemptId: id,
  acceptance,
  reason,
  detail: boundedWords(detail),
});

function refusalOf(
  options: PlaceOptions,
  wanted: Pick<AcceptedAttempt, 'job' | 'memoryBytes'>,
): Refusal | undefined {
  const { facts, supervisor } = options;
  const { job } = wanted;
  const closed = options.closedReason();
  if (closed !== '') return { reason: 'SITE_CLOSED', detail: closed };
  if (supervisor.liveIds().length >= MAX_LIVE)
    return { reason: 'SITE_FULL', detail: `the site has ${MAX_LIVE} attempts already` };
  const spec = specOf(wanted);
  for (const tree of [job.inputs, ...job.inputTrees.map((one) => one.tree)]) treeFromWire(tree);
  const invalid = invalidSpec(spec);
  if (invalid !== undefined) return { reason: 'SPEC_INVALID', detail: invalid };
  const lacks = lackOf(options, spec);
  if (lacks !== undefined) return lacks;
  if (facts.vos.length > 0 && !facts.vos.includes(spec.vo))
    return { reason: 'VO_DENIED', detail: `the site does not serve VO '${spec.vo}'` };
  const accountless = options.accountless(wishOf(wanted, spec));
  if (accountless !== undefined) return { reason: 'NO_ACCOUNT', detail: accountless };
  const unwelcome = options.unwelcome(spec, callerFromWire(job.owner));
  return unwelcome === undefined ? undefined : { reason: 'POLICY_DENIED', detail: unwelcome };
}

/** What the job asks for and the site never has. */
function lackOf({ facts, now }: PlaceOptions, spec: JobSpec): Refusal | undefined {
  const large = tooLarge(facts, now(), spec.resources);
  if (large !== undefined) return { reason: 'TOO_LARGE', detail: large };
  const exposed = tooExposed(facts, spec);
  if (exposed !== undefined) return { reason: 'SANDBOX_MISSING', detail: exposed };
  const missing = withoutSoftware(facts, spec);
  if (missing !== undefined) return missing;
  const away = unfetched(facts, spec);
  return away === undefined ? undefined : { reason: 'FETCH_REFUSED', detail: away };
}

/** What the broker has checked already; said again because here it would end in a shell and in paths. */
function invalidSpec(spec: JobSpec): string | undefined {
  const words = [...spec.command, ...Object.values(spec.env), spec.stdin];
  if ((spec.command[0] ?? '') === '') return 'the command is empty';
  if (words.some((word) => word.includes('\0'))) return 'a NUL byte stands in the command or env';
  const vo: string = spec.vo;
  if (!isVoName(vo)) return `'${vo}' is no name of a VO`;
  const variable = Object.keys(spec.env).find((name) => !VARIABLE.test(name));
  if (variable !== undefined) return `'${variable}' cannot be the name of a variable`;
  const fault = imageFault(spec, spec.resources.nodes);
  if (fault !== undefined) return fault;
  const paths = [...spec.inputs.map(({ to }) => to), spec.stdin, ...spec.outputs];
  const outside = paths.find((path) => path.startsWith('/') || path.split('/').includes('..'));
  return outside === undefined ? undefined : `'${outside}' leaves the task's directory`;
}
