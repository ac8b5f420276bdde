import type { Lease } from '../../core/claim/lease.ts';
import type { AttemptId } from '../../core/ids.ts';
import type { Rules } from '../../core/match/ask.ts';
import type { SiteGatewayService } from '../../proto/gen/grid/v1/site.ts';
import type { Log } from '../../service/log.ts';
import type { Connection } from '../../service/rpc/grpc-client.ts';
import { type Book, begin, commit } from '../book.ts';
import type { StagingAccounts } from '../data/staging-accounts.ts';
import type { Admit } from '../data/sweeper.ts';
import type { Bell } from '../feed.ts';
import type { JobStore } from '../jobs/job-store.ts';
import { release } from '../jobs/moves.ts';
import type { AttemptRecord, Why } from '../jobs/records.ts';
import type { Superfluous } from '../jobs/updates.ts';
import type { S3Secrets } from '../s3/s3-secrets.ts';
import type { SiteUrls } from '../s3/site-urls.ts';
import type { SiteRecord } from './site-registry.ts';
import type { SiteTickets } from './site-tickets.ts';

/** What a link to a site works with. */
export interface LinkOptions {
  readonly book: Book;
  readonly store: JobStore;
  readonly site: SiteRecord;
  readonly rules: Rules;
  readonly open: () => Connection<SiteGatewayService>;
  readonly epoch: number;
  readonly leaseMs: number;
  readonly accounts: StagingAccounts | undefined;
  readonly secrets: Pick<S3Secrets, 'sign' | 'jobs'>;
  /** Told of every tree of results. */
  readonly admit: Admit;
  /** A job of this VO has failed for want of data, with these words. */
  readonly doubt: (vo: string, failure: string) => void;
  /** Something changed that may let jobs start. */
  readonly onChange: () => void;
  /** Number of a session, higher than all that this broker has had with any gateway. */
  readonly nextSession: () => number;
  /** Attempts that (perhaps other) sites shall end. */
  readonly onSuperfluous: (attempts: readonly Superfluous[]) => void;
  /** Notes whether the site says that another broker has taken this one's place; gives whether all sites say so now. */
  readonly noteDeposed: (saysSo: boolean) => boolean;
  /** The broker must stop: another one has taken its place, or the ledger fails. */
  readonly onFatal: (error: unknown) => void;
}

/** A link across its sessions. */
export interface Link extends LinkOptions {
  readonly log: Log;
  readonly lease: { -readonly [K in keyof Lease]: Lease[K] };
  /** Rings when there is something to send. */
  readonly bell: Bell;
  /** Attempts that were never sent: the gateway cannot know them. */
  readonly unsent: Set<AttemptRecord>;
  readonly cancels: Set<AttemptId>;
  /** Updates up to this number are in the ledger. */
  appliedSeq: number;
  /** The session that is up. */
  session: Session | undefined;
}

/** One connection, from the first advertisement on. */
export interface Session {
  /** Higher than that of all before it. */
  readonly number: number;
  readonly gateway: Connection<SiteGatewayService>['call'];
  readonly signal: AbortSignal;
  readonly tickets: SiteTickets;
  readonly urls: SiteUrls;
  /** Ends the session; the link opens another one. */
  end(): void;
}

/** How long one call may take before its session is given up. */
export const CALL_MS = 15_000;

/** Lets attempts go and queues their tasks again; those that are over already are left alone. */
export async function releaseAll(
  { book, onChange }: LinkOptions,
  attempts: readonly AttemptRecord[],
  why: Why,
): Promise<void> {
  const live = attempts.filter(({ id }) => book.table.attempts.has(id));
  if (live.length === 0) return;
  const set = begin(book);
  for (const attempt of live) release(book.table, set, attempt, why);
  onChange();
  await commit(book, set);
}
