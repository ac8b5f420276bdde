import type { SiteId } from '../../core/ids.ts';
import { credible } from '../../core/match/credible.ts';
import type { Advertisement, SiteGatewayService } from '../../proto/gen/grid/v1/site.ts';
import type { Connection } from '../../service/rpc/grpc-client.ts';
import { offerFromWire } from '../../service/rpc/wire.ts';
import type { JobRecord } from '../jobs/records.ts';
import { openSiteUrls } from '../s3/site-urls.ts';
import { CALL_MS, type Link, releaseAll, type Session } from './site-context.ts';
import { noteAdvertisement, noteClock } from './site-registry.ts';
import { runSender } from './site-sender.ts';
import { openSiteTickets } from './site-tickets.ts';
import { watchSite } from './site-watch.ts';

/** At most so many within a lease; of beacons that are due there are three. */
const RENEWALS = 10;

/**
 * One connection to a gateway: its offers first, then both lists are compared, and only then does work flow. Returns or
 * throws when the connection ends, after all calls of it have settled here. What they sent may be on its way still: the
 * number of the session tells the gateway an old `Place` from one that comes after a new `Reconcile`.
 */
export async function runSession(
  link: Link,
  connection: Connection<SiteGatewayService>,
  closing: AbortSignal,
): Promise<void> {
  const ending = new AbortController();
  const session: Session = {
    number: link.nextSession(),
    gateway: connection.call,
    signal: AbortSignal.any([closing, ending.signal]),
    tickets: openSiteTickets(link.accounts, link.book.clock),
    urls: openSiteUrls(link.secrets, link.book.clock),
    end: () => ending.abort(),
  };
  const first = Promise.withResolvers<Advertisement>();
  const work: Promise<void>[] = [followOffers(link, session, first.resolve)];
  try {
    const hello = await Promise.race([first.promise, ...work]);
    if (hello === undefined) return;
    const { journal } = hello;
    // A gateway without a lease would keep its tasks for ever, so nothing is sent before it has one.
    await renew(link, session, hello, link.book.clock.monotonicMs());
    await reconcile(link, session);
    link.noteDeposed(false);
    link.site.link = 'up';
    link.site.trouble = '';
    link.session = session;
    link.log.info({ journal }, 'site is up');
    link.onChange();
    work.push(watchSite(link, session, journal), runSender(link, session));
    await Promise.race(work);
  } finally {
    link.session = undefined;
    session.end();
    await Promise.allSettled(work);
    connection.close();
  }
}

async function followOffers(
  link: Link,
  session: Session,
  onFirst: (message: Advertisement) => void,
): Promise<void> {
  const { book, site, epoch, leaseMs } = link;
  const { gateway, signal } = session;
  let renewedAtMs = Number.NEGATIVE_INFINITY;
  for await (const message of gateway.advertise({ epoch, leaseMs }, { signal })) {
    const heardAtMs = book.clock.monotonicMs();
    const offer = message.offer && credible(offerFromWire(message.offer), site.id);
    noteAdvertisement(site, offer, book.clock.nowMs());
    noteClock(site, message.nowMs, book.clock.nowMs());
    onFirst(message);
    if (link.session === session) {
      link.onChange();
      // A busy site advertises many times a second.
      if (heardAtMs - renewedAtMs < leaseMs / RENEWALS) continue;
      renewedAtMs = heardAtMs;
      renew(link, session, message, heardAtMs).catch((error: unknown) =>
        link.log.warn({ err: error }, 'the lease could not be renewed'),
      );
    }
  }
}

/** Hands a beacon back. From the moment it is sent the gateway may have it, whatever becomes of the call. */
async function renew(
  link: Link,
  session: Session,
  { beaconMs, instance }: Advertisement,
  heardAtMs: number,
): Promise<void> {
  const { book, site, epoch, leaseMs, lease } = link;
  const tickets = await session.tickets.due(book.table.vosAt(site.id), site.offer?.nkey ?? '');
  const signedUrls = await session.urls.due((id) => isAt(book.table.jobs.get(id), site.id));
  if (session.signal.aborted) return;
  lease.echoedBeaconAtMs = Math.max(lease.echoedBeaconAtMs, heardAtMs);
  await session.gateway.renew(
    { epoch, beaconMs, instance, leaseMs, tickets, signedUrls },
    { signal: session.signal, deadlineMs: CALL_MS },
  );
}

/** Whether a job has a live attempt there. */
const isAt = (job: JobRecord | undefined, site: SiteId): boolean =>
  job?.sites.has(site) === true &&
  [...job.open.values()].some(({ attempt }) => attempt?.site === site);

/** Compares the lists: what was sent and the gateway does not know cannot run there. */
async function reconcile(link: Link, session: Session): Promise<void> {
  const { book, site, epoch } = link;
  const sent = [...book.table.liveAt(site.id)].filter((attempt) => !link.unsent.has(attempt));
  const answer = await session.gateway.reconcile(
    { epoch, session: session.number, attemptIds: sent.map(({ id }) => id) },
    { signal: session.signal, deadlineMs: CALL_MS },
  );
  const unknown = new Set(answer.unknown);
  for (const attempt of sent) {
    if (unknown.has(attempt.id)) continue;
    attempt.acknowledged = true;
    site.unreflected.delete(attempt);
  }
  if (answer.ending.length > 0)
    link.log.info({ ending: answer.ending }, 'site ends what was let go');
  await releaseAll(
    link,
    sent.filter(({ id }) => unknown.has(id)),
    { reason: 'GATEWAY_FORGOT', detail: `${site.id} does not know the attempt` },
  );
  for (const { id, task } of book.table.liveAt(site.id))
    if (task.job.cancelReason !== undefined) link.cancels.add(id);
}
