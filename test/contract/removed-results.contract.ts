import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { begin, commit } from '../../broker/book.ts';
import { resultTrees } from '../../broker/data/result-trees.ts';
import { NO_SWEEPER } from '../../broker/data/sweeper.ts';
import { readJob, readTasks } from '../../broker/jobs/listing.ts';
import { cancelJob, place } from '../../broker/jobs/moves.ts';
import { openRetry } from '../../broker/jobs/retry-job.ts';
import { applyReport } from '../../broker/jobs/updates.ts';
import type { LedgerPlace } from '../../broker/ledger/open-ledger.ts';
import { listResults } from '../../broker/results/list-results.ts';
import { removeResults } from '../../broker/results/remove-results.ts';
import { NO_STORE, openTreeCounter } from '../../broker/room/count-trees.ts';
import { dn, jobId, siteId, voName } from '../../core/ids.ts';
import type { FailureKind } from '../../core/job/outcome.ts';
import type { Peer } from '../../core/vo/caller.ts';
import { ALICE } from '../fakes/callers.ts';
import { specOf } from '../fakes/offers.ts';
import { at, type OpenBook, openBook } from '../fakes/open-book.ts';
import { submitTo, wanted } from '../fakes/submit-to.ts';

const ACCESS = { admins: [], vos: ['demo'] };
const demo = voName('demo');
const MANAGER: Peer = {
  ...ALICE,
  dn: dn('/CN=Manager'),
  fqans: [{ vo: demo, groups: [], role: 'manager' }],
};
const BOB: Peer = { ...ALICE, dn: dn('/CN=Bob') };

