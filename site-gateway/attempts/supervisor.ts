/**
 * The life of an attempt at a site.
 *
 *     accepted -> staging-in -> submitted -> running <-> suspended -> staging-out -> done | failed | cancelled
 *
 * `accepted` is in the journal before the broker hears of it. Each attempt is then carried by one asynchronous function,
 * `lifeOf`, which makes the directory, fetches the inputs, hands the task to the LRMS, waits for its end and sends the
 * outputs. Each step goes into the journal together with what the broker is told of it. States without anything to do
 * are skipped: no `staging-in` without inputs, no `submitted` for a task that starts within a second, no `staging-out`
 * when there is nothing but the two streams.
 *
 * An attempt may be told to end (`ending`: cancelled by its owner, unwanted by the broker, lease lost, machine wanted by its
 * owner); the first reason stays. The intent is in the journal first, unless it cannot be written and the last two do not bear
 * waiting; then staging is aborted, the LRMS ends the task, and `lifeOf` comes to its end on the usual way. An attempt whose
 * task has ended already and that is only being staged out is left alone by the last two.
 *
 * After a restart each live attempt is offered to the LRMS first (`adopt`): if its task was ever started there it is
 * taken up again, whatever state the journal has. Otherwise nothing of it has run, and its life begins anew. Telling the
 * broker a step twice is harmless; starting a task twice is not, and the LRMS's own fence sees to that. A power cut may
 * take the fence, which is not synced, but not the journal: what that says has run does not run again.
 */
import { EMPTY_TREE } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';
import type { AttemptId } from '../../core/ids.ts';
import type { Outcome } from '../../core/job/outcome.ts';
import { transferOf } from '../../core/job/transfer.ts';
import { add, type Need, NO_NEED, needOf } from '../../core/match/need.ts';
import { background } from '../../service/background.ts';
import { handOver } from '../accounts/hand-over.ts';
import type { AcceptedAttempt, AttemptState, Ending, LiveAttempt } from '../journal/journal.ts';
import { openLimit } from '../limit.ts';
import type { ListedTask, Lrms, LrmsState, LrmsTask, TaskEnd } from '../lrms/lrms.ts';
import { verdictOfTask } from '../software/verdict.ts';
import { spoolFailure } from '../staging/disk.ts';
import { diskFull, giveBackIfFull } from '../staging/full-disk.ts';
import { carryTransfer } from '../staging/transfer-life.ts';
import { GATEWAY_STOPS } from '../stopping.ts';
import { type Attempt, attemptOf, isSilent, provide, vacate, wishOf } from './attempt.ts';
import {
  CANCEL_GRACE_MS,
  cancelledVerdict,
  type EndingWish,
  endedEarly,
  finalState,
  isForfeit,
  tellToEnd,
} from './ending.ts';
import { type MakeRoom, openMakeRoom } from './make-room.ts';
import { newsOfWait, WAITING_MS } from './news-of-wait.ts';
import { failed, failedBy, NO_USAGE } from './outcome.ts';
import type { SupervisorOptions } from './supervisor-options.ts';
import { openTakeUp } from './take-up.ts';
import { checkStdin, lrmsTaskOf, makeContainerFolder } from './task.ts';

/** An attempt that has not ended, for whoever reads its streams. */
export interface LiveView {
  readonly directory: string;
  /** Resolves when the attempt has ended. */
  readonly over: Promise<void>;
}

const BEGUN: readonly AttemptState[] = ['running', 'suspended'];
const LOST = 'it had begun, and all word of it is lost: the machine went down';
const PREPARED_AT_A_TIME = 8;

/** For people. */
export interface Inspection {
  readonly attempts: readonly Pick<Attempt, 'id' | 'state'>[];
  readonly listed: readonly ListedTask[];
}

export class Supervisor {
  private readonly options: SupervisorOptions;
  private readonly takeUp = openTakeUp();
  private readonly attempts = new Map<string, Attempt>();
  private readonly prepare = openLimit(PREPARED_AT_A_TIME);
  private readonly makeRoom: MakeRoom;
  private readonly ticker: NodeJS.Timeout;
  private readonly lrms: Promise<Lrms>;
  private opened: Lrms | undefined;
  private stopping = false;

