import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { promisify } from 'node:util';

/** A daemon that a test has started, and ends by its pid. */
export interface Daemon {
  readonly pid: number;
  /** As a crash does. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a daemon that stays in the foreground; what it says goes to a file, so that it keeps nobody's pipe open. */
export function startDaemon(
  program: string,
  args: readonly string[],
  { log, env = {} }: { readonly log: string; readonly env?: Readonly<Record<string, string>> },
): Daemon {
  const output = openSync(log, 'a');
  const child = spawn(program, [...args], {
    cwd: '/',
    env: { ...process.env, ...env },
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  return {
    pid: child.pid ?? 0,
    kill: () => end(child, 'SIGKILL'),
    stop: () => end(child, 'SIGTERM'),
  };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), 3_000);
  await gone;
  clearTimeout(timer);
}

/**
 * Ends by its pid every process, but for this one, whose command line or environment names `dir` or that has a file open in
 * it: what a daemon started and left behind when it was killed.
 */
export async function endLeftovers(dir: string): Promise<void> {
  await until(`no process is left in ${dir}`, () => {
    const left = processesNaming(dir);
    for (const pid of left) killIfThere(pid);
    return Promise.resolve(left.length === 0);
  });
}

/** Pids of processes that have to do with a directory; zombies have neither a command line nor files. */
export function processesNaming(dir: string): readonly number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => pid !== process.pid && names(pid, dir));
}

function names(pid: number, dir: string): boolean {
  const about = `/proc/${pid}`;
  const texts = ['cmdline', 'environ'].map((file) => `${about}/${file}`);
  if (texts.some((file) => attempt(() => readFileSync(file, 'utf8'))?.includes(dir))) return true;
  const links = (attempt(() => readdirSync(`${about}/fd`)) ?? []).map((fd) => `${about}/fd/${fd}`);
  return [...links, `${about}/cwd`].some((link) =>
    attempt(() => readlinkSync(link))?.startsWith(`${dir}/`),
  );
}

/** Kills a process, which may have gone since somebody saw it: another's end may have taken it along. */
export function killIfThere(pid: number): void {
  attempt(() => process.kill(pid, 'SIGKILL'));
}

/** A process may go while it is looked at. */
function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

const execute = promisify(execFile);

/** Runs a command to its end and gives its standard output. */
export async function commandOutput(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const { stdout } = await execute(program, [...args], {
    env: { ...process.env, ...env },
    timeout: 60_000,
  });
  return stdout;
}

/** Looks again and again until it holds. */
export async function until(
  what: string,
  holds: () => Promise<boolean>,
  timeoutMs = 120_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await holds().catch(() => false))) {
    if (performance.now() > deadline) throw new Error(`not in ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
