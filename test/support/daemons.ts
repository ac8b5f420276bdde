import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { promisify } from 'node:util';

/** A daemon that a test has started, and ends by its pid. */
export interface Daemon {
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
  return { kill: () => end(child, 'SIGKILL'), stop: () => end(child, 'SIGTERM') };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), 3_000);
  await gone;
  clearTimeout(timer);
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
    timeout: 10_000,
  });
  return stdout;
}

/** Looks again and again until it holds. */
export async function until(
  what: string,
  holds: () => Promise<boolean>,
  timeoutMs = 30_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await holds().catch(() => false))) {
    if (performance.now() > deadline) throw new Error(`not in ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
