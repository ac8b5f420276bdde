import { background } from '../../../service/background.ts';
import { CANCELLED } from '../batch/batch-end.ts';
import { faultOf } from '../batch/command-size.ts';
import type { Lrms, LrmsState, LrmsTask, TaskEnd } from '../lrms.ts';
import { isAlive, openProcessTable, type ProcessInfo, type ProcessTable } from '../process-tree.ts';
import {
  type LimitFile,
  readStarted,
  readStatus,
  type StatusFile,
  type TaskStart,
  writeLimit,
} from '../task-files.ts';
import { cleanUp } from './clean-up.ts';
import { watchDisk } from './disk-watch.ts';
import type { ForkOptions } from './fork-options.ts';
import {
  endWithoutStatus,
  endWithStatus,
  type ForkTask,
  gpuFault,
  hostsOf,
  isBusySince,
  listForkTasks,
  memoryExcess,
  newForkTask,
  processesOf,
  setLaunched,
  setStart,
  siteFault,
  takeNext,
  waitReasonOf,
  walltimeLimit,
  withFigures,
  writeHosts,
} from './fork-task.ts';
import { type GpuPool, openGpuPool } from './gpu-pool.ts';
import { LAUNCH_PATIENCE_MS, lookAfterLaunch } from './late-launch.ts';
import { type Launcher, openLauncher } from './launcher.ts';
import { type ClearLeft, findLeft } from './left-launchers.ts';
import { openReaper, type Reaper } from './reaper.ts';
import { openSlots, type Slots } from './slots.ts';
import { openSuspender, type Suspender } from './suspender.ts';
import { openTaskKiller, type TaskKiller } from './task-killer.ts';

const SWEEP_MS = 1_000;
const ADOPTED_POLL_MS = 200;
const WALLTIME_GRACE_MS = 5_000;
/** What a gateway that crashed left in control groups is looked for this often. */
const TIDY_MS = 60_000;

/** Runs tasks on this machine, each as a tree of processes below a wrapper of its own. Linux only (/proc). */
export async function openForkLrms(options: ForkOptions): Promise<Lrms> {
  const launched: { lrms?: ForkLrms } = {};
  const clearLeft = await findLeft(options.spool, options.log);
  const launcher = await openLauncher({
    spool: options.spool,
    isLowest: options.isLowest === true,
    log: options.log,
    onStarted: (id, start) => launched.lrms?.wrapperStarted(id, start),
    onEnded: (id, pid, status) => launched.lrms?.wrapperEnded(id, pid, status),
  });
  launched.lrms = new ForkLrms(options, launcher, clearLeft);
  return launched.lrms;
}

class ForkLrms implements Lrms {
  private readonly options: ForkOptions;
  private readonly launcher: Launcher;
  private readonly clearLeft: ClearLeft;
  private readonly slots: Slots;
  private readonly gpus: GpuPool;
  private readonly scan: ProcessTable;
  private readonly reaper: Reaper;
  private readonly killer: TaskKiller;
  private readonly suspender: Suspender;
  private readonly tasks = new Map<string, ForkTask>();
  private queue: ForkTask[] = [];
  private readonly timers: readonly NodeJS.Timeout[];
  private readonly adopted = new Set<ForkTask>();
  private readonly stop = new AbortController();
  private readonly closed = (): boolean => this.stop.signal.aborted;

  constructor(options: ForkOptions, launcher: Launcher, clearLeft: ClearLeft) {
    const { cpus, memoryBytes, cores, firstCore, gpus = [], spool, clock, log } = options;
    const { groups } = options.sandbox;
    this.options = options;
    this.launcher = launcher;
    this.clearLeft = clearLeft;
    this.slots = openSlots({ cpus, memoryBytes }, cores, firstCore);
    this.gpus = openGpuPool(gpus, spool, log);
    const scan = openProcessTable();
    this.scan = scan;
    this.reaper = openReaper(scan, groups, log);
    this.killer = openTaskKiller({ scan, groups, clock, isClosed: this.closed });
    this.suspender = openSuspender({ ...options, scan, groups, onWalltime: this.overWalltime });
    this.timers = [
      setInterval(() => this.sweep(), SWEEP_MS).unref(),
      setInterval(() => this.settleAll(this.adopted), ADOPTED_POLL_MS).unref(),
      setInterval(() => this.run('remove control groups', this.clear(false)), TIDY_MS).unref(),
    ];
    const watch = watchDisk(() => this.tasks.values(), this.exceed, this.stop.signal);
    this.run('watch disk', watch);
  }

