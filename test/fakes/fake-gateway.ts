import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { GridError } from '../../core/errors.ts';
import type { Offer } from '../../core/match/offer.ts';
import { FailureKind, State, type TreeRef } from '../../proto/gen/grid/v1/common.ts';
import {
  Acceptance,
  type AttemptUpdate,
  type PlacedAttempt,
  type PlacedJob,
  SiteGatewayService,
} from '../../proto/gen/grid/v1/site.ts';
import { freePort } from '../../service/nats/nats-config.ts';
import type { Authenticator, ServerIdentity } from '../../service/rpc/grid-listener.ts';
import { type RunningServer, served, startServer } from '../../service/rpc/grpc-server.ts';
import type { Handlers } from '../../service/rpc/rpc.ts';
import { offerToWire } from '../../service/rpc/wire.ts';

/** A gateway that keeps its journal in memory and runs nothing: a test says what becomes of each attempt. */
export interface FakeGateway extends AsyncDisposable {
  readonly address: string;
  /** Attempts that it accepted, in order, with what it was told of their jobs. */
  readonly placed: { readonly attempt: PlacedAttempt; readonly job: PlacedJob }[];
  readonly cancelled: string[];
  readonly epochs: Set<number>;
  /** Sessions of the broker that have compared the lists. */
  readonly sessions: number[];
  /** How often its lease was renewed. */
  renewals: number;
  /** Says that another broker leads. */
  deposes: boolean;
  /** Answers with this refusal while it is set. */
  refusal: { readonly reason: string; readonly detail: string } | undefined;
  /** Name of a job that it cannot read: it refuses every message that the job is in. */
  unreadable: string;
  /** What becomes of an attempt as soon as it is accepted; nothing by default. */
  onPlaced: (attemptId: string, job: PlacedJob) => void;
  /** Outputs of what it reports to have ended from now on; none by default. */
  outputs: TreeRef;
  /** Sends the outputs of an attempt again; refused by default. */
  onSendAgain: (attemptId: string) => Promise<TreeRef>;
  offer(change: Partial<Offer>): void;
  report(
    attemptId: string,
    state: State,
    failure?: FailureKind,
    reason?: string,
    detail?: string,
  ): void;
  /** As if the journal had been lost; live attempts are gone. */
  forget(): void;
  /** Cuts the network, and joins it again at the same address. */
  cut(): Promise<void>;
  join(): Promise<void>;
}

interface Options {
  readonly identity: ServerIdentity;
  readonly authenticator: Authenticator;
  readonly offer: Offer;
  /** How often a beacon is sent. */
  readonly beaconMs: number;
  /** One that nobody else gets by default, not even while it is cut off. */
  readonly port?: number;
}

const NO_TREE: TreeRef = {
  digest: Buffer.alloc(0),
  totalBytes: 0,
  files: 0,
  manifest: Buffer.alloc(0),
};
const ENDS: readonly State[] = [State.STATE_DONE, State.STATE_FAILED, State.STATE_CANCELLED];