/** How results go before their time, wherever the ledger lies. */
export function removedResultsContract(name: string, fresh: () => Promise<LedgerPlace>): void {
  describe(`results that are removed on ${name}`, () => {
    let book: OpenBook;
    let onAdmit: () => Promise<void>;
    let submit: Awaited<ReturnType<typeof submitTo>>;
    beforeEach(async () => {
      book = await openBook(await fresh());
      onAdmit = () => Promise.resolve();
      submit = await submitTo(book, { ...NO_SWEEPER, admit: () => onAdmit() });
    });
    afterEach(() => book[Symbol.asyncDispose]());

    let keys = 0;
    const add = async (details: Parameters<typeof wanted>[1] = {}): Promise<string> => {
      keys += 1;
      const [id = ''] = await submit(ALICE, `key-${keys}`, [wanted(`job${keys}`, details)]);
      return id;
    };
    /** A job each of whose tasks has left a tree of seven bytes, named after it. */
    const ended = async (tasks = 1, failure?: FailureKind): Promise<string> => {
      const array = { kind: 'range', first: 1, last: tasks, step: 1 } as const;
      const id = await add(tasks === 1 ? {} : { array });
      for (let ordinal = 0; ordinal < tasks; ordinal += 1) await finish(id, ordinal, failure);
      await book.recorder.settled();
      return id;
    };
    const finish = async (id: string, ordinal = 0, failure?: FailureKind): Promise<void> => {
      const set = begin(book);
      const attempt = place(book.table, set, at('aachen', id, ordinal));
      const outcome = {
        exitCode: 0,
        signal: 0,
        reason: '',
        detail: '',
        ...(failure === undefined ? {} : { failure }),
        usage: { cpuMs: 0, wallMs: 0, peakMemoryBytes: 0, bytesIn: 0, bytesOut: 0 },
        outputs: { digest: `tree ${attempt.id}`, totalBytes: 7, files: 2 },
      };
      const state = failure === undefined ? 'done' : 'failed';
      const report = {
        attemptId: attempt.id,
        atMs: set.nowMs,
        detail: '',
        state,
        outcome,
      } as const;
      applyReport(book.table, set, siteId('aachen'), report, book.log);
      await commit(book, set);
    };
    const remove = (id: string, peer = ALICE) => removeResults({ book, access: ACCESS }, peer, id);
    const trees = async (): Promise<readonly string[]> => {
      const rows = await book.db.selectFrom('trees').select('digest').execute();
      return rows.map(({ digest }) => digest).toSorted();
    };
    const list = (peer: Peer, everybody = false) =>
      listResults({ book, access: ACCESS }, peer, { vo: '', everybody, limit: 0 });
    const takes = (job: string) => ({ inputs: [{ from: `job:${job}`, to: 'in' }] });

    test('count no more, and their trees go with them', async () => {
      const [id, other] = [await ended(3), await ended()];
      expect((await list(ALICE)).map((job) => [job.jobId, job.files, job.totalBytes])).toEqual([
        [id, 6, 21],
        [other, 2, 7],
      ]);
      expect(await remove(id)).toEqual({ files: 6, totalBytes: 21 });
      expect(await trees()).toEqual([`tree ${other}.0.1`]);
      expect((await list(ALICE)).map(({ jobId: job }) => job)).toEqual([other]);
      const counter = openTreeCounter(book, () => NO_STORE);
      const use = { vo: 'demo', owner: ALICE.dn };
      expect((await counter.count(use)).bytes).toBe(7);
      const job = { id: jobId(id), ...(await readJob(book, jobId(id))) };
      const tasks = await readTasks(book, job, { first: 0, limit: 10 });
      expect(tasks.map(({ outcome }) => outcome?.outputs?.totalBytes)).toEqual([0, 0, 0]);
      expect(await remove(id)).toEqual({ files: 0, totalBytes: 0 });
    });

    test('stay where a dataset or another job has the same', async () => {
      const [id, other] = [await ended(), await ended()];
      const outputs = `tree ${id}.0.1`;
      await book.db.updateTable('attempts').set({ outputs }).where('job_id', '=', other).execute();
      await remove(id);
      expect(await trees()).toContain(outputs);
      await remove(other);
      expect(await trees()).not.toContain(outputs);
    });

    test('of a thousand tasks and more go in parts', async () => {
      const set = begin(book);
      const id = await ended();
      const row = await book.db.selectFrom('attempts').selectAll().executeTakeFirstOrThrow();
      const more = Array.from({ length: 2_499 }, (_, n) => ({ ...row, id: `${id}.0.${n + 2}` }));
      await book.recorder.record({ ...set.change(), attempts: more });
      expect(await remove(id)).toEqual({ files: 2, totalBytes: 7 });
      const left = await book.db
        .selectFrom('attempts')
        .where('outputs', '<>', '')
        .selectAll()
        .execute();
      expect(left).toEqual([]);
    });

    test('only by the owner, a manager of the VO or an administrator', async () => {
      const id = await ended();
      await expect(remove(id, BOB)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
      await expect(remove(id, { ...ALICE, limited: true })).rejects.toMatchObject({
        code: 'PERMISSION_DENIED',
      });
      const stranger = { ...BOB, fqans: [] };
      await expect(remove(id, stranger)).rejects.toMatchObject({ code: 'JOB_NOT_FOUND' });
      await expect(list(BOB, true)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
      expect(await list(MANAGER)).toEqual([]);
      expect(await list(MANAGER, true)).toMatchObject([{ jobId: id, owner: ALICE.dn }]);
      expect(await remove(id, MANAGER)).toMatchObject({ files: 2 });
    });

    test('not while their job is open, or while an open job takes them', async () => {
      const open = await add();
      await expect(remove(open)).rejects.toMatchObject({
        code: 'JOB_EVENT_REFUSED',
        message: `job ${open} is queued: its results can go when it has ended`,
      });
      const id = await ended();
      const heir = await add(takes(id));
      await add({ after: [{ job: jobId(id), when: 'ok' }] });
      await expect(remove(id)).rejects.toMatchObject({
        code: 'JOB_EVENT_REFUSED',
        message: `the results of job ${id} are an input of ${heir}: wait for these, or cancel them`,
      });
      const set = begin(book);
      const record = book.get(heir);
      cancelJob(book.table, set, record, { reason: 'CANCELLED', detail: 'enough' });
      await commit(book, set);
      // The other one only comes after it.
      expect(await remove(id)).toMatchObject({ files: 2 });
    });

    test('are no input any more, and it is said who removed them, and when', async () => {
      const id = await ended();
      await remove(id, MANAGER);
      await expect(add(takes(id))).rejects.toMatchObject({
        code: 'RESULTS_REMOVED',
        message: expect.stringMatching(
          new RegExp(`^the results of job ${id} were removed by /CN=Manager at 2\\d{3}-.*Z$`),
        ),
      });
      await expect(resultTrees(book.db, specOf(takes(id)))).rejects.toMatchObject({
        code: 'RESULTS_REMOVED',
      });
    });

    test('a submission that has found them keeps them, one that comes later finds them gone', async () => {
      const id = await ended();
      const meanwhile: Promise<unknown>[] = [];
      onAdmit = async () => {
        meanwhile.push(remove(id));
        await Promise.allSettled(meanwhile);
      };
      const heir = await add(takes(id));
      await expect(meanwhile[0]).rejects.toMatchObject({
        code: 'JOB_EVENT_REFUSED',
        message: expect.stringContaining('is being retried or named by another job just now'),
      });
      expect(book.get(heir).id).toBe(heir);
    });

    test('a job that took them cannot be tried again', async () => {
      const id = await ended();
      const heir = await add(takes(id));
      await finish(heir, 0, 'job');
      await remove(id);
      const retry = openRetry(book, () => undefined);
      const wish = { id: jobId(heir), failedOnly: false, ordinals: [], by: 'Alice' };
      await expect(retry(wish)).rejects.toMatchObject({ code: 'RESULTS_REMOVED' });
    });

    test('a job of which nothing was done can be tried again, and has results then', async () => {
      const id = await ended(1, 'job');
      await remove(id);
      const retry = openRetry(book, () => undefined);
      await retry({ id: jobId(id), failedOnly: false, ordinals: [], by: 'Alice' });
      await finish(id);
      expect(await resultTrees(book.db, specOf(takes(id)))).toMatchObject([
        { tree: { digest: `tree ${id}.0.2` }, to: 'in' },
      ]);
    });
  });
}
