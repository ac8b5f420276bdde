import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { pause } from '../../service/background.ts';
import { freePort } from '../../service/nats/nats-config.ts';
import { needs } from '../setup/needs.ts';
import { commandOutput, type Daemon, endLeftovers, startDaemon, until } from './daemons.ts';

/** A real Slurm with virtual nodes on this machine, in a directory of its own. */
export interface SlurmCluster extends AsyncDisposable {
  readonly dir: string;
  /** slurm.conf. */
  readonly conf: string;
  /** Names of its nodes. */
  readonly nodes: readonly string[];
  /** Runs one of Slurm's commands. */
  run(command: string, ...args: readonly string[]): Promise<string>;
  /** Ends a daemon as a crash does: `slurmctld`, or the slurmd of a node. */
  kill(daemon: string): Promise<void>;
  /** `options` of the daemon: with `-b` a slurmd says that its node was booted just now. */
  start(daemon: string, ...options: readonly string[]): void;
  untilIdle(): Promise<void>;
  /**
   * What slurmctld has not written down it does not know after a crash: writes this word to a job and waits until it has;
   * gives what it has written down then of all jobs.
   */
  untilSaved(word: string): Promise<Buffer>;
  /**
   * Puts nodes that Slurm drains to work again, as its administrator does, until it is disposed of. A slurmctld that was
   * killed has forgotten what it had not written down, six seconds at most: it drains a node to which it gives the number
   * of a job that this still holds (`Duplicate jobid`), and by itself it would never use it again.
   */
  administer(): Disposable;
  /** Throws what has failed with all that people look at then: the queue, the nodes, and the last words of slurmctld. */
  readonly explain: (cause: unknown) => Promise<never>;
}

export interface SlurmSize {
  readonly nodes: number;
  readonly cpus: number;
  readonly memoryMb: number;
  /** Further nodes, of sizes of their own. */
  readonly others?: readonly { readonly cpus: number; readonly memoryMb: number }[];
  /** What each node has besides, as in slurm.conf. */
  readonly each?: string;
  /** Lines of gres.conf. */
  readonly gres?: readonly string[];
  /** Further lines of slurm.conf. */
  readonly settings?: readonly string[];
  /** Whether jobs are in control groups of this machine, which hold them to their memory. */
  readonly isHeld?: boolean;
}