  submit(task: LrmsTask): void {
    if (this.tasks.has(task.id)) return;
    const fault = faultOf(task) ?? gpuFault(this.gpus.refusal(task));
    if (fault !== undefined) {
      queueMicrotask(() => this.options.listener.ended(task.id, fault));
      return;
    }
    const entry = this.enter(task, 'queued');
    this.queue.push(entry);
    this.pump();
  }

  async adopt(task: LrmsTask): Promise<boolean> {
    if (this.tasks.has(task.id)) return true;
    const started = await readStarted(task.directory);
    if (started === undefined) return false;
    const entry = this.enter(task, 'running');
    entry.share = this.slots.force(task);
    this.gpus.resume(task.id);
    setStart(entry, started.start);
    this.options.sandbox.groups.renew(task.id, task.memoryBytes);
    this.options.listener.started(task.id, started.atMs);
    await this.suspender.adopt(entry, started.atMs);
    this.adopted.add(entry);
    return true;
  }

  cancel(id: string, graceMs: number): void {
    const entry = this.tasks.get(id);
    if (entry === undefined || entry.state === 'ending') return;
    if (entry.state === 'queued') {
      this.queue = this.queue.filter((one) => one !== entry);
      this.tasks.delete(id);
      queueMicrotask(() => this.options.listener.ended(entry.task.id, CANCELLED));
      this.pump();
      return;
    }
    this.kill(entry, graceMs);
  }

