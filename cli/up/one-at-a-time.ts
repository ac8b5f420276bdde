import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { pause } from '../../service/background.ts';

const LOOK_MS = 100;

/**
 * Lets only one process of this machine at a time do something with `dir`: waits, after a call of `onWait`, until no other holds it.
 * What holds it is a socket without a file: it goes with its process, however that ends. Throws what `signal` aborts with.
 */
export async function oneAtATime(
  dir: string,
  signal: AbortSignal,
  onWait: () => void,
): Promise<AsyncDisposable> {
  // Of each account its own: another's grid of the same name is none of ours.
  const key = createHash('sha256').update(`${process.getuid?.()} ${dir}`).digest('hex');
  for (let isFirst = true; ; isFirst = false) {
    signal.throwIfAborted();
    const held = await hold(`\0hanse-up-${key}`);
    if (held !== undefined) return held;
    if (isFirst) onWait();
    await pause(LOOK_MS, signal);
  }
}

/** Undefined where another has it. */
async function hold(path: string): Promise<AsyncDisposable | undefined> {
  const server = createServer((socket) => socket.destroy());
  const listening = once(server, 'listening');
  server.listen(path);
  try {
    await listening;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') return undefined;
    throw error;
  }
  server.unref();
  return server;
}
