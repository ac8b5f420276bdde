import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { systemClock } from '../../service/clock.ts';
import type { Account } from '../../site-gateway/accounts/account.ts';
import type { GridEngineOptions } from '../../site-gateway/lrms/gridengine/gridengine.ts';
import { needs } from '../setup/needs.ts';
import { commandOutput, type Daemon, killIfThere, startDaemon, until } from './daemons.ts';
import {
  addressOf,
  type CellSize,
  changed,
  HUB,
  layOutCell,
  namesOf,
  objectsOf,
  PORTS,
  PROGRAMS,
  tmpOf,
} from './gridengine-cell.ts';

/**
 * A real Grid Engine with hosts of its own on this machine: each is a set of namespaces (network, host name, processes,
 * mounts), because an execd is known by the name and the address of its host. All is gone with the processes that hold
 * them. Needs root.
 */
export interface GridEngineCluster extends AsyncDisposable {
  /** SGE_ROOT. */
  readonly dir: string;
  /** Directory of its commands, as they are on its login node. */
  readonly bin: string;
  readonly hosts: readonly string[];
  /** Variables of its commands. */
  readonly environment: Readonly<Record<string, string>>;
  /** Lines of a gateway's configuration that lead to it. */
  readonly settings: readonly string[];
  /** The same by way of commands of this directory. */
  settingsWith(bin: string): readonly string[];
  /** What the LRMS port needs to know of it. */
  options(more?: Partial<GridEngineOptions>): GridEngineOptions;
  /** Lets another account than root run its commands. */
  openTo(account: Pick<Account, 'uid' | 'gid'>): void;
  /** Runs one of its commands. */
  run(command: string, ...args: readonly string[]): Promise<string>;
  /** Ends a daemon as a crash does: `qmaster`, or the execd of a host, whose jobs go on. */
  kill(daemon: string): Promise<void>;
  /** Ends all of a host, as a loss of power does. */
  crash(host: string): Promise<void>;
  start(daemon: string): Promise<void>;
  /** Commands of the cell that qconf reads from a file. */
  configure(option: string, text: string): Promise<void>;
}

const ENV = 'env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin SGE_ND=1';