  readonly hostsOf = hostsOf;
  readonly clear = (isWhole = true): Promise<void> =>
    this.clearLeft((id) => this.tasks.has(id), isWhole);
  readonly suspend = (why: string): void => this.suspender.suspend(why, this.tasks.values());
  readonly waitReason = (id: string): string => waitReasonOf(this.tasks.get(id), this.gpus);
  readonly list = (): ReturnType<Lrms['list']> => listForkTasks(this.tasks.values());
  readonly state = (): LrmsState => ({
    closedReason: '',
    sandbox: this.options.sandbox.best,
    gpuModels: this.gpus.models,
  });

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop.abort();
    for (const timer of this.timers) clearInterval(timer);
    for (const { wallTimer } of this.tasks.values()) wallTimer?.[Symbol.dispose]();
    this.launcher[Symbol.dispose]();
    this.options.sandbox.groups[Symbol.dispose]();
    await Promise.resolve();
  }

  wrapperStarted(id: string, start: TaskStart | undefined): void {
    const entry = this.tasks.get(id);
    if (entry === undefined || entry.state !== 'launched') return;
    entry.state = 'running';
    setStart(entry, start);
    this.options.listener.started(entry.task.id, this.options.clock.nowMs());
    this.suspender.begin(entry);
  }

  wrapperEnded(id: string, pid: number, told: StatusFile | undefined): void {
    const entry = this.tasks.get(id);
    if (entry === undefined) return;
    const isOwn = entry.state === 'running' && entry.wrapper?.pid === pid;
    if (isOwn && told !== undefined) this.run('settle a task', this.endAs(entry, told));
    else this.settle(entry, false, pid);
  }

  private readonly endAs = async (entry: ForkTask, status: StatusFile): Promise<void> =>
    this.end(entry, await endWithStatus(entry, status));

  private enter(task: LrmsTask, state: ForkTask['state']): ForkTask {
    const entry = newForkTask(task, state);
    this.tasks.set(task.id, entry);
    return entry;
  }

  /** Starts what fits, strictly in order: a large task is not overtaken for ever by small ones. */
  private pump(): void {
    while (!this.closed()) {
      const next = takeNext(this.queue, this.slots, this.gpus);
      if (next === undefined) return;
      this.launch(next);
    }
  }

  private launch(entry: ForkTask): void {
    setLaunched(entry, this.options.clock.monotonicMs());
    const { task, share } = entry;
    writeHosts(task);
    try {
      const { sandbox } = this.options;
      const groups = sandbox.groups.make(task.id, task.memoryBytes);
      const words = sandbox.wordsFor(task, this.gpus.devicesOf(task.id));
      const env = { ...task.env, ...this.gpus.envOf(task.id, words.length > 0) };
      this.launcher.launch({ ...task, env }, { cpuSet: share?.cpuSet, groups, words });
    } catch (error) {
      this.end(
        entry,
        siteFault('SANDBOX_FAILED', `its sandbox could not be made: ${String(error)}`),
      );
    }
  }

  private readonly overWalltime = (entry: ForkTask): void =>
    this.exceed(entry, walltimeLimit(entry), WALLTIME_GRACE_MS);

  private readonly exceed = (entry: ForkTask, limit: LimitFile, graceMs = 0): void => {
    if (entry.killing || entry.state !== 'running') return;
    entry.killing = true;
    entry.hasLimit = true;
    // A full disk may cost the reason, never the end.
    const work = writeLimit(entry.task.directory, limit).finally(() => {
      entry.killing = false;
      this.kill(entry, graceMs);
    });
    this.run('end a task over its limit', work);
  };

  private kill(entry: ForkTask, graceMs: number): void {
    if (entry.killing) return;
    entry.killing = true;
    this.suspender.letGo(entry);
    const work = this.killer(entry, graceMs, () => this.end(entry, CANCELLED));
    this.run('end a task', work);
  }

  private readonly settleAll = (some: Iterable<ForkTask>): void => {
    for (const entry of some) this.settle(entry, true);
  };

  /** Once a second: memory in use, wrappers that are gone without a word, launches that were lost. */
  private sweep(): void {
    const now = this.options.clock.monotonicMs();
    const busy = [...this.tasks.values()].filter((entry) => isBusySince(entry, now - SWEEP_MS));
    if (busy.length === 0) return;
    const processes = this.scan();
    for (const entry of busy) {
      if (entry.state === 'running') this.sweepRunning(entry, processes);
      else if (now - entry.launchedAtMs > LAUNCH_PATIENCE_MS)
        this.run('launch a task again', this.relaunch(entry));
    }
  }

  private sweepRunning(entry: ForkTask, processes: readonly ProcessInfo[]): void {
    const { groups } = this.options.sandbox;
    const tree = processesOf(entry, groups, processes);
    const excess = memoryExcess(entry, tree, groups.figures(entry.task.id));
    if (excess !== undefined) this.exceed(entry, excess);
    this.suspender.stopRest(entry, processes);
    if (tree[0]?.pid !== entry.wrapper?.pid) this.settle(entry, true);
  }

  private async relaunch(entry: ForkTask): Promise<void> {
    const found = await lookAfterLaunch(entry);
    if (entry.state !== 'launched') return;
    if (found.kind === 'again') this.launch(entry);
    if (found.kind === 'failed') this.end(entry, found.end);
    if (found.kind !== 'begun') return;
    this.wrapperStarted(entry.task.id, found.start);
    this.adopted.add(entry);
  }

  /**
   * Looks whether a task has come to its end; with `unsure` its wrapper may still live, and then nothing happens. `pid` is the
   * wrapper that said it is at the end: if it is the task's own and has no status to show, the disk is full.
   */
  private settle(entry: ForkTask, unsure: boolean, pid?: number): void {
    if (entry.state === 'ending') return;
    const work = async (): Promise<void> => {
      const isAtEnd = entry.state === 'running' && entry.wrapper?.pid === pid;
      const gone = unsure ? entry.wrapper === undefined || !isAlive(entry.wrapper) : isAtEnd;
      const status = await readStatus(entry.task.directory);
      if (entry.state === 'ending' || this.closed()) return;
      if (status !== undefined) await this.endAs(entry, status);
      else if (gone) this.end(entry, await endWithoutStatus(entry));
      else if (!unsure) await this.settleWithoutStatus(entry);
    };
    this.run('settle a task', work());
  }

  /** A wrapper said that it is at its end and wrote no status: it never began, or another one did. */
  private async settleWithoutStatus(entry: ForkTask): Promise<void> {
    const started = await readStarted(entry.task.directory);
    if (entry.state === 'ending') return;
    if (started !== undefined) {
      setStart(entry, started.start);
      entry.state = 'running';
      this.adopted.add(entry);
      return;
    }
    const detail = `${entry.task.directory} could not be written`;
    this.end(entry, siteFault('SPOOL_UNWRITABLE', detail));
  }

  /** Gives the room back at once, ends what the task left, then tells. */
  private end(entry: ForkTask, end: TaskEnd): void {
    if (entry.state === 'ending' || this.closed()) return;
    entry.state = 'ending';
    entry.wallTimer?.[Symbol.dispose]();
    this.adopted.delete(entry);
    if (entry.share !== undefined) this.slots.give(entry.share);
    this.pump();
    const work = async (): Promise<void> => {
      const { listener, log, sandbox } = this.options;
      const { id, memoryBytes } = entry.task;
      const leftBehind = await this.reaper.reap(entry);
      const complete = withFigures(end, sandbox.groups.figures(id), memoryBytes, leftBehind);
      this.launcher.release(id, end.kind === 'exited' && leftBehind.length === 0);
      if (this.gpus.give(id)) this.pump();
      await sandbox.groups.remove(id);
      if (entry.killing || complete.kind !== 'exited') await cleanUp(entry.task, log);
      this.tasks.delete(id);
      if (!this.closed()) listener.ended(id, complete);
    };
    this.run('end what a task left', work());
  }

  private run(name: string, work: Promise<void>): void {
    background(name, work, this.options.log);
  }
}
