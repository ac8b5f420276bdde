import { attemptId } from '../../core/ids.ts';
import { boundedWords } from '../../core/words.ts';
import type { AttemptUpdate } from '../../proto/gen/grid/v1/site.ts';
import type { Log } from '../../service/log.ts';
import { liveFromWire, outcomeFromWire, stateFromWire } from '../../service/rpc/wire.ts';
import { begin, commit } from '../book.ts';
import type { ChangeSet } from '../jobs/change-set.ts';
import { applyReport, type Report, type Superfluous } from '../jobs/updates.ts';
import { noteEnd } from './site-conduct.ts';
import type { Link, Session } from './site-context.ts';
import { type Lacking, sentAgain, withOutputs } from './site-outputs.ts';
import { conductRows } from './site-registry.ts';

/** The stream is read ahead of the ledger by at most this many updates. */
const MAX_PENDING = 5_000;

/**
 * Applies the gateway's updates in the order of their numbers, those of one moment in one transaction together with how far the
 * outbox has been read. A report whose outputs are sent again first comes later, and holds up no other one: until then the
 * outbox counts as read up to it only, and who reads on from there applies some for a second time, which changes nothing.
 */
export async function watchSite(link: Link, session: Session, journal: string): Promise<void> {
  const { book, site, epoch } = link;
  const { gateway, signal } = session;
  link.appliedSeq = await cursorOf(link, journal);
  let lastSeq = link.appliedSeq;
  let pending: AttemptUpdate[] = [];
  let flushing: Promise<void> | undefined;
  const failed = Promise.withResolvers<never>();
  const resends = openResends(link, session, () => wake(), failed.reject);

  const flush = async (): Promise<void> => {
    await new Promise(setImmediate);
    while ((pending.length > 0 || resends.areDue()) && !signal.aborted) {
      const batch = pending;
      pending = [];
      const readSeq = lastSeq;
      const late = resends.take();
      const looked = await Promise.all(batch.map((update) => lookAt(link, update)));
      // The next session reads them again, from where the cursor stands by then.
      if (signal.aborted) return;
      const fresh = looked.flatMap((one, at) => resends.unlessLacking(batch[at]?.seq ?? 0, one));
      const set = begin(book);
      const { conduct } = site;
      const superfluous = [...late, ...fresh].flatMap((report) => applyOne(link, set, report));
      const seq = Math.min(readSeq, resends.before());
      link.onChange();
      await commit(book, set, {
        cursors: [{ site: site.id, journal, seq }],
        ...conductRows(site, conduct),
      });
      link.onSuperfluous(superfluous);
      link.appliedSeq = seq;
      link.bell.wake();
    }
    flushing = undefined;
  };
  const wake = (): void => {
    if (flushing !== undefined) return;
    flushing = flush();
    flushing.catch(failed.reject);
  };
  const read = async (): Promise<void> => {
    for await (const update of gateway.watch({ epoch, afterSeq: link.appliedSeq }, { signal })) {
      if (update.seq <= lastSeq) continue;
      lastSeq = update.seq;
      pending.push(update);
      wake();
      if (pending.length >= MAX_PENDING) await flushing;
    }
  };
  await Promise.race([read(), failed.promise]);
}

/** Reports whose outputs are sent again meanwhile, by the numbers of their updates. */
function openResends(
  link: Link,
  session: Session,
  onDue: () => void,
  onFailure: (error: unknown) => void,
) {
  const waiting = new Set<number>();
  const due = new Map<number, Report>();
  return {
    areDue: (): boolean => due.size > 0,
    /** Those that can be applied now. */
    take: (): readonly Report[] => {
      const reports = [...due.values()];
      for (const seq of due.keys()) waiting.delete(seq);
      due.clear();
      return reports;
    },
    /** The last number before all that have not been taken. */
    before: (): number => Math.min(Number.POSITIVE_INFINITY, ...waiting) - 1,
    /** What can be applied at once; for anything else its outputs are sent again. */
    unlessLacking: (seq: number, looked: Report | Lacking | undefined): readonly Report[] => {
      if (looked === undefined) return [];
      if (!('report' in looked)) return [looked];
      waiting.add(seq);
      sentAgain(link, session, looked).then((report) => {
        if (report === undefined) return;
        due.set(seq, report);
        onDue();
      }, onFailure);
      return [];
    },
  };
}

async function lookAt(link: Link, update: AttemptUpdate): Promise<Report | Lacking | undefined> {
  const report = reportOf(update, link.log);
  return report && withOutputs(link, report);
}

/** Applies a report, and notes what it says of the site when an attempt has ended. */
function applyOne(
  { book, site, log }: Link,
  set: ChangeSet,
  report: Report,
): readonly Superfluous[] {
  const attempt = book.table.attempts.get(report.attemptId);
  const superfluous = applyReport(book.table, set, site.id, report, log);
  if (attempt?.site === site.id && attempt.endedAtMs !== undefined)
    noteEnd(site, attempt, set.nowMs, log);
  return superfluous;
}

/** How far this journal has been applied; a new journal counts from the beginning. */
async function cursorOf({ book, site }: Link, journal: string): Promise<number> {
  await book.recorder.settled();
  const row = await book.db
    .selectFrom('cursors')
    .selectAll()
    .where('site', '=', site.id)
    .executeTakeFirst();
  return row?.journal === journal ? row.seq : 0;
}

/** An update that this version cannot read is left out: asking for it again would not make it readable. */
function reportOf(update: AttemptUpdate, log: Log): Report | undefined {
  try {
    return {
      attemptId: attemptId(update.attemptId),
      atMs: update.atMs,
      state: stateFromWire(update.state),
      detail: boundedWords(update.detail),
      ...(update.live === undefined ? {} : { live: liveFromWire(update.live) }),
      ...(update.outcome === undefined ? {} : { outcome: outcomeFromWire(update.outcome) }),
    };
  } catch (error) {
    log.error({ err: error, attempt: update.attemptId, seq: update.seq }, 'update is not readable');
    return undefined;
  }
}
