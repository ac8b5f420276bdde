import fc from 'fast-check';
import { expect, test } from 'vitest';
import { begin, commit } from '../../broker/book.ts';
import { holdJob, unholdJob } from '../../broker/jobs/job-moves.ts';
import type { JobTable } from '../../broker/jobs/job-table.ts';
import { loadTable } from '../../broker/jobs/load-table.ts';
import { cancelJob, place, release } from '../../broker/jobs/moves.ts';
import { classOf, type JobRecord, type TaskRecord } from '../../broker/jobs/records.ts';
import { openRetry } from '../../broker/jobs/retry-job.ts';
import { applyReport } from '../../broker/jobs/updates.ts';
import { GridError } from '../../core/errors.ts';
import { jobId, siteId } from '../../core/ids.ts';
import type { FailureKind } from '../../core/job/outcome.ts';
import { isActive, isFinal, JOB_STATES } from '../../core/job/state.ts';
import { needOf } from '../../core/match/need.ts';
import { at, type OpenBook, openBook } from '../fakes/open-book.ts';

const WHY = { reason: 'TEST', detail: 'the test said so' };
const JOBS = ['jarray000001', 'jafter000002', 'jplain000003'] as const;
const KINDS = ['job', 'limit', 'site', 'data', 'credential', 'owner'] as const;

/** What may happen, in whatever order; numbers choose among what there is. */
const nth = fc.nat({ max: 50 });
const anyJob = fc.constantFrom(...JOBS);
const steps = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('place'), nth, site: fc.nat({ max: 1 }) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('report'),
      nth,
      state: fc.constantFrom(...JOB_STATES),
      failure: fc.constantFrom(...KINDS),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('let go'), nth }) },
  ...(['hold', 'free', 'cancel', 'retry'] as const).map((name) => ({
    weight: 1,
    arbitrary: fc.record({ do: fc.constant(name), job: anyJob }),
  })),
);
type Step = typeof steps extends fc.Arbitrary<infer T> ? T : never;

/** What the memory says: everything that can be counted in two ways. */
function census(table: JobTable) {
  return [...table.jobs.values()]
    .toSorted((a, b) => a.seq - b.seq)
    .map(({ id, counts, nextOrdinal, open, hold, cancelReason, waitsFor }) => ({
      id,
      counts: Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0)),
      nextOrdinal,
      held: hold?.reason,
      cancelReason,
      waitsFor: [...waitsFor],
      tasks: [...open.values()]
        .toSorted((a, b) => a.ordinal - b.ordinal)
        .map(({ ordinal, state, failures, attempt, own, released }) => ({
          ordinal,
          state,
          failures,
          attempt: attempt?.id,
          asks: own?.askId,
          released: released.map((late) => late.id).toSorted(),
        })),
    }));
}

function checkTable(table: JobTable): void {
  const jobs = [...table.jobs.values()];
  for (const one of jobs) checkJob(table, one);
  const live = [...table.attempts.values()];
  const needs = live.map(({ task }) => needOf(classOf(task).ask.resources));
  for (const node of table.shares.records) {
    expect(node.queuedTasks).toBe(jobs.reduce((sum, { counts }) => sum + (counts.queued ?? 0), 0));
    expect(node.placedCpus).toBe(needs.reduce((sum, { cpus }) => sum + cpus, 0));
    expect(node.runningTasks).toBe(live.filter((one) => one.startedAtMs !== undefined).length);
    expect(node.ended.amount).toBeGreaterThanOrEqual(0);
  }
  const waiting = table.queues
    .list()
    .flatMap(({ items }) => [...items])
    .flatMap((item) =>
      Array.from({ length: item.tasks }, (_, n) => `${item.job}.${item.firstOrdinal + n}`),
    );
  expect(waiting.toSorted()).toEqual(jobs.flatMap(waitingOf).toSorted());
}

function checkJob(table: JobTable, { tasks, counts, open, nextOrdinal }: JobRecord): void {
  expect(Object.values(counts).every((count) => count >= 0)).toBe(true);
  expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBe(tasks);
  for (const { state, attempt, ordinal } of open.values()) {
    expect(isFinal(state)).toBe(false);
    expect(ordinal).toBeLessThan(nextOrdinal);
    expect(attempt !== undefined && table.attempts.has(attempt.id)).toBe(isActive(state));
  }
}

