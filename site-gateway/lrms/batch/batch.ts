import type { AttemptId } from '../../../core/ids.ts';
import { background } from '../../../service/background.ts';
import type { Clock } from '../../../service/clock.ts';
import type { Log } from '../../../service/log.ts';
import type { Account } from '../../accounts/account.ts';
import type { Lrms, LrmsListener, LrmsState, LrmsTask, TaskEnd } from '../lrms.ts';
import { readStatus, type StatusFile } from '../task-files.ts';
import type { BatchSilence } from './batch-command.ts';
import { ANOTHER_ACCOUNT, CANCELLED, endOfTask, refusal, unwritten } from './batch-end.ts';
import {
  elementsOf,
  evidenceOf,
  isMissing,
  isRequeued,
  isUnexplained,
  maySettle,
} from './batch-evidence.ts';
import { type BatchHealth, openHealth } from './batch-health.ts';
import { listTasks, waitReasonOf } from './batch-listing.ts';
import { BatchSender } from './batch-sender.ts';
import { BatchSignals } from './batch-signals.ts';
import { openSweep } from './batch-sweep.ts';
import {
  type BatchEnd,
  type BatchPoll,
  type BatchSystem,
  type Element,
  keyOf,
  tokenOf,
} from './batch-system.ts';
import { type BatchTask, newBatchTask, takeUpAs } from './batch-task.ts';
import { watchBatch } from './batch-watch.ts';
import { faultOf } from './command-size.ts';
import { neverBegins } from './never-begins.ts';
import { Placements } from './placements.ts';
import { type Mark, openSubmissions, type Submissions } from './submissions.ts';
import { readEnd, writeEnd } from './told-end.ts';
import { openWalltimes, type Walltimes } from './walltimes.ts';

export interface BatchOptions {
  readonly system: BatchSystem;
  readonly spool: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly listener: LrmsListener;
  /** Accounts that tasks run as. */
  readonly accounts?: readonly Account[];
  /** Least time between two looks at the batch system. */
  readonly pollMs?: number;
}

const WALLTIME_GRACE_MS = 5_000;

/**
 * Runs tasks by way of a batch system. What becomes of a task is learnt from the marks of its script first, as they come,
 * and from one look at the whole queue now and then. While the batch system gives no answer nothing is concluded.
 */
export async function openBatchLrms(options: BatchOptions): Promise<Lrms> {
  const opened: { lrms?: BatchLrms } = {};
  const submissions = await openSubmissions(options, (mark) => opened.lrms?.marked(mark));
  opened.lrms = new BatchLrms(options, submissions);
  await opened.lrms.begin();
  return opened.lrms;
}

class BatchLrms implements Lrms {
  private readonly options: BatchOptions;
  private readonly submissions: Submissions;
  private readonly health: BatchHealth;
  private readonly sender: BatchSender;
  private readonly signals: BatchSignals;
  private readonly tasks = new Map<string, BatchTask>();
  private readonly walltimes: Walltimes;
  private readonly placed = new Placements();
  /** By the last look. */
  private jobs: BatchPoll['jobs'] = new Map();
  private readonly sweep: () => Promise<void>;
  private readonly fence = (element: Element) =>
    neverBegins(element, this.submissions, this.options.log);
  private readonly stop = new AbortController();

  constructor(options: BatchOptions, submissions: Submissions) {
    const { system, clock, log, listener } = options;
    this.options = options;
    this.submissions = submissions;
    this.sweep = openSweep({ clock, submissions, isUsed: (token) => this.placed.has(token) });
    this.health = openHealth({ name: system.name, clock, log, onChange: () => listener.changed() });
    const around = {
      ...options,
      run: (name: string, work: Promise<void>) => this.run(name, work),
      onSilence: (error: BatchSilence) => this.health.silent(error),
    };
    this.sender = new BatchSender({
      ...around,
      health: this.health,
      submissions,
      onPlaced: (entry) => this.placed.add(entry),
      onTakenBack: (entry) => this.unplace(entry),
      onDropped: (entry) => this.end(entry, CANCELLED),
      onUnwanted: (entry) => this.signals.remove(entry),
      onRefused: (entry, words) => this.end(entry, refusal(system.name, words)),
      onUnwritten: (entry, error) => this.end(entry, unwritten(options.spool, error)),
    });
    this.walltimes = openWalltimes({
      ...options,
      name: system.name,
      onOver: (entry) => this.kill(entry, WALLTIME_GRACE_MS),
    });
    this.signals = new BatchSignals({
      ...around,
      submissions,
      answers: () => this.health.answers(),
      tasks: () => this.tasks.values(),
    });
  }

