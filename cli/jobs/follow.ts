import { GridError } from '../../core/errors.ts';
import { isFinal } from '../../core/job/state.ts';
import type { BrokerService } from '../../proto/gen/grid/v1/broker.ts';
import { pause } from '../../service/background.ts';
import type { RpcClient } from '../../service/rpc/rpc.ts';
import { type EventView, eventView, type JobView, jobView } from './job-view.ts';

/** What following needs of the broker and the person. */
export interface FollowOptions {
  readonly broker: RpcClient<BrokerService>;
  readonly jobId: string;
  readonly signal: AbortSignal;
  /** Told when the broker goes away, and when it is back. */
  readonly onAway?: (away: boolean) => void;
}

const RETRY_MS = 500;

/** How a run of `persist` ended: for good, to be repeated after a moment, or to be repeated at once. */
type Ending = 'through' | 'again' | 'at once';

/**
 * Runs `once` again and again until it is through, over any number of broker restarts. Fails at once when the broker
 * cannot be reached to begin with (`alive` says that it was); afterwards it waits for it as long as `signal` lets it.
 */
export async function* persist<T>(
  options: Pick<FollowOptions, 'signal' | 'onAway'>,
  once: (alive: () => void) => AsyncGenerator<T, Ending>,
): AsyncGenerator<T> {
  const { signal, onAway = () => undefined } = options;
  let met = false;
  let away = false;
  const alive = (): void => {
    met = true;
    if (away) onAway(false);
    away = false;
  };
  for (;;) {
    let ending: Ending = 'again';
    try {
      ending = yield* once(alive);
    } catch (error) {
      if (!met || signal.aborted || !isLoss(error)) throw error;
      if (!away) onAway(true);
      away = true;
    }
    if (ending === 'through') return;
    if (ending === 'again') await pause(RETRY_MS, signal);
    signal.throwIfAborted();
  }
}

const isLoss = (error: unknown): boolean =>
  error instanceof GridError && error.code === 'UNAVAILABLE';

/** Events of a job until it has ended: each event once, in order. `afterSeq` skips what is known. */
export function followJob(options: FollowOptions, afterSeq = 0): AsyncGenerator<EventView> {
  const { broker, jobId, signal } = options;
  let seq = afterSeq;
  return persist(options, async function* (alive) {
    for await (const event of broker.watchJob({ jobId, afterSeq: seq, follow: true }, { signal })) {
      alive();
      if (event.seq <= seq) continue;
      seq = event.seq;
      yield eventView(event);
    }
    // A broker that stops ends its streams like a job that has ended.
    const { state } = await summaryOf(options);
    alive();
    return isFinal(state) ? 'through' : 'again';
  });
}

/** Waits until a job has ended and answers with what it came to. */
export async function waitForJob(options: FollowOptions): Promise<JobView> {
  const events = followJob(options);
  while ((await events.next()).done !== true);
  return summaryOf(options);
}

/** The job as it is now. */
export async function summaryOf({ broker, jobId, signal }: FollowOptions): Promise<JobView> {
  const request = { jobId, summaryOnly: true, firstTask: 0, maxTasks: 0 };
  return jobView((await broker.getJob(request, { signal })).summary);
}

/** Tells the person when the broker goes and comes, once for all streams that share it. */
export function awayNote(note: (text: string) => void): (away: boolean) => void {
  let shown = false;
  return (away) => {
    if (away !== shown) note(away ? 'the broker is away; waiting for it' : 'the broker is back');
    shown = away;
  };
}
