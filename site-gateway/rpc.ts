import { GridError } from '../core/errors.ts';
import type { Dn } from '../core/ids.ts';
import type { Offer } from '../core/match/offer.ts';
import { type StagingTicket, Stream } from '../proto/gen/grid/v1/common.ts';
import type {
  Advertisement,
  AdvertiseRequest,
  AttemptUpdate,
  InspectResponse,
  SignedUrl,
  SiteGatewayService,
  WatchRequest,
} from '../proto/gen/grid/v1/site.ts';
import { pause } from '../service/background.ts';
import type { CallContext, Handlers } from '../service/rpc/rpc.ts';
import { offerToWire, treeToWire } from '../service/rpc/wire.ts';
import type { Lease } from './attempts/lease.ts';
import type { Placing } from './attempts/place.ts';
import type { SendAgain } from './attempts/send-again.ts';
import { openSessionFence } from './attempts/session-fence.ts';
import type { Supervisor } from './attempts/supervisor.ts';
import type { Change } from './change.ts';
import type { Journal } from './journal/journal.ts';
import type { SiteStaging } from './staging/site-staging.ts';
import { type TailSource, tail } from './staging/tail.ts';
import type { TransferQueue } from './staging/transfer-turns.ts';

export interface GatewayParts {
  /** The only one who may call. */
  readonly brokerDn: Dn;
  readonly journal: Journal;
  readonly supervisor: Supervisor;
  readonly transfers: Pick<TransferQueue, 'counts'> & Pick<SiteStaging, 'storeTrouble'>;
  /** What its administrator should know of the host certificate; '' for nothing. */
  readonly certificateTrouble: () => string;
  /** Why images are not run here; '' where they are, or where nothing was tried. */
  readonly imagesTrouble: string;
  readonly lease: Lease;
  readonly nowMs: () => number;
  readonly placing: Placing;
  readonly offer: () => Offer;
  /** Something of the offer may have changed. */
  readonly offerChange: Change;
  readonly addTickets: (tickets: readonly StagingTicket[]) => Promise<void>;
  readonly addSignedUrls: (signed: readonly SignedUrl[]) => void;
  readonly tailSource: TailSource;
  readonly sendAgain: SendAgain;
}

/** Changes of the offer within this time are told as one. */
const OFFER_PAUSE_MS = 50;
const UPDATES_AT_A_TIME = 500;
const MIN_BEACON_MS = 100;

/** The handlers of `SiteGateway`. Each looks first at who calls and with which epoch. */
export function gatewayHandlers(parts: GatewayParts): Handlers<typeof SiteGatewayService> {
  const { journal, supervisor } = parts;
  const admit = admission(parts);
  const fence = openSessionFence();
  return {
    advertise: async function* (request, context) {
      await admit(context, request.epoch);
      yield* advertise(parts, request, context.signal);
    },
    place: async (request, context) => {
      await admit(context, request.epoch);
      parts.addSignedUrls(request.signedUrls);
      await parts.addTickets(request.tickets);
      // Where that took long the broker may have given up this call, and what is in it.
      fence.check(request);
      return { answers: [...(await parts.placing.place(request))] };
    },
    watch: async function* (request, context) {
      await admit(context, request.epoch);
      yield* watch(journal, request, context.signal);
    },
    control: async (request, context) => {
      await admit(context, request.epoch);
      const known = journal.known(request.cancel);
      await Promise.all([
        journal.acknowledge(request.acknowledgedSeq),
        supervisor.end(request.cancel, 'cancelled'),
      ]);
      return { unknown: request.cancel.filter((id) => !known.has(id)) };
    },
    ...renewHandler(parts, admit),
    tail: async function* (request, context) {
      await admit(context, request.epoch);
      const { attemptId: id, file, offset, follow } = request;
      const stream = request.stream === Stream.STREAM_STDERR ? 'stderr' : 'stdout';
      yield* tail(parts.tailSource, { id, stream, file, offset, follow }, context.signal);
    },
    inspect: (request, context) =>
      admit(context, request.epoch).then(() => ({
        ...inspected(supervisor, parts.transfers),
        storeTrouble: parts.transfers.storeTrouble(),
        certificateTrouble: parts.certificateTrouble(),
        imagesTrouble: parts.imagesTrouble,
      })),
    ...sendAgainHandler(parts, admit),
    reconcile: async (request, context) => {
      await admit(context, request.epoch);
      fence.enter(request);
      await parts.placing.settled();
      const known = journal.known(request.attemptIds);
      const listed = new Set(request.attemptIds);
      const ending = supervisor.liveIds().filter((id) => !listed.has(id));
      await supervisor.end(ending, 'unwanted');
      return { unknown: request.attemptIds.filter((id) => !known.has(id)), ending };
    },
  };
}

