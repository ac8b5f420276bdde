import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { touchMemory } from './touch-memory.ts';

export const HOST = '127.0.0.1';

/** How long some work takes, on memory that has just been touched. */
export async function seconds(work: () => Promise<unknown>): Promise<number> {
  await touchMemory();
  const startedMs = performance.now();
  await work();
  return (performance.now() - startedMs) / 1_000;
}

/** A program that serves until it is disposed of. */
export interface Server extends AsyncDisposable {
  readonly port: number;
}

export async function serve(
  program: string,
  how: {
    readonly args: readonly string[];
    readonly port: number;
    readonly cwd: string;
    /** Besides that of this process. */
    readonly env?: Readonly<Record<string, string>>;
  },
): Promise<Server> {
  const { args, port, cwd, env } = how;
  const child = spawn(program, [...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const exited = once(child, 'exit');
  for (let tries = 0; tries < 100 && !(await answers(port)); tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 50));
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, HOST);
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
