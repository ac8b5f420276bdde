import { boundedWords } from '../../../core/words.ts';
import type { Clock } from '../../../service/clock.ts';
import type { Log } from '../../../service/log.ts';
import type { Account } from '../../accounts/account.ts';
import { openLimit } from '../../limit.ts';
import { BatchSilence } from './batch-command.ts';
import type { BatchHealth } from './batch-health.ts';
import type { BatchOrder, BatchSystem, SubmitAnswer } from './batch-system.ts';
import { type BatchTask, gatherAgain, groupsOf, kindOf } from './batch-task.ts';
import { neverBegins } from './never-begins.ts';
import type { Submissions } from './submissions.ts';

export interface SenderOptions {
  readonly system: BatchSystem;
  readonly submissions: Submissions;
  readonly clock: Clock;
  readonly log: Log;
  readonly run: (name: string, work: Promise<void>) => void;
  readonly health: Pick<BatchHealth, 'takes' | 'full'>;
  /** The entry has its element, and the batch system may hear of it from now on. */
  readonly onPlaced: (entry: BatchTask) => void;
  /** The entry, which never begins where it is, leaves its element and is to have another. */
  readonly onTakenBack: (entry: BatchTask) => void;
  /** The entry was given up while it was being prepared, and will not begin. */
  readonly onDropped: (entry: BatchTask) => void;
  /** The entry, which has ended, has come to the batch system all the same. */
  readonly onUnwanted: (entry: BatchTask) => void;
  readonly onRefused: (entry: BatchTask, words: string) => void;
  /** The spool does not take what the entry needs; the batch system has not heard of it. */
  readonly onUnwritten: (entry: BatchTask, error: unknown) => void;
  readonly onSilence: (error: BatchSilence) => void;
}

interface Submission {
  readonly token: string;
  /** The only one that it may be submitted as. */
  readonly account: Account | undefined;
  readonly entries: readonly BatchTask[];
  /** Looks that began before this instant say nothing about it. */
  askedAtMs: number;
}

/** Tasks that come within this time of each other go in together. */
const GATHER_MS = 40;
const MAX_GATHER_MS = 400;

const NOBODY = -1;
/** What waits together: all that is an account's, and of the gateway's own what is equal. */
const laneOf = ({ account, entries }: Submission): string =>
  account === undefined ? entries.slice(0, 1).map(kindOf).join() : String(account.uid);
/** Submissions at a time, one of each account: an account can make its own last as long as they may. */
const SUBMITS_AT_A_TIME = 8;

const uidOf = (entry: BatchTask | undefined): number => entry?.task.account?.uid ?? NOBODY;

/** Only what has come to the batch system begins. */
const hasBegun = ({ entries }: Submission): boolean =>
  entries.some(({ startedAtMs }) => startedAtMs > 0);

/** Nobody wants any of it: with the last of them its directory has gone. */
const isOver = ({ entries }: Submission): boolean =>
  entries.every(({ state }) => state === 'ending');

/** Gathers tasks for a moment and submits them, equal ones as one array. */
export class BatchSender {
  private readonly options: SenderOptions;
  private gathered: BatchTask[] = [];
  private timer: NodeJS.Timeout | undefined;
  private firstAtMs = 0;
  private readonly limit = openLimit(SUBMITS_AT_A_TIME);
  /** Accounts of which something is being submitted. */
  private readonly busy = new Set<number>();
  /** What it took no more of since the last look, or gave no answer to, by `laneOf`: it may well take others. */
  private readonly full = new Map<string, string>();
  /** Submissions that the batch system did not take, or of which it is not known whether it did. */
  private unsure: Submission[] = [];

  constructor(options: SenderOptions) {
    this.options = options;
  }

  add(entry: BatchTask): void {
    const now = this.options.clock.monotonicMs();
    if (this.gathered.length === 0) this.firstAtMs = now;
    this.gathered.push(entry);
    clearTimeout(this.timer);
    const leftMs = Math.max(0, this.firstAtMs + MAX_GATHER_MS - now);
    this.timer = setTimeout(() => this.flush(), Math.min(GATHER_MS, leftMs));
  }

