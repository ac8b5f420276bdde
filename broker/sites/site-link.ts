import { isLost } from '../../core/claim/lease.ts';
import { GridError } from '../../core/errors.ts';
import type { AttemptId } from '../../core/ids.ts';
import type { Stream, TailChunk } from '../../proto/gen/grid/v1/common.ts';
import type { InspectResponse } from '../../proto/gen/grid/v1/site.ts';
import { background, pause } from '../../service/background.ts';
import { openBell } from '../feed.ts';
import type { AttemptRecord, Why } from '../jobs/records.ts';
import { CALL_MS, type Link, type LinkOptions, releaseAll, type Session } from './site-context.ts';
import type { SiteRecord } from './site-registry.ts';
import { runSession } from './site-session.ts';

/** The connection to one site's gateway; it is opened again for ever, until `close`. */
export interface SiteLink {
  /** Sends attempts that are in the ledger. */
  place(attempts: readonly AttemptRecord[]): void;
  /** Has attempts ended; asked again after each reconnection while their job is being cancelled. */
  cancel(attempts: readonly AttemptId[]): void;
  /** Has live attempts ended so that their tasks wait again; those that were never sent go back at once. */
  evict(attempts: readonly AttemptRecord[], why: Why): Promise<void>;
  /** Output of an attempt. Throws UNAVAILABLE where the site cannot be reached now. */
  tail(wish: TailWish, signal: AbortSignal): AsyncIterable<TailChunk>;
  /** What the gateway and its batch system have. Throws UNAVAILABLE where it cannot be asked now. */
  inspect(signal: AbortSignal): Promise<InspectResponse>;
  close(): Promise<void>;
}

/** Which bytes of which attempt. */
export interface TailWish {
  readonly attemptId: AttemptId;
  readonly stream: Stream;
  /** In the directory of the task, instead of the stream; '' for the stream. */
  readonly file: string;
  readonly offset: number;
  readonly follow: boolean;
}

const RETRY_MS = { first: 200, most: 2_000 };
/** How often the lease is looked at, at most. */
const LOOK_MS = 1_000;

export function openSiteLink(options: LinkOptions): SiteLink {
  const { site, book, leaseMs } = options;
  const link: Link = {
    ...options,
    log: book.log.child({ site: site.id }),
    // Whatever the broker that ran before has promised, it promised before now.
    lease: { lengthMs: leaseMs, echoedBeaconAtMs: book.clock.monotonicMs() },
    bell: openBell(),
    unsent: new Set(),
    cancels: new Set(),
    appliedSeq: 0,
    session: undefined,
  };
  const closing = new AbortController();
  const look = setInterval(() => lookAtLease(link), Math.min(LOOK_MS, leaseMs / 10));
  const running = keepConnected(link, closing.signal);
  background('keep a link to a site', running, link.log, options.onFatal);
  return {
    place: (attempts) => {
      for (const attempt of attempts) link.unsent.add(attempt);
      link.bell.wake();
    },
    cancel: (attempts) => {
      for (const id of attempts) link.cancels.add(id);
      link.bell.wake();
    },
    evict: async (attempts, why) => {
      const unsent: AttemptRecord[] = [];
      for (const attempt of attempts) {
        attempt.evicted = why;
        if (link.unsent.delete(attempt)) unsent.push(attempt);
        else link.cancels.add(attempt.id);
      }
      link.bell.wake();
      await releaseAll(link, unsent, why);
    },
    tail: (wish, signal) =>
      sessionOf(link).gateway.tail({ epoch: link.epoch, ...wish }, { signal }),
    inspect: async (signal) =>
      sessionOf(link).gateway.inspect({ epoch: link.epoch }, { signal, deadlineMs: CALL_MS }),
    close: async () => {
      clearInterval(look);
      closing.abort();
      await running.catch(() => undefined);
    },
  };
}

function sessionOf({ session, site }: Link): Session {
  if (session !== undefined) return session;
  const why = site.trouble || 'no connection yet';
  throw new GridError('UNAVAILABLE', `site ${site.id} cannot be reached now: ${why}`);
}

async function keepConnected(link: Link, closing: AbortSignal): Promise<void> {
  const { site, log } = link;
  let waitMs = RETRY_MS.first;
  while (!closing.aborted) {
    const heardBefore = site.lastHeardAtMs;
    let trouble = 'the connection has ended';
    try {
      await runSession(link, link.open(), closing);
    } catch (error) {
      const saysSo = error instanceof GridError && error.code === 'STALE_EPOCH';
      if (link.noteDeposed(saysSo)) {
        link.onFatal(error);
        return;
      }
      trouble = troubleOf(error, site);
      if (!closing.aborted && !site.trouble.endsWith(trouble))
        log.warn({ err: error }, 'no link to site');
    }
    site.trouble = site.link === 'lost' ? `${silence(link)}: ${trouble}` : trouble;
    if (site.link === 'up') site.link = 'unreachable';
    if (site.lastHeardAtMs !== heardBefore) waitMs = RETRY_MS.first;
    await pause(waitMs, closing);
    waitMs = Math.min(RETRY_MS.most, waitMs * 2);
  }
}

/** Words for whoever looks at the site, so without its name. */
function troubleOf(error: unknown, { id, address }: SiteRecord): string {
  const message = error instanceof Error ? error.message : String(error);
  const words = message.replace(`site ${id} at ${address}: `, '');
  // These come from the other side only, whose administrator is the one who can mend it.
  const refused =
    error instanceof GridError &&
    ['UNAUTHENTICATED', 'PERMISSION_DENIED', 'STALE_EPOCH'].includes(error.code);
  return refused ? `the gateway refuses the broker: ${words}` : words;
}

const silence = ({ lease }: Link): string =>
  `silent for longer than its lease of ${Math.round(lease.lengthMs / 1_000)} s`;

/** Declares the site lost once its lease is over; its session ends, so that it has to reconcile before it is up. */
function lookAtLease(link: Link): void {
  const { site, book, lease } = link;
  if (site.link === 'lost' || !isLost(lease, book.clock.monotonicMs())) return;
  const live = [...book.table.liveAt(site.id)];
  if (site.link === 'unknown' && live.length === 0) return;
  link.log.warn({ attempts: live.length }, 'site is lost');
  site.link = 'lost';
  // Why it is silent may be known already, and the next try to reach it says so again.
  site.trouble = site.trouble === '' ? silence(link) : `${silence(link)}: ${site.trouble}`;
  link.session?.end();
  const lost = live.filter(
    (attempt) => attempt.task.job.onLost === 'release' || link.unsent.has(attempt),
  );
  const why = { reason: 'SITE_LOST', detail: `${site.id} was ${silence(link)}` };
  background('release what a site has lost', releaseAll(link, lost, why), link.log, link.onFatal);
}