  /** The first look; then one after the other. */
  async begin(): Promise<void> {
    const watching = await watchBatch({
      ...this.options,
      owners: this.submissions.owners,
      health: this.health,
      signal: this.stop.signal,
      signals: this.signals,
      onPoll: (poll, beganAtMs) => this.compare(poll, beganAtMs),
    });
    this.run('watch the batch system', watching());
  }

  submit(task: LrmsTask): void {
    if (this.tasks.has(task.id)) return;
    const fault = faultOf(task);
    if (fault !== undefined) {
      queueMicrotask(() => this.options.listener.ended(task.id, fault));
      return;
    }
    const entry = this.enter(task);
    const work = async (): Promise<void> => {
      const before = await this.submissions.before(task.id);
      if (before === undefined) this.sender.add(entry);
      else await this.takeUp(entry, before);
    };
    this.run('take a task', work());
  }

  async adopt(task: LrmsTask): Promise<boolean> {
    if (this.tasks.has(task.id)) return true;
    const end = await readEnd(task.directory);
    if (end !== undefined) {
      queueMicrotask(() => this.options.listener.ended(task.id, end));
      return true;
    }
    const before = await this.submissions.before(task.id);
    if (before === undefined) return false;
    await this.takeUp(this.enter(task), before);
    return true;
  }

  cancel(id: string, graceMs: number, latestMs?: number): void {
    const entry = this.tasks.get(id);
    if (entry === undefined || entry.state === 'ending') return;
    if (entry.state === 'gathers') {
      entry.unwanted = true;
      if (this.sender.remove(entry)) this.end(entry, CANCELLED);
      return;
    }
    this.run('end a task', this.giveUp(entry, graceMs, latestMs));
  }

  waitReason(id: AttemptId): string {
    return waitReasonOf(this.tasks.get(id), this.options.system.name, this.state());
  }

  list(): ReturnType<Lrms['list']> {
    return listTasks(this.tasks.values(), this.jobs);
  }

  state(): LrmsState {
    return this.health.state();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop.abort();
    this.sender.close();
    for (const { wallTimer, killTimer } of this.tasks.values()) {
      wallTimer?.[Symbol.dispose]();
      clearTimeout(killTimer);
    }
    this.submissions[Symbol.dispose]();
    await Promise.resolve();
  }

  marked({ element, what }: Mark): void {
    const entry = this.placed.at(element);
    if (entry === undefined || entry.state === 'ending') return;
    const work = async (): Promise<void> => {
      await this.lookWhetherBegun(entry);
      if (what === 'ended') await this.settle(entry);
    };
    this.run('read a mark', work());
  }

  private enter(task: LrmsTask): BatchTask {
    const entry = newBatchTask(task);
    this.tasks.set(task.id, entry);
    return entry;
  }

  /** A task of an earlier run: it may wait, run, or be over, and the batch system may never have heard of it. */
  private async takeUp(entry: BatchTask, element: Element): Promise<void> {
    takeUpAs(entry, element);
    if (!this.placed.has(element.token)) this.submissions.follow(element.token);
    this.placed.add(entry);
    await this.lookWhetherBegun(entry);
    await this.settle(entry);
  }

  private async lookWhetherBegun(entry: BatchTask): Promise<void> {
    if (entry.element === undefined || entry.state !== 'sent') return;
    const atMs = await this.submissions.startedAtMs(entry.element);
    if (atMs !== undefined) await this.begun(entry, atMs);
  }

  private async begun(entry: BatchTask, atMs = Infinity): Promise<void> {
    if (entry.state !== 'sent' || this.closed()) return;
    entry.state = 'runs';
    // The clock of a file server is believed only about the past of an earlier run.
    entry.startedAtMs = Math.min(entry.takenUp ? atMs : Infinity, this.options.clock.nowMs());
    this.options.listener.started(entry.task.id, entry.startedAtMs);
    await this.walltimes.begin(entry);
    if (entry.wanted !== undefined) this.signals.flush();
  }

  /** Where it has not begun it never will; otherwise it gets its signals. */
  private async giveUp(entry: BatchTask, graceMs: number, latestMs?: number): Promise<void> {
    const { element, state } = entry;
    if (element === undefined) return;
    const isOver = state === 'sent' && (await this.fence(element));
    // It has been taken back meanwhile, to be submitted as part of something smaller.
    if (entry.element !== element) return this.cancel(entry.task.id, graceMs, latestMs);
    if (!isOver) return this.kill(entry, graceMs, latestMs);
    this.signals.remove(entry);
    this.end(entry, CANCELLED);
  }