function waitingOf({ id, tasks, nextOrdinal, open, hold, ...job }: JobRecord): readonly string[] {
  const queued = [...open.values()].filter(({ state }) => state === 'queued');
  const named = queued.map(({ ordinal }: TaskRecord) => `${id}.${ordinal}`);
  if (hold !== undefined || job.cancelReason !== undefined || job.waitsFor.size > 0) return named;
  const fresh = Array.from({ length: tasks - nextOrdinal }, (_, n) => `${id}.${nextOrdinal + n}`);
  return [...named, ...fresh];
}

/** Whether the callers of the broker could do that now. */
const touchable = (book: OpenBook, id: string): JobRecord | undefined => {
  const found = book.table.jobs.get(jobId(id));
  return found?.cancelReason === undefined ? found : undefined;
};

const outcome = (failure: FailureKind) => ({
  exitCode: 1,
  signal: 0,
  failure,
  reason: failure === 'limit' ? 'MEMORY_EXCEEDED' : 'TEST',
  detail: 'the test said so',
  usage: { cpuMs: 0, wallMs: 0, peakMemoryBytes: 0, bytesIn: 0, bytesOut: 0 },
  outputs: { digest: '', totalBytes: 0, files: 0 },
});

/** Attempts that ever were: what a site may still report of. */
type Made = { readonly id: ReturnType<typeof place>['id']; readonly site: string }[];

async function take(book: OpenBook, made: Made, step: Step): Promise<void> {
  const { table } = book;
  const set = begin(book);
  const chosen = 'nth' in step && made.length > 0 ? made[step.nth % made.length] : undefined;
  if (step.do === 'place' && 'site' in step) {
    const items = table.queues.list().flatMap((queue) => [...queue.items]);
    const item = items[step.nth % Math.max(1, items.length)];
    if (item === undefined) return;
    const site = ['aachen', 'bremen'][step.site] ?? '';
    made.push({ id: place(table, set, at(site, item.job, item.firstOrdinal)).id, site });
  } else if (step.do === 'report' && 'state' in step) {
    if (chosen === undefined) return;
    const { id, site } = chosen;
    const told = { attemptId: id, atMs: set.nowMs, state: step.state, detail: '' };
    const isEnd = isFinal(step.state);
    const report = { ...told, ...(isEnd ? { outcome: outcome(step.failure) } : {}) };
    applyReport(table, set, siteId(site), report, book.log);
  } else if (step.do === 'let go') {
    const attempt = chosen && table.attempts.get(chosen.id);
    if (attempt !== undefined) release(table, set, attempt, WHY);
  } else if ('job' in step) {
    if (step.do === 'retry') return retry(book, step.job);
    const job = touchable(book, step.job);
    if (job === undefined) return;
    if (step.do === 'hold' && job.hold === undefined) holdJob(set, job, WHY);
    if (step.do === 'free') unholdJob(table, set, job, 'released');
    if (step.do === 'cancel') cancelJob(table, set, job, WHY);
  }
  await commit(book, set);
}

async function retry(book: OpenBook, id: string): Promise<void> {
  const again = openRetry(book, () => undefined);
  const wish = { id: jobId(id), failedOnly: false, ordinals: [], by: 'retried' };
  await again(wish).catch((error: unknown) => {
    if (!(error instanceof GridError) || error.code !== 'JOB_EVENT_REFUSED') throw error;
    // Whoever is told to release it first must be able to.
    if (error.message.includes('is held')) expect(book.get(id).hold).toEqual(WHY);
  });
}

test('whatever happens in whatever order, memory, counters, queues and ledger agree', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { maxLength: 60, size: 'max' }), async (sequence) => {
      await using book = await openBook(':memory:');
      const [array, after, plain] = JOBS;
      await book.add({
        [array]: { tasks: 3, retryMemory: 2 },
        [after]: { after: [`${array}:any`], tasks: 2 },
        [plain]: {},
      });
      const made: Made = [];
      for (const step of sequence) {
        await take(book, made, step);
        checkTable(book.table);
      }
      const { table } = await loadTable(book.db, Date.now());
      checkTable(table);
      expect(census(table)).toEqual(census(book.table));
    }),
    { numRuns: 60 },
  );
}, 60_000);