  /** One that never begins where it was. */
  addAgain(entry: BatchTask): void {
    this.takeBack(entry);
    this.add(entry);
  }

  private takeBack(entry: BatchTask): void {
    this.options.onTakenBack(entry);
    gatherAgain(entry);
  }

  /** Takes out a task that only gathers; false where it is on its way. */
  remove(entry: BatchTask): boolean {
    const before = this.gathered.length;
    this.gathered = this.gathered.filter((one) => one !== entry);
    return this.gathered.length < before;
  }

  /**
   * A look that began at `beganAtMs` lists these submissions; what it does not list goes in again, behind the same fence,
   * while anybody wants it.
   */
  afterPoll(listed: ReadonlySet<string>, beganAtMs: number): void {
    this.full.clear();
    const known = this.unsure.filter(({ askedAtMs }) => askedAtMs < beganAtMs);
    this.unsure = this.unsure.filter((one) => !known.includes(one));
    const missing = known.filter((one) => !listed.has(one.token) && !hasBegun(one));
    for (const one of known) if (!missing.includes(one)) this.arrived(one);
    const again = missing.filter((one) => !isOver(one));
    if (again.length < known.length) this.settled([...again, ...this.unsure]);
    for (const some of Map.groupBy(again, ({ entries }) => uidOf(entries[0])).values())
      this.options.run('submit again', this.sendAll(some));
    this.flush();
  }

  /** Some wait no more, and others are left: what found no room may have been the former. */
  private settled(left: readonly Submission[]): void {
    if (left.every(({ account }) => account !== undefined)) this.options.health.full('');
  }

  close(): void {
    clearTimeout(this.timer);
    this.gathered = [];
  }

  private flush(): void {
    if (!this.options.health.takes()) return;
    for (const uid of new Set(this.gathered.map(uidOf)))
      if (!this.busy.has(uid)) this.options.run('submit tasks', this.submitAll(uid));
  }

  /** All that has gathered of an account, and what comes meanwhile. */
  private async submitAll(uid: number): Promise<void> {
    this.busy.add(uid);
    try {
      while (this.options.health.takes()) {
        const entries = this.gathered.filter((entry) => uidOf(entry) === uid);
        if (entries.length === 0) return;
        this.gathered = this.gathered.filter((entry) => uidOf(entry) !== uid);
        for (const group of groupsOf(entries, this.options.system.maxTasks()))
          await this.submit(group);
      }
    } finally {
      this.busy.delete(uid);
    }
  }

  private async submit(group: readonly BatchTask[]): Promise<void> {
    const submission = await this.prepare(group);
    if (submission !== undefined) await this.send(submission);
  }

  /** Undefined where it cannot be written down. */
  private async prepare(entries: readonly BatchTask[]): Promise<Submission | undefined> {
    try {
      const token = await this.place(entries);
      return { token, account: entries[0]?.task.account, entries, askedAtMs: 0 };
    } catch (error) {
      for (const entry of entries) this.options.onUnwritten(entry, error);
      return undefined;
    }
  }

  /** All have their place before one of them may be dropped: with the last in its place a submission is forgotten. */
  private async place(group: readonly BatchTask[]): Promise<string> {
    const { submissions, onPlaced, onDropped } = this.options;
    const token = await submissions.prepare(group.map(({ task }) => task));
    submissions.follow(token);
    for (const [at, entry] of group.entries()) {
      entry.element = { token, index: at + 1 };
      entry.state = 'sent';
      entry.sentAtMs = Number.POSITIVE_INFINITY;
      onPlaced(entry);
    }
    for (const entry of group)
      if (entry.unwanted && entry.element && (await submissions.revoke(entry.element)))
        onDropped(entry);
    return token;
  }

  private async sendAll(submissions: readonly Submission[]): Promise<void> {
    for (const one of submissions) await this.send(one);
  }