export async function startSlurm(size: SlurmSize): Promise<SlurmCluster> {
  needs('slurmctld', 'slurmctld', 'slurmd', 'slurm-client', 'slurm-wlm-basic-plugins', 'munge');
  const dir = mkdtempSync(join(tmpdir(), 'hanse-slurm-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
  // Groups are called after nodes, on the whole of this machine.
  const prefix = size.isHeld === true ? `held-${process.pid}-n` : 'n';
  const nodes = sizesOf(size).map((_, at) => `${prefix}${at + 1}`);
  stack.defer(() =>
    // A process that was killed is in its group until all of it is gone.
    until('no groups are left', async () => {
      for (const node of nodes) removeGroups(node);
      return true;
    }),
  );
  const conf = join(dir, 'slurm.conf');
  await layOut(dir, conf, nodes, size);
  const daemons = new Map<string, Daemon>();
  // A slurmstepd outlives a slurmd that was killed.
  stack.defer(() => endLeftovers(dir));
  stack.defer(async () => {
    // The controller last: the nodes say goodbye to it.
    for (const daemon of [...daemons.values()].toReversed()) await daemon.stop();
  });
  const start = (name: string, ...options: readonly string[]): void => {
    const args = [...options, ...(name === 'slurmctld' ? ['-D'] : ['-D', '-N', name])];
    const program = name === 'slurmctld' ? name : 'slurmd';
    const log = join(dir, 'log', `${name}.out`);
    daemons.set(name, startDaemon(program, [...args, '-f', conf], { log, env: SBIN }));
  };
  const run: SlurmCluster['run'] = (command, ...args) =>
    commandOutput(command, args, { SLURM_CONF: conf });
  const untilIdle = (): Promise<void> =>
    until('all nodes are idle', async () => {
      const args = ['-h', '-N', '-p', 'main', '-o', '%t'];
      const states = (await run('sinfo', ...args)).trim().split('\n');
      return states.length === nodes.length && states.every((state) => state === 'idle');
    });
  daemons.set('munged', startMunge(dir));
  await until('munged listens', () => Promise.resolve(existsSync(socketOf(dir))));
  for (const name of ['slurmctld', ...nodes]) start(name);
  await untilIdle();
  const owned = stack.move();
  return {
    dir,
    conf,
    nodes,
    run,
    start,
    untilIdle,
    untilSaved: (word) => savedWith(word, join(dir, 'state', 'job_state'), run),
    administer: () => administer(run),
    explain: async (cause) => {
      throw new Error(`${String(cause)}\n${await report(dir, run)}`, { cause });
    },
    kill: async (name) => {
      await daemons.get(name)?.kill();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function savedWith(word: string, file: string, run: SlurmCluster['run']): Promise<Buffer> {
  const [job = ''] = (await run('squeue', '-h', '-o', '%A')).trim().split('\n');
  const comment = `seen-${word}`;
  await run('scontrol', 'update', `JobId=${job}`, `Comment=${comment}`);
  let saved = Buffer.alloc(0);
  await until(`slurmctld has written down ${comment}`, async () => {
    saved = readFileSync(file);
    return saved.includes(comment);
  });
  return saved;
}

const RESUME_MS = 1_000;

function administer(run: SlurmCluster['run']): Disposable {
  const over = new AbortController();
  const rounds = async (): Promise<void> => {
    while (!over.signal.aborted) {
      // While slurmctld is away there is nothing to be done.
      await resumeDrained(run).catch(() => undefined);
      await pause(RESUME_MS, over.signal);
    }
  };
  void rounds();
  return { [Symbol.dispose]: () => over.abort() };
}

async function resumeDrained(run: SlurmCluster['run']): Promise<void> {
  const args = ['-h', '-N', '-p', 'main', '-t', 'drain', '-o', '%N'];
  const drained = (await run('sinfo', ...args)).trim().split('\n').join();
  if (drained !== '') await run('scontrol', 'update', `NodeName=${drained}`, 'State=RESUME');
}

const LAST_WORDS = 4_000;

async function report(dir: string, run: SlurmCluster['run']): Promise<string> {
  const commands = [
    ['squeue', '-a', '-o', '%i %j %T %r'],
    ['sinfo', '-N', '-o', '%N %P %T %E'],
  ] as const;
  const said = commands.map(([command, ...args]) => run(command, ...args).catch(String));
  const log = readFileSync(join(dir, 'log', 'slurmctld.log'), 'utf8').slice(-LAST_WORDS);
  return [...(await Promise.all(said)), log].map((text) => text.slice(0, LAST_WORDS)).join('\n');
}

/** Of each node. */
const sizesOf = ({ nodes, cpus, memoryMb, others = [] }: SlurmSize) => [
  ...Array.from({ length: nodes }, () => ({ cpus, memoryMb })),
  ...others,
];

const SBIN = { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
const socketOf = (dir: string): string => join(dir, 'run', 'munge.sock');

function startMunge(dir: string): Daemon {
  mkdirSync(join(dir, 'munge'), { mode: 0o700 });
  const key = join(dir, 'munge', 'key');
  writeFileSync(key, randomBytes(1_024), { mode: 0o600 });
  const args = [
    '--foreground',
    `--socket=${socketOf(dir)}`,
    `--key-file=${key}`,
    `--pid-file=${join(dir, 'run', 'munged.pid')}`,
    `--log-file=${join(dir, 'log', 'munged.log')}`,
    `--seed-file=${join(dir, 'munge', 'seed')}`,
    '--num-threads=2',
  ];
  return startDaemon('munged', args, { log: join(dir, 'log', 'munged.out'), env: SBIN });
}

async function layOut(
  dir: string,
  conf: string,
  nodes: readonly string[],
  size: SlurmSize,
): Promise<void> {
  // munge wants its socket to be reachable by everybody.
  rmSync(dir, { recursive: true });
  mkdirSync(dir, { mode: 0o755 });
  for (const name of ['run', 'log', 'state', 'cgroup']) mkdirSync(join(dir, name));
  for (const node of nodes)
    for (const name of ['tmp', 'spool']) mkdirSync(join(dir, name, node), { recursive: true });
  // This release insists on a plugin for cgroups even where none are used; a plain directory will do.
  const isHeld = size.isHeld === true;
  const cgroup = [
    'CgroupPlugin=cgroup/v1',
    'CgroupAutomount=no',
    `CgroupMountpoint=${isHeld ? GROUPS : join(dir, 'cgroup')}`,
    ...(isHeld ? ['ConstrainRAMSpace=yes'] : []),
  ];
  writeFileSync(join(dir, 'cgroup.conf'), `${cgroup.join('\n')}\n`);
  writeFileSync(join(dir, 'gres.conf'), `${(size.gres ?? []).join('\n')}\n`);
  const host = hostname().split('.')[0] ?? '';
  const nodeLines: string[] = [];
  for (const [at, { cpus, memoryMb }] of sizesOf(size).entries()) {
    const port = await freePort('127.0.0.1');
    nodeLines.push(
      `NodeName=${nodes[at]} NodeHostname=${host} NodeAddr=127.0.0.1 Port=${port} CPUs=${cpus} RealMemory=${memoryMb} ${size.each ?? ''} State=UNKNOWN`,
    );
  }
  const lines = [
    'ClusterName=hanse',
    `SlurmctldHost=${host}(127.0.0.1)`,
    `SlurmctldPort=${await freePort('127.0.0.1')}`,
    ...settingsIn(dir),
    ...(isHeld ? HELD : WATCHED),
    ...nodeLines,
    `PartitionName=main Nodes=${nodes.join(',')} Default=YES MaxTime=60 State=UP`,
    `PartitionName=long Nodes=${nodes.join(',')} MaxTime=UNLIMITED State=UP`,
    ...(size.settings ?? []),
  ];
  writeFileSync(conf, `${lines.join('\n')}\n`);
}

const GROUPS = '/sys/fs/cgroup';
/** The kernel holds jobs to their memory. */
const HELD = ['ProctrackType=proctrack/cgroup', 'TaskPlugin=task/cgroup'];
/** Slurm looks at the memory of jobs now and then. */
const WATCHED = [
  'ProctrackType=proctrack/linuxproc',
  'TaskPlugin=task/none',
  'JobAcctGatherParams=OverMemoryKill',
];

/** What Slurm leaves of a node that had control groups. */
function removeGroups(node: string): void {
  for (const controller of readdirSync(GROUPS)) {
    const top = join(GROUPS, controller, `slurm_${node}`);
    if (!existsSync(top)) continue;
    const below = readdirSync(top, { recursive: true, withFileTypes: true, encoding: 'utf8' });
    const folders = below
      .filter((one) => one.isDirectory())
      .map((one) => join(one.parentPath, one.name));
    for (const folder of [top, ...folders].toSorted((a, b) => b.length - a.length))
      rmdirSync(folder);
  }
}

const settingsIn = (dir: string): readonly string[] => [
  `SlurmUser=${userInfo().username}`,
  `SlurmdUser=${userInfo().username}`,
  'AuthType=auth/munge',
  `AuthInfo=socket=${socketOf(dir)}`,
  'CredType=cred/munge',
  `SlurmctldPidFile=${dir}/run/slurmctld.pid`,
  `SlurmdPidFile=${dir}/run/slurmd.%n.pid`,
  `SlurmctldLogFile=${dir}/log/slurmctld.log`,
  `SlurmdLogFile=${dir}/log/slurmd.%n.log`,
  `StateSaveLocation=${dir}/state`,
  `SlurmdSpoolDir=${dir}/spool/%n`,
  `TmpFS=${dir}/tmp/%n`,
  'SwitchType=switch/none',
  'MpiDefault=none',
  'JobAcctGatherType=jobacct_gather/linux',
  'JobAcctGatherFrequency=task=1',
  'AccountingStorageType=accounting_storage/none',
  'SchedulerType=sched/backfill',
  'SchedulerParameters=bf_interval=1,batch_sched_delay=1,bf_continue',
  'SelectType=select/cons_tres',
  'SelectTypeParameters=CR_CPU_Memory',
  'ReturnToService=2',
  'MinJobAge=300',
  'KillWait=30',
  // A machine that stands still for a while is no node that is down.
  'SlurmdTimeout=120',
  'BatchStartTimeout=120',
  'SlurmctldTimeout=10',
  'InactiveLimit=0',
  'Waittime=0',
  'DefMemPerCPU=50',
  'MaxArraySize=10001',
  'MaxJobCount=20000',
  'SlurmdParameters=config_overrides',
  'PlugStackConfig=/dev/null',
];
