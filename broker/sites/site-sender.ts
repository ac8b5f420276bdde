import { ERRORS } from '../../core/error-codes.ts';
import { GridError } from '../../core/errors.ts';
import { attemptId, type JobId } from '../../core/ids.ts';
import { hasTreeInputs, taskValue } from '../../core/job/spec.ts';
import type { Ask } from '../../core/match/ask.ts';
import { queueFor } from '../../core/match/queue.ts';
import { boundedWords, MOST_REASON_BYTES } from '../../core/words.ts';
import {
  Acceptance,
  type PlacedAnswer,
  type PlacedJob,
  type PlaceRequest,
} from '../../proto/gen/grid/v1/site.ts';
import { callerToWire, specToWire, treeToWire } from '../../service/rpc/wire.ts';
import { begin, commit } from '../book.ts';
import { type PlacedTree, resultTrees } from '../data/result-trees.ts';
import type { StoredJob } from '../jobs/job-store.ts';
import { release } from '../jobs/moves.ts';
import { type AttemptRecord, classOf, type Why } from '../jobs/records.ts';
import { noteRefusal } from './site-conduct.ts';
import { CALL_MS, type Link, releaseAll, type Session } from './site-context.ts';
import { conductRows, noteAccepted } from './site-registry.ts';

/** Attempts in one call; with a manifest of 64 KiB each they stay below what a gateway takes in one message. */
const MAX_PLACED = 100;
/** Acknowledgements may wait: nothing but the size of the gateway's outbox depends on them. */
const ACK = { everyMs: 1_000, updates: 500 };

/** Sends what waits to be sent until the session ends. A call whose answer is unclear ends it: `Reconcile` settles. */
export async function runSender(link: Link, session: Session): Promise<void> {
  const { clock } = link.book;
  let acknowledged = { seq: link.appliedSeq, atMs: clock.monotonicMs() };
  while (!session.signal.aborted) {
    const news = link.appliedSeq - acknowledged.seq;
    const agoMs = clock.monotonicMs() - acknowledged.atMs;
    const due = news >= ACK.updates || (news > 0 && agoMs >= ACK.everyMs);
    if (due || link.cancels.size > 0) {
      acknowledged = { seq: link.appliedSeq, atMs: clock.monotonicMs() };
      await sendControl(link, session, acknowledged.seq);
    }
    await sendAttempts(link, session);
    if (link.unsent.size === 0 && link.cancels.size === 0) await link.bell.wait(session.signal);
  }
}

async function sendControl(link: Link, session: Session, acknowledgedSeq: number): Promise<void> {
  const { book, epoch, site } = link;
  const cancel = [...link.cancels];
  const answer = await session.gateway.control(
    { epoch, cancel, acknowledgedSeq },
    { signal: session.signal, deadlineMs: CALL_MS },
  );
  for (const id of cancel) link.cancels.delete(id);
  const gone = answer.unknown.flatMap((id) => book.table.attempts.get(attemptId(id)) ?? []);
  const why = { reason: 'GATEWAY_FORGOT', detail: `${site.id} does not know the attempt` };
  await releaseAll(
    link,
    gone.filter(({ acknowledged }) => acknowledged),
    why,
  );
}

const NEVER_SENT: Why = { reason: 'CANCELLED', detail: 'it was never sent' };

async function sendAttempts(link: Link, session: Session): Promise<void> {
  const { book } = link;
  const batch = [...link.unsent].slice(0, MAX_PLACED);
  const unwanted = batch.filter(
    ({ id, task, evicted }) =>
      !book.table.attempts.has(id) || task.job.cancelReason !== undefined || evicted !== undefined,
  );
  for (const attempt of unwanted) link.unsent.delete(attempt);
  for (const [why, some] of Map.groupBy(unwanted, ({ evicted }) => evicted ?? NEVER_SENT))
    await releaseAll(link, some, why);
  const wanted = batch.filter((attempt) => link.unsent.has(attempt));
  if (wanted.length > 0) await sendBatch(link, session, wanted);
}