export async function openFakeGateway(options: Options): Promise<FakeGateway> {
  const bells = new Set<() => void>();
  const ring = (): void => bells.forEach((bell) => bell());
  const live = new Set<string>();
  let outbox: AttemptUpdate[] = [];
  let seq = 0;
  let journal = randomUUID();
  let offer = options.offer;
  let offers = 1;
  const instance = randomUUID();
  let session = 0;
  const rung = (signal: AbortSignal, ms?: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(done, ms);
      function done(): void {
        clearTimeout(timer);
        bells.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      }
      bells.add(done);
      signal.addEventListener('abort', done, { once: true });
    });

  const handlers: Handlers<SiteGatewayService> = {
    async *advertise({ epoch }, { signal }) {
      gateway.epochs.add(epoch);
      if (gateway.deposes) throw new GridError('STALE_EPOCH', `epoch ${epoch} is over`);
      for (let sent = 0; !signal.aborted; ) {
        const news = sent === offers ? undefined : offerToWire(offer);
        sent = offers;
        yield {
          beaconMs: Math.round(performance.now()),
          instance,
          offer: news,
          journal,
          nowMs: Date.now(),
        };
        if (sent === offers) await rung(signal, options.beaconMs);
      }
    },
    place: (request) => {
      if (request.jobs.some(({ spec }) => spec?.name === gateway.unreadable))
        return Promise.reject(new GridError('REQUEST_INVALID', 'that is not readable'));
      if (request.session === 0 || request.session !== session)
        return Promise.reject(new GridError('INTERRUPTED', `session ${request.session}`));
      const answers = request.attempts.map((attempt) => {
        const job = request.jobs[attempt.jobIndex];
        if (gateway.refusal !== undefined || job === undefined) {
          const { reason, detail } = gateway.refusal ?? { reason: 'NO_JOB', detail: '' };
          const acceptance = Acceptance.ACCEPTANCE_REFUSED;
          return { attemptId: attempt.attemptId, acceptance, reason, detail };
        }
        gateway.placed.push({ attempt, job });
        live.add(attempt.attemptId);
        setImmediate(() => gateway.onPlaced(attempt.attemptId, job));
        const acceptance = Acceptance.ACCEPTANCE_ACCEPTED;
        return { attemptId: attempt.attemptId, acceptance, reason: '', detail: '' };
      });
      return Promise.resolve({ answers });
    },
    async *watch({ afterSeq }, { signal }) {
      for (let last = afterSeq; !signal.aborted; ) {
        // Numbered from 1 without a gap.
        const fresh = outbox.slice(last);
        last += fresh.length;
        yield* fresh;
        if (outbox.length <= last) await rung(signal);
      }
    },
    control: ({ cancel }) => {
      gateway.cancelled.push(...cancel);
      for (const id of cancel.filter((wanted) => live.has(wanted)))
        setImmediate(() => gateway.report(id, State.STATE_CANCELLED));
      return Promise.resolve({ unknown: cancel.filter((id) => !live.has(id)) });
    },
    renew: () => {
      gateway.renewals += 1;
      return Promise.resolve({});
    },
    inspect: () =>
      Promise.resolve({
        attempts: [...live].map((attemptId) => ({
          attemptId,
          state: 'running',
          batchId: '',
          batchState: 'runs',
          batchReason: '',
        })),
        transfers: [{ vo: 'demo', moving: 2, waiting: 3, background: 1 }],
        storeTrouble: '',
        certificateTrouble: '',
        imagesTrouble: '',
      }),
    sendAgain: async ({ attemptId }) => ({ outputs: await gateway.onSendAgain(attemptId) }),
    async *tail({ attemptId, offset }) {
      yield { offset, data: Buffer.from(`output of ${attemptId}`), stored: undefined };
    },
    reconcile: ({ attemptIds, session: of }) => {
      session = of;
      gateway.sessions.push(of);
      const wanted = new Set(attemptIds);
      const reported = new Set(outbox.map((update) => update.attemptId));
      return Promise.resolve({
        unknown: attemptIds.filter((id) => !live.has(id) && !reported.has(id)),
        ending: [...live].filter((id) => !wanted.has(id)),
      });
    },
  };

  const start = (port: number): Promise<RunningServer> =>
    startServer({
      host: '127.0.0.1',
      port,
      identity: options.identity,
      authenticator: options.authenticator,
      services: [served(SiteGatewayService, handlers)],
      log: pino({ level: 'silent' }),
    });
  const port = options.port ?? (await freePort('127.0.0.1'));
  let server: RunningServer | undefined = await start(port);

  const gateway: FakeGateway = {
    address: `127.0.0.1:${port}`,
    placed: [],
    cancelled: [],
    epochs: new Set(),
    sessions: [],
    renewals: 0,
    deposes: false,
    refusal: undefined,
    unreadable: '',
    onPlaced: () => undefined,
    outputs: NO_TREE,
    onSendAgain: () => Promise.reject(new GridError('ATTEMPT_NOT_FOUND', 'it is gone')),
    offer: (change) => {
      offer = { ...offer, ...change };
      offers += 1;
      ring();
    },
    report: (
      attemptId,
      state,
      failure = FailureKind.FAILURE_KIND_UNSPECIFIED,
      reason = 'TEST_FAILED',
      detail,
    ) => {
      seq += 1;
      const failed = state === State.STATE_FAILED;
      const outcome = {
        exitCode: failed ? 1 : 0,
        signal: 0,
        failure,
        reason: failed ? reason : '',
        detail: failed ? (detail ?? 'the test said so') : '',
        usage: undefined,
        outputs: gateway.outputs,
      };
      const ended = ENDS.includes(state);
      if (ended) live.delete(attemptId);
      outbox.push({
        seq,
        attemptId,
        atMs: Date.now(),
        state,
        detail: ended ? '' : (detail ?? ''),
        outcome: ended ? outcome : undefined,
        live: undefined,
      });
      ring();
    },
    forget: () => {
      live.clear();
      outbox = [];
      seq = 0;
      journal = randomUUID();
    },
    cut: async () => {
      await server?.close(0);
      server = undefined;
    },
    join: async () => {
      server ??= await start(port);
    },
    [Symbol.asyncDispose]: async () => server?.close(0),
  };
  return gateway;
}

/** Starts each attempt and lets it end well. */
export const finishAll =
  (gateway: FakeGateway) =>
  (attemptId: string): void => {
    gateway.report(attemptId, State.STATE_RUNNING);
    gateway.report(attemptId, State.STATE_DONE);
  };