  constructor(options: SupervisorOptions) {
    this.options = options;
    this.makeRoom = openMakeRoom(options);
    this.lrms = options.openLrms({
      started: (id, atMs) => this.started(id, atMs),
      ended: (id, end) => this.taskEnded(id, end),
      suspended: (id, atMs, why) => this.taskSuspended(id, atMs, why),
      changed: () => options.onChange(),
    });
    this.ticker = setInterval(() => this.tellWaiting(), WAITING_MS).unref();
  }

  /** Takes up what an earlier run left. */
  async resume(): Promise<void> {
    const lrms = await this.lrms;
    this.opened = lrms;
    const left = this.options.journal.live().map((live) => this.enter(live, live));
    const attempts = left.filter((attempt) => attempt !== undefined);
    const tasks = attempts.filter(({ spec }) => transferOf(spec.command) === undefined);
    this.takeUp.expect(tasks.length);
    const cleared = this.takeUp.whole.then(() => lrms.clear?.());
    background('end what nobody knows', cleared, this.options.log);
    for (const attempt of attempts) this.begin(attempt, lrms, true);
  }

  /** Attempts that are in the journal by now; returns at once. */
  accept(accepted: readonly AcceptedAttempt[]): void {
    const entries = accepted.map((one) => this.enter(one)).filter((one) => one !== undefined);
    const work = this.lrms.then((lrms) => {
      for (const attempt of entries) this.begin(attempt, lrms, false);
    });
    background('begin attempts', work, this.options.log);
    this.options.onChange();
  }

  /**
   * Ends live attempts among `ids`, KILL `latestMs` after this call at the latest, also of those that are ending already;
   * resolves once the intent is in the journal.
   */
  async end(
    ids: readonly string[],
    ending: Exclude<Ending, ''>,
    wish: EndingWish = {},
  ): Promise<void> {
    const known = ids.map((id) => this.attempts.get(id)).filter((one) => one !== undefined);
    await tellToEnd(known, ending, wish, { ...this.options, lrms: this.lrms });
  }

  liveIds(): readonly AttemptId[] {
    return [...this.attempts.values()].map(({ id }) => id);
  }

  /** Jobs of live attempts. */
  liveJobs(): ReadonlySet<string> {
    return new Set([...this.attempts.values()].map(({ jobId }) => jobId));
  }

  /** Live attempts that hold on to the lease: all but those that may outlast it and those whose task has ended. */
  leased(): readonly AttemptId[] {
    return [...this.attempts.values()]
      .filter(({ spec, vacated }) => spec.onLost !== 'keep' && !vacated)
      .map(({ id }) => id);
  }

  /** Live attempts whose tasks run or stand still, or those whose tasks have not begun; copies of files are neither. */
  tasks(which: 'begun' | 'waiting'): readonly AttemptId[] {
    const isOf = ({ state, ending, vacated, spec }: Attempt): boolean =>
      BEGUN.includes(state) === (which === 'begun') &&
      ending === '' &&
      !vacated &&
      transferOf(spec.command) === undefined;
    return [...this.attempts.values()].filter(isOf).map(({ id }) => id);
  }

  /** Resolves when it is known what an earlier run has left running. */
  takenUp(): Promise<void> {
    return this.takeUp.whole;
  }

  /** Lets tasks stand still for this reason; '' lets them go on. */
  suspend(why: string): void {
    this.opened?.suspend?.(why);
  }

  /** What attempts have or wait for. */
  committed(): Need {
    return [...this.attempts.values()]
      .filter(({ vacated }) => !vacated)
      .reduce((sum, { spec }) => add(sum, needOf(spec.resources)), NO_NEED);
  }

  /** How the batch system is. */
  lrmsState(): LrmsState {
    return this.opened?.state() ?? { closedReason: 'the gateway only starts' };
  }

  /** Live attempts with their states, and what the batch system has. */
  inspect(): Inspection {
    return { attempts: [...this.attempts.values()], listed: this.opened?.list() ?? [] };
  }

  find(id: string): LiveView | undefined {
    const attempt = this.attempts.get(id);
    if (attempt === undefined) return undefined;
    attempt.isWatched = true;
    return { directory: attempt.directory, over: attempt.over.promise };
  }