type Admission = (context: CallContext, epoch: number) => Promise<void>;

const renewHandler = (
  { journal, lease, addSignedUrls, addTickets }: GatewayParts,
  admit: Admission,
): Pick<Handlers<typeof SiteGatewayService>, 'renew'> => ({
  renew: async (request, context) => {
    await admit(context, request.epoch);
    addSignedUrls(request.signedUrls);
    const renewed = lease.renew(request.beaconMs, request.instance, request.leaseMs);
    const kept = renewed ? lease.kept() : undefined;
    await Promise.all([
      addTickets(request.tickets),
      kept === undefined ? undefined : journal.keepLease(kept),
    ]);
    return {};
  },
});

const sendAgainHandler = (
  { sendAgain }: GatewayParts,
  admit: Admission,
): Pick<Handlers<typeof SiteGatewayService>, 'sendAgain'> => ({
  sendAgain: async (request, context) => {
    await admit(context, request.epoch);
    return { outputs: treeToWire(await sendAgain(request.attemptId, context.signal)) };
  },
});

/** Lets the broker in, and notes its epoch; throws PERMISSION_DENIED, STALE_EPOCH. */
function admission({ brokerDn, journal }: GatewayParts): Admission {
  return async (context, epoch) => {
    const dn = context.peer?.dn ?? '';
    if (dn !== brokerDn)
      throw new GridError('PERMISSION_DENIED', `'${dn}' is not the broker of this site`);
    refuseStale(journal, epoch);
    if (epoch > journal.epoch()) await journal.raiseEpoch(epoch);
  };
}

/** Every live attempt with what the batch system has of it, then what that has beside. */
function inspected(
  supervisor: Supervisor,
  queue: Pick<TransferQueue, 'counts'>,
): Pick<InspectResponse, 'attempts' | 'transfers'> {
  const { attempts, listed } = supervisor.inspect();
  const states = new Map<string, string>(attempts.map(({ id, state }) => [id, state]));
  const told = new Set<string>(listed.map(({ id }) => id));
  const none = { batchId: '', batchState: '', batchReason: '' };
  const known = listed.map(({ id, batchId, state, reason }) => ({
    attemptId: id,
    state: states.get(id) ?? '',
    batchId,
    batchState: state,
    batchReason: reason,
  }));
  const others = attempts
    .filter(({ id }) => !told.has(id))
    .map(({ id, state }) => ({ attemptId: id, state, ...none }));
  return { attempts: [...known, ...others], transfers: [...queue.counts()] };
}

/** A broker that was replaced must learn it also in the middle of a stream. */
function refuseStale(journal: Journal, epoch: number): void {
  const highest = journal.epoch();
  if (epoch < highest)
    throw new GridError('STALE_EPOCH', `epoch ${epoch} is over: this site has seen ${highest}`);
}

async function* advertise(
  parts: GatewayParts,
  request: AdvertiseRequest,
  signal: AbortSignal,
): AsyncGenerator<Advertisement> {
  const { lease, offerChange } = parts;
  const beaconEveryMs = Math.max(MIN_BEACON_MS, Math.floor(request.leaseMs / 3));
  let told = '';
  while (!signal.aborted) {
    refuseStale(parts.journal, request.epoch);
    const seen = offerChange.version();
    const offer = parts.offer();
    const text = JSON.stringify(offer);
    const changed = text !== told;
    told = text;
    yield {
      beaconMs: lease.beaconMs(),
      nowMs: parts.nowMs(),
      instance: lease.instance,
      offer: changed ? offerToWire(offer) : undefined,
      journal: parts.journal.id,
    };
    await pause(Math.min(OFFER_PAUSE_MS, beaconEveryMs), signal);
    await offerChange.after(seen, beaconEveryMs - OFFER_PAUSE_MS, signal);
  }
}

async function* watch(
  journal: Journal,
  request: WatchRequest,
  signal: AbortSignal,
): AsyncGenerator<AttemptUpdate> {
  await journal.acknowledge(request.afterSeq);
  let seq = request.afterSeq;
  while (!signal.aborted) {
    refuseStale(journal, request.epoch);
    const committed = journal.nextCommit(signal);
    const updates = journal.updatesAfter(seq, UPDATES_AT_A_TIME);
    for (const update of updates) {
      yield update;
      seq = update.seq;
    }
    if (updates.length === 0) await committed;
  }
}