  private kill(entry: BatchTask, graceMs: number, latestMs?: number): void {
    if (entry.state !== 'ending' && !this.closed()) this.signals.end(entry, graceMs, latestMs);
  }

  private async compare({ jobs }: BatchPoll, beganAtMs: number): Promise<void> {
    this.jobs = jobs;
    if (this.closed()) return;
    for (const token of this.placed.tokens())
      for (const mark of await this.submissions.marks(token)) this.marked(mark);
    this.walltimes.see(this.tasks.values(), jobs);
    const missing = [...this.tasks.values()].filter((entry) => isMissing(entry, jobs, beganAtMs));
    for (const entry of this.tasks.values()) {
      if (!isRequeued(entry, jobs, beganAtMs)) continue;
      const status = await readStatus(entry.task.directory);
      await this.conclude(entry, status, { kind: 'requeued', words: '', isListed: true });
    }
    this.sender.afterPoll(new Set([...jobs.keys()].map(tokenOf)), beganAtMs);
    this.signals.afterPoll(jobs, beganAtMs);
    this.run('remove old submissions', this.sweep());
    if (missing.length > 0) await this.examine(missing);
  }

  /** Tasks that the batch system does not list any more, and of which there is no status that explains itself. */
  private async examine(entries: readonly BatchTask[]): Promise<void> {
    const ends = await this.options.system.autopsy(elementsOf(entries), this.submissions.owners);
    for (const entry of entries) {
      if (entry.element === undefined || entry.state === 'ending') continue;
      const end = ends.get(keyOf(entry.element));
      if (end === undefined && maySettle(entry, this.options)) continue;
      if (entry.state === 'sent' && !(await this.fence(entry.element))) {
        // It has begun, and this file system says so only now; or it may begin.
        entry.missed = 0;
        await this.lookWhetherBegun(entry);
        continue;
      }
      const status = await readStatus(entry.task.directory);
      // Where it has swept away the mark that it began, its end is as good: its account could make up either.
      if (status !== undefined) await this.begun(entry);
      if (entry.state === 'sent' && entry.takenUp && end === undefined) this.sendAgain(entry);
      else await this.conclude(entry, status, end);
    }
  }

  /** An earlier run meant to submit it, the batch system does not know it, and it has not begun. */
  private sendAgain(entry: BatchTask): void {
    const before = entry.element && this.submissions.accountOf(entry.element.token);
    if (before?.uid !== entry.task.account?.uid) return this.end(entry, ANOTHER_ACCOUNT);
    this.sender.addAgain(entry);
  }

  private async settle(entry: BatchTask): Promise<void> {
    const status = await readStatus(entry.task.directory);
    if (status === undefined || entry.state !== 'runs' || this.closed()) return;
    if (!(await isUnexplained(entry, status))) return this.conclude(entry, status, undefined);
    if (!entry.unexplained) entry.sentAtMs = this.options.clock.monotonicMs();
    entry.unexplained = true;
  }

  private async conclude(
    entry: BatchTask,
    status: StatusFile | undefined,
    end: BatchEnd | undefined,
  ): Promise<void> {
    const about = { entry, status, end, system: this.options.system.name };
    const evidence = await evidenceOf(about, this.submissions);
    if (entry.state === 'ending' || this.closed()) return;
    if (end?.isListed === true) this.signals.remove(entry);
    this.end(entry, endOfTask(evidence));
  }

  private end(entry: BatchTask, end: TaskEnd): void {
    if (entry.state === 'ending') return;
    entry.state = 'ending';
    entry.wallTimer?.[Symbol.dispose]();
    clearTimeout(entry.killTimer);
    this.tasks.delete(entry.task.id);
    this.signals.leave(entry);
    this.run('tell of an end', this.tell(entry, end));
  }

  private async tell(entry: BatchTask, end: TaskEnd): Promise<void> {
    const { id, directory } = entry.task;
    // A full disk costs no more than what a later run would have known.
    if (end.kind !== 'not-started') await writeEnd(directory, end).catch(() => undefined);
    if (this.closed()) return;
    this.unplace(entry);
    this.options.listener.ended(id, end);
  }

  private unplace(entry: BatchTask): void {
    const token = this.placed.remove(entry);
    if (token !== undefined) this.run('remove a submission', this.submissions.forget(token));
  }

  private closed(): boolean {
    return this.stop.signal.aborted;
  }

  private run(name: string, work: Promise<void>): void {
    background(name, work, this.options.log);
  }
}