  /** Leaves tasks running: the next run takes them up. */
  async stop(): Promise<void> {
    this.stopping = true;
    clearInterval(this.ticker);
    for (const { abort } of this.attempts.values()) abort.abort(GATEWAY_STOPS);
    // Where it could not be opened, `resume` has said why.
    const lrms = await this.lrms.catch(() => undefined);
    await lrms?.[Symbol.asyncDispose]();
  }

  private enter(accepted: AcceptedAttempt, live?: LiveAttempt): Attempt | undefined {
    if (this.attempts.has(accepted.id)) return undefined;
    const attempt = attemptOf(this.options.spool, accepted, live);
    this.attempts.set(attempt.id, attempt);
    return attempt;
  }

  private begin(attempt: Attempt, lrms: Lrms, again: boolean): void {
    const life = async (): Promise<void> => {
      const outcome = await this.lifeOf(attempt, lrms, again).catch((error: unknown) =>
        this.outcomeOfError(attempt, error),
      );
      if (this.stopping) return;
      const state = outcome.failure !== undefined ? 'failed' : finalState(attempt.ending);
      await this.step(attempt, state, { outcome, detail: outcome.detail });
      vacate(attempt);
      this.options.spares.ended(attempt.directory, isSilent(attempt, outcome));
      this.attempts.delete(attempt.id);
      attempt.over.resolve();
      this.options.onChange();
    };
    background('carry an attempt', life(), this.options.log);
  }

  private async lifeOf(attempt: Attempt, lrms: Lrms, again: boolean): Promise<Outcome> {
    const transfer = transferOf(attempt.spec.command);
    if (transfer !== undefined)
      return carryTransfer(attempt, transfer, {
        ...this.options,
        begun: () => this.step(attempt, 'running', { atMs: this.options.clock.nowMs() }),
        isStopping: () => this.stopping,
      });
    const { site, path, modulesInit, runtime, accounts } = this.options;
    const wish = wishOf(attempt.accepted, attempt.spec);
    const basics = { id: site, path, modulesInit, runtime };
    const task = lrmsTaskOf(attempt, basics, accounts.accountFor(wish));
    const adopted = again && (await this.takeUp.one(attempt, lrms.adopt(task), this.options.stock));
    if (!adopted) {
      if (attempt.ending !== '') return endedEarly(attempt);
      if (attempt.startedBefore) return failed('site', 'TASK_VANISHED', LOST);
      const denied = accounts.refusal(wish);
      if (denied !== undefined) return failed('site', 'NO_ACCOUNT', denied);
      // What an earlier run left has its GPUs and its part of the stock before anything new gets some.
      await this.takeUp.whole;
      const need = needOf(attempt.spec.resources);
      provide(attempt, await this.options.stock.take(need, attempt.abort.signal));
      await this.makeRoom(attempt, this.attempts.values());
      const how = { hosts: lrms.hostsOf?.(task), again };
      await this.prepare(() => this.options.spares.make(attempt.directory, how));
      await this.makeReady(attempt, task);
      if (attempt.ending !== '') return endedEarly(attempt);
      lrms.submit(task);
      attempt.submittedAtMs = this.options.clock.monotonicMs();
    } else {
      if (attempt.ending !== '') lrms.cancel(attempt.id, CANCEL_GRACE_MS);
    }
    return this.conclude(attempt, await attempt.task.promise);
  }

  private async makeReady(attempt: Attempt, task: LrmsTask): Promise<void> {
    const { staging, transfers } = this.options;
    if (attempt.spec.inputs.length > 0)
      await transfers.run(attempt, 'foreground', attempt.abort.signal, async () => {
        if (attempt.ending !== '') return;
        await this.step(attempt, 'staging-in', {});
        attempt.bytesIn = await staging.stageIn(attempt, attempt.abort.signal);
      });
    if (attempt.ending !== '') return;
    await checkStdin(attempt);
    makeContainerFolder(task);
    await handOver(attempt.directory, task.account);
  }

  private started(id: string, atMs: number): void {
    const attempt = this.attempts.get(id);
    if (attempt === undefined) return;
    this.options.live.begin(attempt);
    if (attempt.startedBefore) return;
    const told = this.step(attempt, 'running', { atMs });
    background('tell of a start', told, this.options.log);
  }

  private taskSuspended(id: string, atMs: number, why: string): void {
    const attempt = this.attempts.get(id);
    const state = why === '' ? 'running' : 'suspended';
    if (attempt === undefined || attempt.vacated || attempt.state === state) return;
    const told = this.step(attempt, state, { atMs, detail: why });
    background('tell of a suspension', told, this.options.log);
  }

