import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { bringUp, environmentOf, openBroker } from '../../cli/up/bring-up.ts';
import { type GridPlan, type Layout, layoutOf } from '../../cli/up/layout.ts';
import { type GridWish, makeGrid } from '../../cli/up/make-grid.ts';
import { endProcessesBelow, isAlive } from '../../cli/up/process.ts';
import { type GridProcesses, obtainNatsServer } from '../../cli/up/start-grid.ts';
import type { Steps } from '../../cli/up/steps.ts';
import type { BrokerService } from '../../proto/gen/grid/v1/broker.ts';
import { pause } from '../../service/background.ts';
import type { Connection } from '../../service/rpc/grpc-client.ts';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '..', '..');
export const GRID = join(ROOT, 'grid');

type Env = Readonly<Record<string, string>>;

/** What a command line came to. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A whole grid of real processes in a directory of its own; dispose of it. */
export interface LocalGrid extends AsyncDisposable {
  readonly layout: Layout;
  readonly plan: GridPlan;
  readonly processes: GridProcesses;
  /** Runs `grid ARGS` as the grid's user, in `cwd`. */
  grid(
    args: readonly string[],
    options?: { readonly cwd?: string; readonly input?: string; readonly env?: Env },
  ): Promise<Ran>;
  broker(): Promise<Connection<BrokerService>>;
  /** The process that a program runs in now. Names as for `crash`. */
  pid(name: string): number;
  /** Ends a program as a crash would. Names: nats-server, authority, broker, site-NAME. */
  crash(name: string): Promise<void>;
}

const SILENT: Steps = { run: (_title, work) => work(() => undefined) };

/** Makes and starts a grid; its processes end with the test. */
export async function startLocalGrid(wish: Partial<Omit<GridWish, 'vo'>> = {}): Promise<LocalGrid> {
  const layout = layoutOf(mkdtempSync(join(tmpdir(), 'hanse-test-')));
  const signal = new AbortController().signal;
  const binary = await obtainNatsServer(process.env, homedir(), signal, () => undefined);
  const plan = await makeGrid(layout, {
    vo: 'demo',
    sites: wish.sites ?? 2,
    cpusPerSite: wish.cpusPerSite ?? 4,
    ...(wish.natsServers === undefined ? {} : { natsServers: wish.natsServers }),
    ...(wish.siteSettings === undefined ? {} : { siteSettings: wish.siteSettings }),
  });
  const options = { layout, plan, env: process.env, detached: false, signal, binary };
  const { processes } = await bringUp(options, SILENT);
  const env = { ...process.env, ...environmentOf({ layout }), NO_COLOR: '1' };
  const pidOf = (name: string): number => {
    const program = processes.all.findLast((candidate) => candidate.name === name);
    if (program === undefined) throw new Error(`no program ${name}`);
    return program.pid;
  };
  return {
    layout,
    plan,
    processes,
    broker: () => openBroker({ layout }),
    pid: pidOf,
    grid: (args, { cwd = layout.dir, input, env: more = {} } = {}) =>
      runGrid(args, { cwd, env: { ...env, ...more }, input }),
    crash: async (name) => {
      const pid = pidOf(name);
      process.kill(pid, 'SIGKILL');
      while (isAlive(pid)) await pause(10);
    },
    [Symbol.asyncDispose]: async () => {
      await processes.stop();
      await endProcessesBelow(layout.dir);
      rmSync(layout.dir, { recursive: true, force: true });
    },
  };
}

interface RunOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly input?: string | undefined;
}

/** Runs the CLI as a process of its own. */
export const runGrid = (args: readonly string[], options: RunOptions): Promise<Ran> =>
  runGridWith([GRID, ...args], options);

/** Runs a command line that comes to the CLI in the end. */
export async function runGridWith(command: readonly string[], options: RunOptions): Promise<Ran> {
  const [program = GRID, ...args] = command;
  const running = run(program, args, {
    cwd: options.cwd,
    env: { ...options.env },
    maxBuffer: 256 * 2 ** 20,
  });
  running.child.stdin?.end(options.input ?? '');
  try {
    const { stdout, stderr } = await running;
    return { code: 0, stdout, stderr };
  } catch (error) {
    const failed = error as { code?: number; stdout?: string; stderr?: string };
    return { code: failed.code ?? -1, stdout: failed.stdout ?? '', stderr: failed.stderr ?? '' };
  }
}

/** Calls `probe` until it gives a value, at most `timeoutMs`; throws what was waited for otherwise. */
export async function eventually<T>(
  what: string,
  timeoutMs: number,
  probe: () => Promise<T | undefined>,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined) return value;
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await pause(50);
  }
}