export async function startGridEngine(size: CellSize): Promise<GridEngineCluster> {
  needs('qsub', 'gridengine-client', 'gridengine-exec', 'gridengine-master');
  for (const [program, of] of [['ip', 'iproute2'] as const, ['unshare', 'util-linux'] as const])
    needs(program, of);
  const dir = mkdtempSync(join(tmpdir(), 'hanse-sge-'));
  chmodSync(dir, 0o755);
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
  layOutCell(dir, size);
  const cell = new Cell(dir, namesOf(size));
  stack.defer(() => cell.end());
  initialise(dir);
  await cell.startHub();
  await cell.startQmaster();
  for (const [option, text] of objectsOf(dir, size)) await cell.configure(option, text);
  await cell.tune();
  for (const host of cell.hosts) await cell.startHost(host);
  await cell.untilUp(cell.hosts);
  const owned = stack.move();
  return {
    dir,
    bin: cell.bin,
    hosts: cell.hosts,
    environment: environmentOf(dir),
    settings: settingsWith(dir, cell.bin),
    settingsWith: (bin) => settingsWith(dir, bin),
    options: (more = {}) => ({
      root: dir,
      cell: 'default',
      ports: PORTS,
      path: [cell.bin, process.env['PATH']].join(delimiter),
      queues: [],
      project: '',
      account: '',
      memory: '',
      gpus: '',
      licences: {},
      hostPatienceMs: 600_000,
      extraArgs: [],
      clock: systemClock,
      ...more,
    }),
    run: (command, ...args) => cell.run(command, args),
    configure: (option, text) => cell.configure(option, text),
    openTo: (account) => cell.openTo(account),
    kill: (daemon) => cell.kill(daemon),
    crash: (host) => cell.crash(host),
    start: (daemon) => cell.start(daemon),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const settingsWith = (dir: string, bin: string): readonly string[] => [
  'lrms: gridengine',
  'gridengine:',
  `  {root: ${dir}, bin: ${bin}, qmaster-port: ${PORTS.qmaster}, execd-port: ${PORTS.execd}}`,
];
const environmentOf = (dir: string): Readonly<Record<string, string>> => ({
  SGE_ROOT: dir,
  SGE_CELL: 'default',
  SGE_QMASTER_PORT: String(PORTS.qmaster),
  SGE_EXECD_PORT: String(PORTS.execd),
});

/** The database of a new cell. */
function initialise(dir: string): void {
  const env = { ...process.env, ...environmentOf(dir) };
  const run = (program: string, ...args: readonly string[]): void => {
    execFileSync(join(PROGRAMS, program), args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  };
  run('spoolinit', 'berkeleydb', 'libspoolb', join(dir, 'spool/db'), 'init');
  run('spooldefaults', 'configuration', join(dir, 'configuration'));
  run('spooldefaults', 'complexes', join(dir, 'util/resources/centry'));
  run('spooldefaults', 'usersets', join(dir, 'util/resources/usersets'));
  run('spooldefaults', 'managers', 'root');
}

class Cell {
  readonly bin: string;
  readonly hosts: readonly string[];
  private readonly dir: string;
  private readonly daemons = new Map<string, Daemon>();
  /** Pids of what holds the namespaces of a machine. */
  private readonly holders = new Map<string, { readonly daemon: Daemon; readonly pid: number }>();

  constructor(dir: string, hosts: readonly string[]) {
    this.dir = dir;
    this.bin = join(dir, 'login');
    this.hosts = hosts;
  }

  async startHub(): Promise<void> {
    const network = [
      // Of its own: otherwise it changes with the hosts that come and go, and the others no longer find it.
      'ip link add br0 address 02:00:00:00:00:01 type bridge',
      `ip address add ${HUB.address}/24 dev br0`,
      'ip link set br0 up',
    ];
    await this.hold(HUB.name, 'unshare --net --uts --mount', network);
    const inside = `nsenter ${this.inside(HUB.name, 'net', 'uts', 'mnt')}`;
    for (const command of ['qsub', 'qstat', 'qdel', 'qconf', 'qalter', 'qmod', 'qhost', 'qhold']) {
      const file = join(this.bin, command);
      const lines = [
        '#!/bin/sh',
        `[ "$(id -u)" != 0 ] || exec ${inside} ${PROGRAMS}/${command} "$@"`,
        `exec ${this.bin}/${inside.replace(' ', '-$(id -u) ')} setpriv --reuid="$(id -u)" --regid="$(id -g)" --init-groups ${PROGRAMS}/${command} "$@"`,
      ];
      writeFileSync(file, `${lines.join('\n')}\n`);
      chmodSync(file, 0o755);
    }
  }

  /** Only root can enter the login node, whatever it then becomes there. */
  openTo({ uid, gid }: Pick<Account, 'uid' | 'gid'>): void {
    const file = join(this.bin, `nsenter-${uid}`);
    copyFileSync('/usr/bin/nsenter', file);
    chownSync(file, 0, gid);
    chmodSync(file, 0o4750);
  }

  async startQmaster(): Promise<void> {
    const inside = `nsenter ${this.inside(HUB.name, 'net', 'uts', 'mnt')}`;
    this.daemons.set('qmaster', this.daemon('qmaster', `${inside} ${PROGRAMS}/sge_qmaster`));
    await until('qmaster answers', async () => (await this.run('qconf', ['-sh'])) !== '');
  }

  async startHost(name: string): Promise<void> {
    const own = '--net --uts --mount --pid --fork --kill-child --mount-proc';
    // A shell as the first process takes up what a dead execd leaves behind, and goes when a test run is ended.
    const stay = "trap 'exit 0' TERM INT HUP; while :; do sleep 3600 & wait; done";
    await this.hold(name, `nsenter ${this.inside(HUB.name, 'mnt')} unshare ${own}`, [], stay);
    const hub = ['nsenter', this.inside(HUB.name, 'net'), 'ip'].join(' ');
    const host = ['nsenter', this.inside(name, 'net'), 'ip'].join(' ');
    const pid = this.pidOf(name);
    const plug = [
      // The kernel may still be about to take away that of a host which has crashed.
      `${hub} link delete to-${name} 2>/dev/null || true`,
      `${hub} link add to-${name} type veth peer name eth0 netns ${pid}`,
      `${hub} link set to-${name} master br0 up`,
      `${host} address add ${addressOf(this.hosts.indexOf(name))}/24 dev eth0`,
      `${host} link set eth0 up`,
    ];
    execFileSync('sh', ['-ec', plug.join('\n')], { stdio: ['ignore', 'ignore', 'pipe'] });
    await this.run('qconf', ['-ah', name]);
    this.startExecd(name);
  }

  private startExecd(name: string): void {
    const inside = `nsenter ${this.inside(name, 'net', 'uts', 'mnt', 'pid')}`;
    this.daemons.set(name, this.daemon(name, `${inside} ${PROGRAMS}/sge_execd`));
  }

  async start(name: string): Promise<void> {
    if (name === 'qmaster') return this.startQmaster();
    if (this.holders.has(name)) this.startExecd(name);
    else await this.startHost(name);
    await this.untilUp([name]);
  }

  async kill(name: string): Promise<void> {
    const daemon = this.daemons.get(name);
    // An execd is the child of what put it into its host's process namespace.
    for (const pid of childrenOf(daemon?.pid)) killIfThere(pid);
    await daemon?.kill();
    this.daemons.delete(name);
  }

  async crash(name: string): Promise<void> {
    const holder = this.holders.get(name);
    // The first process of a process namespace takes all others with it.
    if (holder !== undefined) killIfThere(holder.pid);
    await holder?.daemon.kill();
    this.holders.delete(name);
    await this.kill(name);
  }

  async end(): Promise<void> {
    for (const name of this.hosts) await this.crash(name);
    await this.kill('qmaster');
    await this.crash(HUB.name);
  }

  async untilUp(names: readonly string[]): Promise<void> {
    await until('all hosts are up', async () => {
      const text = await this.run('qstat', ['-f', '-F', 'num_proc', '-q', 'main.q']);
      const isUp = (name: string): boolean =>
        new RegExp(`^main\\.q@${name} [^\n]* lx-amd64 +\n.*num_proc`, 'm').test(text);
      return names.every(isUp);
    });
  }

  async configure(option: string, text: string): Promise<void> {
    const file = join(this.dir, 'object');
    writeFileSync(file, text);
    await this.run('qconf', [option, file]);
  }

  /** Memory can be used up, and the scheduler looks once a second and at once. */
  async tune(): Promise<void> {
    const complexes = await this.run('qconf', ['-sc']);
    const consumable = 'mem_free mf MEMORY <= YES JOB 0 0';
    const gpu = 'gpu gpu INT <= YES YES 0 0';
    await this.configure('-Mc', `${complexes.replace(/^mem_free .*$/m, consumable)}${gpu}\n`);
    const schedule = changed(await this.run('qconf', ['-ssconf']), {
      schedule_interval: '0:0:1',
      flush_submit_sec: '1',
      flush_finish_sec: '1',
      job_load_adjustments: 'NONE',
    });
    await this.configure('-Msconf', schedule);
    await this.run('qconf', ['-as', HUB.name]);
  }

  run(command: string, args: readonly string[]): Promise<string> {
    return commandOutput(join(this.bin, command), args, environmentOf(this.dir));
  }

  /** Makes namespaces that last as long as the process in them. */
  private async hold(
    name: string,
    make: string,
    lines: readonly string[],
    stay = 'exec sleep infinity',
  ): Promise<void> {
    const log = join(this.dir, 'log', `${name}.hold`);
    rmSync(log, { force: true });
    const hosts = join(this.dir, 'hosts');
    const tmp = tmpOf(this.dir);
    const begin = [
      'set -e',
      `hostname ${name}`,
      `mount --bind ${hosts} /etc/hosts`,
      `mkdir -p ${tmp}-${name}`,
      `mount --bind ${tmp}-${name} ${tmp}`,
      'ip link set lo up',
    ];
    const script = [...begin, ...lines, 'echo ready', stay].join('\n');
    const [program = '', ...args] = make.split(' ');
    const daemon = startDaemon(program, [...args, 'sh', '-c', script], { log });
    await until(`${name} is there`, () =>
      Promise.resolve(readFileSync(log, 'utf8').endsWith('ready\n')),
    );
    const pid = childrenOf(daemon.pid)[0] ?? daemon.pid;
    this.holders.set(name, { daemon, pid });
  }

  private daemon(name: string, command: string): Daemon {
    const log = join(this.dir, 'log', `${name}.out`);
    const variables = Object.entries(environmentOf(this.dir)).map(([key, at]) => `${key}=${at}`);
    const [program = '', ...args] = [ENV, ...variables, command].join(' ').split(' ');
    return startDaemon(program, args, { log });
  }

  private inside(name: string, ...kinds: readonly string[]): string {
    const pid = this.pidOf(name);
    const options = { net: '--net', uts: '--uts', mnt: '--mount', pid: '--pid' };
    return Object.entries(options)
      .filter(([kind]) => kinds.includes(kind))
      .map(([kind, option]) => `${option}=/proc/${pid}/ns/${kind}`)
      .join(' ');
  }

  private pidOf(name: string): number {
    const holder = this.holders.get(name);
    if (holder === undefined) throw new Error(`${name} does not run`);
    return holder.pid;
  }
}

/** None where the process has gone. */
function childrenOf(pid: number | undefined): readonly number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text.trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