  private taskEnded(id: string, end: TaskEnd): void {
    const attempt = this.attempts.get(id);
    if (attempt === undefined) return;
    vacate(attempt);
    attempt.task.resolve(end);
    this.options.onChange();
  }

  private async conclude(attempt: Attempt, end: TaskEnd): Promise<Outcome> {
    const measured = end.kind === 'not-started' ? NO_USAGE : end.usage;
    const usage = { ...NO_USAGE, ...measured, bytesIn: attempt.bytesIn };
    const ran = end.kind === 'exited' || end.kind === 'limit';
    if (isForfeit(attempt.ending) || (!ran && attempt.ending !== ''))
      return { ...endedEarly(attempt), usage };
    const verdict = await verdictOfTask(attempt, end, this.options.path);
    const full = await diskFull(this.options, attempt, end, verdict);
    if (full !== undefined) return full;
    if (!ran) return { ...verdict, usage, outputs: EMPTY_TREE };
    const final = attempt.ending === '' ? verdict : cancelledVerdict(verdict);
    return this.withOutputs(attempt, { ...final, usage, outputs: EMPTY_TREE });
  }

  /** Sends outputs and streams; an attempt that is not done otherwise stays so, whatever becomes of its outputs. */
  private async withOutputs(attempt: Attempt, outcome: Outcome): Promise<Outcome> {
    const done = outcome.failure === undefined && attempt.ending === '';
    if (attempt.spec.outputs.length > 0) await this.step(attempt, 'staging-out', {});
    // The attempt's own signal has fired already when it was cancelled.
    const signal = attempt.ending === '' ? attempt.abort.signal : AbortSignal.timeout(10_000);
    const { staging, transfers } = this.options;
    try {
      const sent = await transfers.run(attempt, 'foreground', signal, () =>
        staging.stageOut(attempt, done, signal),
      );
      const usage = { ...outcome.usage, bytesOut: sent.bytesOut };
      const kept = { ...outcome, usage, outputs: sent.outputs };
      return sent.problem === undefined || !done ? kept : { ...kept, ...sent.problem };
    } catch (error) {
      if (this.stopping) throw error;
      const { failure, reason, detail } = await this.outcomeOfError(attempt, error);
      if (attempt.ending !== '') return { ...outcome, ...cancelledVerdict(outcome) };
      if (done && failure !== undefined) return { ...outcome, failure, reason, detail };
      return { ...outcome, detail: `${outcome.detail}; its output could not be kept: ${detail}` };
    }
  }

  private async outcomeOfError(attempt: Attempt, error: unknown): Promise<Outcome> {
    if (attempt.ending !== '') return endedEarly(attempt);
    const outcome =
      spoolFailure(error) ?? (error instanceof GridError ? failedBy(error) : undefined);
    if (outcome !== undefined) {
      await giveBackIfFull(this.options, attempt, outcome);
      return outcome;
    }
    if (!this.stopping)
      this.options.log.error({ err: error, attempt: attempt.id }, 'attempt failed');
    return failed('site', 'GATEWAY_ERROR', 'the gateway met an error of its own; see its log');
  }

  private async step(
    attempt: Attempt,
    state: AttemptState,
    what: { readonly atMs?: number; readonly outcome?: Outcome; readonly detail?: string },
  ): Promise<void> {
    if (this.stopping) return;
    if (attempt.state !== state) attempt.toldWaiting = '';
    attempt.state = state;
    const { journal, clock } = this.options;
    await journal.step({ id: attempt.id, state, atMs: clock.nowMs(), ...what, tell: true });
  }

  private tellWaiting(): void {
    const { clock, log, staging, transfers } = this.options;
    const waitReason = (id: AttemptId): string => this.opened?.waitReason(id) ?? '';
    transfers.look((attempt) => staging.isKeptElsewhere(attempt));
    for (const attempt of this.attempts.values()) {
      const news = newsOfWait(attempt, clock.monotonicMs(), { waitReason, staging });
      if (news === undefined) continue;
      background('tell of a wait', this.step(attempt, news.state, news), log);
      attempt.toldWaiting = news.detail;
    }
  }
}
