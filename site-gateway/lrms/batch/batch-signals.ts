import { ownAccount } from '../../../service/account-name.ts';
import type { Clock } from '../../../service/clock.ts';
import { openChange } from '../../change.ts';
import { BatchSilence } from './batch-command.ts';
import {
  type BatchPoll,
  type BatchSignal,
  type BatchSystem,
  type Element,
  keyOf,
  POLL_MS,
} from './batch-system.ts';
import type { BatchTask } from './batch-task.ts';
import type { Submissions } from './submissions.ts';

/** A job that is still there so many looks after its task has ended is one whose script hangs. */
const LOOKS_LEFT = 6;
/** So long after its KILL, and after it was to end, a job is looked for more often; one that is still there then is stuck. */
const URGENT_FOR_MS = 20_000;

/** A task that is to end waits so long beyond its grace for a TERM that the batch system does not take. */
const UNHEARD_MS = 30_000;

export interface SignalOptions {
  readonly system: BatchSystem;
  readonly submissions: Pick<Submissions, 'allowKill' | 'accountOf'>;
  readonly clock: Clock;
  /** Least time between two looks. */
  readonly pollMs?: number;
  readonly tasks: () => Iterable<BatchTask>;
  readonly answers: () => boolean;
  readonly run: (name: string, work: Promise<void>) => void;
  readonly onSilence: (error: BatchSilence) => void;
}

/** Sends the signals that are due, few commands for many tasks; what gets no answer is sent again by the next `flush`. */
export class BatchSignals {
  /** Rises where the next look is to come soon. */
  readonly urgent = openChange();
  private readonly options: SignalOptions;
  /** Jobs of tasks that are over and that the batch system may still have in its queue. */
  private leftovers: readonly string[] = [];
  /** The same where a look has to show the job first: by element, monotonic instants. */
  private readonly awaited = new Map<
    string,
    { readonly sinceMs: number; readonly dueMs: number }
  >();
  private busy = false;

  constructor(options: SignalOptions) {
    this.options = options;
  }

  /** A job that will do nothing any more is to leave the queue. */
  remove({ element, job, isListed }: BatchTask): void {
    if (element === undefined) return;
    if (isListed) {
      this.leftovers = [...this.leftovers, job];
      this.flush();
    } else {
      this.await(element, 0);
      this.urgent.announce();
    }
  }

  /** Its task has ended: so does its job, or it is removed when looks still show it some time later. */
  leave({ element }: BatchTask): void {
    const { pollMs = POLL_MS } = this.options;
    if (element !== undefined && !this.awaited.has(keyOf(element)))
      this.await(element, LOOKS_LEFT * pollMs);
  }

  private await(element: Element, graceMs: number): void {
    const sinceMs = this.options.clock.monotonicMs();
    this.awaited.set(keyOf(element), { sinceMs, dueMs: sinceMs + graceMs });
  }

  /** A look that began at `beganAtMs` has shown these jobs. */
  afterPoll(jobs: BatchPoll['jobs'], beganAtMs: number): void {
    for (const [key, { sinceMs, dueMs }] of this.awaited) {
      const job = jobs.get(key);
      const isDue = job !== undefined && dueMs <= beganAtMs;
      if (isDue) this.leftovers = [...this.leftovers, job.id];
      if (isDue || (job === undefined && sinceMs < beganAtMs)) this.awaited.delete(key);
    }
    this.flush();
  }

  /**
   * TERM as soon as a look has shown its job, or the batch system can tell it from others itself, KILL `graceMs` after that was sent and `latestMs` from now at the latest, TERM
   * or not, unless it has ended by then. Of several wishes the soonest holds.
   */
  end(entry: BatchTask, graceMs: number, latestMs = graceMs + UNHEARD_MS): void {
    const nowMs = this.options.clock.monotonicMs();
    entry.graceMs = Math.min(entry.graceMs, graceMs);
    entry.killByMs = Math.min(entry.killByMs, nowMs + latestMs);
    if (entry.wanted === undefined) entry.urgentFromMs = nowMs;
    if (!entry.isListed) this.urgent.announce();
    if (graceMs <= 0) return this.kill(entry);
    entry.wanted ??= 'TERM';
    this.armKill(entry);
    this.flush();
  }