  private async send(submission: Submission): Promise<void> {
    const full = this.full.get(laneOf(submission));
    if (full !== undefined) return this.wait(submission, full);
    try {
      const answer = await this.limit(() => this.ask(submission));
      // The next look sees that it is forgotten.
      if (answer === undefined) return this.wait(submission);
      this.filled(submission, answer.kind === 'full' ? answer.words : '');
      if (answer.kind === 'submitted') this.arrived(submission, answer.jobOf);
      else if (answer.kind === 'full') await this.waitInParts(submission, answer.words);
      else await this.refused(submission, answer.words);
    } catch (error) {
      this.unanswered(submission, error);
    }
  }

  /** Undefined where nobody wants it any more. */
  private async ask(submission: Submission): Promise<SubmitAnswer | undefined> {
    return isOver(submission) ? undefined : this.options.system.submit(this.orderOf(submission));
  }

  /** A try before, which got no answer, may have come to the batch system all the same: what has begun goes on. */
  private async refused(submission: Submission, words: string): Promise<void> {
    for (const entry of await this.revoke(submission)) this.options.onRefused(entry, words);
  }

  /** As a whole it may never fit. */
  private async waitInParts(submission: Submission, words: string): Promise<void> {
    if (submission.entries.length === 1) return this.wait(submission, words);
    const revoked = await this.revoke(submission);
    const entries = revoked.filter(({ state }) => state === 'sent');
    for (const entry of entries) this.takeBack(entry);
    const middle = Math.ceil(entries.length / 2);
    for (const half of [entries.slice(0, middle), entries.slice(middle)]) {
      const part = half.length === 0 ? undefined : await this.prepare(half);
      if (part !== undefined) this.wait(part, words);
    }
    this.settled(this.unsure);
  }

  /** Gives those that never begin; the others have come to the batch system, and go on. */
  private async revoke({ entries, ...submission }: Submission): Promise<readonly BatchTask[]> {
    const { submissions, log } = this.options;
    const over = new Set<BatchTask>();
    for (const entry of entries)
      if (entry.element === undefined || (await neverBegins(entry.element, submissions, log)))
        over.add(entry);
    this.arrived({ ...submission, entries: entries.filter((entry) => !over.has(entry)) });
    return [...over];
  }

  /** Whatever went wrong, the batch system may have it or not. Of what an account submits that may be its own doing. */
  private unanswered(submission: Submission, error: unknown): void {
    const { account } = submission;
    const silence = error instanceof BatchSilence ? error : new BatchSilence(String(error));
    this.wait(submission, account === undefined ? '' : silence.message);
    if (account === undefined) return this.options.onSilence(silence);
    this.full.set(laneOf(submission), silence.message);
    const about = { err: silence, account: account.name };
    this.options.log.warn(about, 'nothing is submitted for an account until the next look');
  }

  /** Without accounts, what it does not take of the gateway it takes of nobody. */
  private filled(submission: Submission, words: string): void {
    if (submission.account === undefined) this.options.health.full(words);
    if (words !== '') this.full.set(laneOf(submission), words);
  }

  private wait(submission: Submission, words = ''): void {
    submission.askedAtMs = this.options.clock.monotonicMs();
    for (const entry of submission.entries) entry.waitReason = boundedWords(words);
    this.unsure.push(submission);
  }

  private arrived({ entries }: Submission, jobOf?: (index: number) => string): void {
    const now = this.options.clock.monotonicMs();
    for (const entry of entries) {
      entry.sentAtMs = now;
      if (jobOf !== undefined && entry.element !== undefined)
        entry.job = jobOf(entry.element.index);
      if (entry.state === 'ending') this.options.onUnwanted(entry);
    }
  }

  private orderOf({ token, account, entries }: Submission): BatchOrder {
    const { submissions } = this.options;
    const [first] = entries;
    if (first === undefined) throw new TypeError('a submission has no tasks');
    const more = entries.length > 1 ? ` and ${entries.length - 1} more` : '';
    return {
      token,
      directory: submissions.directoryOf(token),
      script: submissions.script,
      count: entries.length,
      needs: first.task,
      account,
      comment: `grid attempt ${first.task.id}${more}`,
    };
  }
}
