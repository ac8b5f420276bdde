import { EMPTY_TREE, type TreeRef } from '../../core/data/manifest.ts';
import { type ErrorCode, GridError } from '../../core/errors.ts';
import { attemptId, type VoName } from '../../core/ids.ts';
import type { LiveOutputs } from '../../core/job/live-outputs.ts';
import { boundedWords } from '../../core/words.ts';
import type { AttemptUpdate } from '../../proto/gen/grid/v1/site.ts';
import type { Log } from '../../service/log.ts';
import {
  liveFromWire,
  outcomeFromWire,
  stateFromWire,
  treeFromWire,
} from '../../service/rpc/wire.ts';
import { begin, commit } from '../book.ts';
import type { Admit } from '../data/sweeper.ts';
import type { ChangeSet } from '../jobs/change-set.ts';
import { applyReport, attemptAt, type Report, type Superfluous } from '../jobs/updates.ts';
import { noteEnd } from './site-conduct.ts';
import type { Link, Session } from './site-context.ts';
import { conductRows } from './site-registry.ts';

/** The stream is read ahead of the ledger by at most this many updates. */
const MAX_PENDING = 5_000;

/**
 * Applies the gateway's updates in the order of their numbers, each once: those of one moment in one transaction,
 * together with how far the outbox has been read.
 */
export async function watchSite(link: Link, session: Session, journal: string): Promise<void> {
  const { book, site, epoch } = link;
  const { gateway, signal } = session;
  link.appliedSeq = await cursorOf(link, journal);
  let lastSeq = link.appliedSeq;
  let pending: AttemptUpdate[] = [];
  let flushing: Promise<void> | undefined;
  const failed = Promise.withResolvers<never>();

  const flush = async (): Promise<void> => {
    await new Promise(setImmediate);
    while (pending.length > 0 && !signal.aborted) {
      const batch = pending;
      pending = [];
      const seq = lastSeq;
      const read = batch.flatMap((update) => reportOf(update, link.log) ?? []);
      const reports = await Promise.all(read.map((report) => withOutputs(link, session, report)));
      // The next session reads them again, from where the cursor stands by then.
      if (signal.aborted) return;
      const set = begin(book);
      const { conduct } = site;
      const superfluous = reports.flatMap((report) => applyOne(link, set, report));
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
  const read = async (): Promise<void> => {
    for await (const update of gateway.watch({ epoch, afterSeq: link.appliedSeq }, { signal })) {
      if (update.seq <= lastSeq) continue;
      lastSeq = update.seq;
      pending.push(update);
      if (flushing === undefined) {
        flushing = flush();
        flushing.catch(failed.reject);
      }
      if (pending.length >= MAX_PENDING) await flushing;
    }
  };
  await Promise.race([read(), failed.promise]);
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

/** The report; where chunks of the outputs have been swept and cannot be sent again, it is one of a failure. */
async function withOutputs(link: Link, session: Session, report: Report): Promise<Report> {
  const { book, site, admit, doubt } = link;
  const { outcome, live, attemptId: id } = report;
  const vo = attemptAt(book.table, site.id, id)?.task.job.vo;
  if (outcome?.failure === 'data' && vo !== undefined) doubt(vo, outcome.detail);
  if (live !== undefined && vo !== undefined)
    return { ...report, live: await kept(admit, vo, live) };
  if (outcome === undefined || outcome.outputs.digest === '' || vo === undefined) return report;
  try {
    const outputs = await keptOutputs(link, session, { id, vo, outputs: outcome.outputs });
    return { ...report, outcome: { ...outcome, outputs } };
  } catch (error) {
    return withoutOutputs({ ...report, outcome }, error);
  }
}

/** The store or the gateway is away for now. Whatever else is tried again would hold up all that the site has to tell. */
const PASSING: readonly ErrorCode[] = ['UNAVAILABLE', 'STAGING_UNAVAILABLE', 'INTERRUPTED'];

/** The failure that it is; throws what the next session will try again. */
function withoutOutputs(
  report: Report & Required<Pick<Report, 'outcome'>>,
  error: unknown,
): Report {
  if (!(error instanceof GridError) || PASSING.includes(error.code)) throw error;
  const lost = { failure: 'data', reason: 'OUTPUTS_LOST', detail: error.message } as const;
  const outcome = { ...report.outcome, ...lost, outputs: EMPTY_TREE };
  return { ...report, state: 'failed', outcome };
}

/** What the gateway found in the store when it sent them may have been swept since: then it sends that, while it has the files. */
async function keptOutputs(
  { admit, epoch, log }: Link,
  { gateway, signal }: Session,
  { id, vo, outputs }: { readonly id: string; readonly vo: VoName; readonly outputs: TreeRef },
): Promise<TreeRef> {
  try {
    await admit(vo, outputs, 'gateway');
    return outputs;
  } catch (error) {
    if (!(error instanceof GridError) || error.code !== 'CHUNK_MISSING') throw error;
    log.warn({ attempt: id, err: error }, 'outputs are sent again');
    const request = { epoch, attemptId: id };
    const again = await gateway
      .sendAgain(request, { signal, deadlineMs: SEND_AGAIN_MS })
      .catch((second: unknown) => {
        if (!(second instanceof GridError)) throw second;
        throw new GridError(second.code, `${error.message}, and not to be had: ${second.message}`);
      });
    const sent = treeFromWire(again.outputs);
    await admit(vo, sent, 'gateway');
    return sent;
  }
}

/** Only what is missing is sent. */
const SEND_AGAIN_MS = 300_000;

/** Live outputs whose chunks have been swept since are not there; the next ones will be. */
async function kept(admit: Admit, vo: VoName, live: LiveOutputs): Promise<LiveOutputs> {
  try {
    await admit(vo, live.tree, 'live');
    return live;
  } catch (error) {
    if (!(error instanceof GridError)) throw error;
    return { ...live, tree: EMPTY_TREE, trouble: `${error.code}: ${error.message}` };
  }
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