  /** The script kills as soon as it may, whether or not the batch system answers and a look has shown the job. */
  private kill(entry: BatchTask): void {
    if (entry.wanted === 'KILL' || entry.element === undefined) return;
    clearTimeout(entry.killTimer);
    entry.wanted = 'KILL';
    // Where that fails, a full disk for example, the batch system kills in its own time.
    const allowed = this.options.submissions.allowKill(entry.element).catch(() => undefined);
    this.options.run(
      'kill a task',
      allowed.then(() => this.flush()),
    );
  }

  private armKill(entry: BatchTask): void {
    clearTimeout(entry.killTimer);
    if (entry.wanted === 'KILL' || entry.state === 'ending') return;
    const dueMs = Math.min(entry.killByMs, entry.termAtMs + entry.graceMs);
    if (!Number.isFinite(dueMs)) return;
    const leftMs = dueMs - this.options.clock.monotonicMs();
    entry.killTimer = setTimeout(() => this.kill(entry), leftMs).unref();
  }

  private sent(entry: BatchTask, signal: BatchSignal): void {
    const nowMs = this.options.clock.monotonicMs();
    entry.signalled = signal;
    entry.signalledAs = entry.job;
    if (signal === 'KILL') entry.urgentFromMs = nowMs;
    else {
      entry.termAtMs = nowMs;
      this.armKill(entry);
    }
  }

  /** Whether there are tasks that were just sent a KILL, or jobs that are to end once a look has shown them. */
  isUrgent(): boolean {
    const nowMs = this.options.clock.monotonicMs();
    if ([...this.awaited.values()].some(({ dueMs }) => dueMs <= nowMs)) return true;
    return [...this.options.tasks()].some(
      ({ signalled, wanted, isListed, urgentFromMs }) =>
        (signalled === 'KILL' || (wanted !== undefined && !isListed)) &&
        nowMs - urgentFromMs < URGENT_FOR_MS,
    );
  }

  flush(): void {
    if (this.busy || !this.options.answers()) return;
    const sent = this.sendAll();
    if (sent === undefined) return;
    this.busy = true;
    const work = async (): Promise<void> => {
      try {
        await sent;
      } catch (error) {
        if (!(error instanceof BatchSilence)) throw error;
        this.options.onSilence(error);
        return;
      } finally {
        this.busy = false;
      }
      // What came meanwhile.
      this.flush();
    };
    this.options.run('signal jobs', work());
  }

  /** Undefined where nothing is due. */
  private sendAll(): Promise<void> | undefined {
    const { system } = this.options;
    const tasks = [...this.options.tasks()];
    const due = tasks.filter(isDue);
    const unseen = system.signalUnseen === undefined ? [] : tasks.filter(isDueUnseen);
    const { leftovers } = this;
    if (due.length + unseen.length + leftovers.length === 0) return undefined;
    return (async () => {
      await this.sendUnseen(unseen);
      for (const signal of ['TERM', 'KILL'] as const) {
        const entries = due.filter(({ wanted }) => wanted === signal);
        const jobs = [...entries.map(({ job }) => job), ...(signal === 'TERM' ? leftovers : [])];
        if (jobs.length === 0) continue;
        await system.signal(jobs, signal);
        for (const entry of entries) this.sent(entry, signal);
        if (signal === 'KILL') this.urgent.announce();
        if (signal === 'TERM') this.leftovers = this.leftovers.slice(leftovers.length);
      }
    })();
  }

  private async sendUnseen(entries: readonly BatchTask[]): Promise<void> {
    const { system, submissions } = this.options;
    for (const [token, some] of Map.groupBy(entries, ({ element }) => element?.token ?? '')) {
      const { uid } = submissions.accountOf(token) ?? ownAccount();
      const jobs = some.map(({ job }) => job);
      await system.signalUnseen?.(jobs, token, uid);
      for (const entry of some) this.sent(entry, 'TERM');
    }
  }
}

/** Once more where a look has shown that another job is its own. */
const isDue = ({ wanted, signalled, signalledAs, isListed, job }: BatchTask): boolean =>
  wanted !== undefined && isListed && (signalled !== wanted || signalledAs !== job);

const isDueUnseen = ({ wanted, signalled, isListed, job }: BatchTask): boolean =>
  wanted === 'TERM' && signalled === undefined && !isListed && job !== '';