/** A batch that the gateway cannot read is sent in halves, until the one attempt is found that it is about. */
async function sendBatch(
  link: Link,
  session: Session,
  wanted: readonly AttemptRecord[],
): Promise<void> {
  const { book, site, epoch } = link;
  const needed = await readNeeded(link, wanted);
  const vos = wanted.map(({ task }) => task.job.vo);
  const tickets = await session.tickets.due(vos, site.offer?.nkey ?? '');
  const signedUrls = await session.urls.fresh(wanted.map(({ task }) => task.job.id));
  // Until here nothing was sent: what has failed or was cut off is no fault of the site.
  if (session.signal.aborted) return;
  for (const attempt of wanted) link.unsent.delete(attempt);
  const sent = wanted.filter(({ id }) => book.table.attempts.has(id));
  if (sent.length === 0) return;
  const offersBefore = site.offers;
  const { offer } = site;
  // The site chooses better what the job leaves open.
  const queueOf = (ask: Ask): string =>
    offer !== undefined && link.rules.reads('requirements', ask.requirements).queue
      ? (queueFor(ask, offer, link.rules)?.name ?? '')
      : '';
  try {
    const from = { epoch, session: session.number };
    const request = placeRequest(from, sent, needed, { tickets, signedUrls }, queueOf);
    const answer = await session.gateway.place(request, {
      signal: session.signal,
      deadlineMs: CALL_MS,
    });
    await settle(link, sent, answer.answers, offersBefore);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    const [only] = sent;
    if (sent.length === 1 && only !== undefined) {
      const { code: reason, message: detail } = error;
      const refusal = { attemptId: only.id, acceptance: Acceptance.ACCEPTANCE_REFUSED };
      await settle(link, sent, [{ ...refusal, reason, detail }], offersBefore);
      return;
    }
    const half = Math.ceil(sent.length / 2);
    await sendBatch(link, session, sent.slice(0, half));
    await sendBatch(link, session, sent.slice(half));
  }
}

/** Whether the gateway has refused a message before it did anything with it. */
const isUnreadable = (error: unknown): error is GridError =>
  error instanceof GridError && ERRORS[error.code].status === 'INVALID_ARGUMENT';

async function readNeeded(
  { book, store }: Link,
  attempts: readonly AttemptRecord[],
): Promise<Needed> {
  const jobs = await store.get(attempts.map(({ task }) => task.job.id));
  const results = new Map<JobId, readonly PlacedTree[]>();
  for (const [id, { spec }] of jobs)
    if (hasTreeInputs(spec)) results.set(id, await resultTrees(book.db, spec));
  return { jobs, results };
}

/** What the attempts need to know of their jobs. */
interface Needed {
  readonly jobs: ReadonlyMap<JobId, StoredJob>;
  readonly results: ReadonlyMap<JobId, readonly PlacedTree[]>;
}

function placeRequest(
  from: Pick<PlaceRequest, 'epoch' | 'session'>,
  attempts: readonly AttemptRecord[],
  { jobs, results }: Needed,
  secrets: Pick<PlaceRequest, 'tickets' | 'signedUrls'>,
  queueOf: (ask: Ask) => string,
): PlaceRequest {
  const ids = [...new Set(attempts.map(({ task }) => task.job.id))];
  const indexOf = new Map(ids.map((id, index) => [id, index]));
  const jobOf = (id: JobId): StoredJob => {
    const job = jobs.get(id);
    if (job === undefined) throw new TypeError(`job ${id} is not in the ledger`);
    return job;
  };
  return {
    ...from,
    jobs: ids.map((id): PlacedJob => {
      const { spec, inputs, owner } = jobOf(id);
      return {
        spec: specToWire(spec),
        inputs: treeToWire(inputs),
        owner: callerToWire(owner, spec.vo),
        inputTrees: (results.get(id) ?? []).map(({ tree, to }) => ({ tree: treeToWire(tree), to })),
      };
    }),
    attempts: attempts.map(({ id, task }) => ({
      attemptId: id,
      jobId: task.job.id,
      ordinal: task.ordinal,
      taskValue: taskValue(jobOf(task.job.id).spec, task.ordinal),
      jobIndex: indexOf.get(task.job.id) ?? 0,
      queue: queueOf(classOf(task).ask),
      memoryBytes: task.own?.ask.resources.memoryBytes ?? 0,
    })),
    ...secrets,
  };
}

async function settle(
  link: Link,
  sent: readonly AttemptRecord[],
  answers: readonly PlacedAnswer[],
  offersBefore: number,
): Promise<void> {
  const { book, site } = link;
  const byId = new Map(answers.map((answer) => [answer.attemptId, answer]));
  const accepted: AttemptRecord[] = [];
  const set = begin(book);
  const { conduct } = site;
  let refused = 0;
  for (const attempt of sent) {
    const answer = byId.get(attempt.id);
    const yes =
      answer?.acceptance === Acceptance.ACCEPTANCE_ACCEPTED ||
      answer?.acceptance === Acceptance.ACCEPTANCE_ALREADY_HAD_IT;
    if (yes) accepted.push(attempt);
    else if (book.table.attempts.has(attempt.id)) {
      refused += 1;
      const reason = boundedWords(answer?.reason || 'SITE_REFUSED', MOST_REASON_BYTES);
      const detail = boundedWords(answer?.detail || `${site.id} does not want it`);
      release(book.table, set, attempt, { reason, detail });
      noteRefusal(site, attempt, { reason, detail }, set.nowMs, link.log);
    }
  }
  noteAccepted(site, book.table, accepted, offersBefore);
  if (refused === 0) return;
  book.log.warn({ site: site.id, refused }, 'site refuses attempts');
  link.onChange();
  await commit(book, set, conductRows(site, conduct));
}
