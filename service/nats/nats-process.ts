import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { GridError } from '../../core/errors.ts';
import { pause } from '../background.ts';

interface StartOptions {
  /** The program, as `findNatsServer` gives it. */
  readonly binary: string;
  readonly configFile: string;
  /** Where its log goes, appended. */
  readonly logFile: string;
  readonly host: string;
  readonly port: number;
  /** Authorities against which its certificate is checked. */
  readonly caPem: string;
  /** What it inherits; where this does not say how it is to collect its garbage, it does so more seldom than by default. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** It outlives this process. */
  readonly detached?: boolean;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * A third of the processor time that chunks cost nats-server went into garbage: each is a MiB of it, and by default the heap is
 * looked through whenever it has doubled. It may grow to so much instead.
 */
const GARBAGE = { GOGC: '400', GOMEMLIMIT: '512MiB' };

/** A nats-server that accepts TLS connections. */
export interface NatsProcess extends AsyncDisposable {
  readonly pid: number;
  /** Resolves when it has ended, for whatever reason. */
  readonly exited: Promise<void>;
  /** Ends it by its pid: SIGTERM, and SIGKILL after 5 s. */
  stop(): Promise<void>;
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>;
}

/** Starts nats-server and waits until it serves; throws UNAVAILABLE with the end of its log if it does not. */
export async function startNatsServer(options: StartOptions): Promise<NatsProcess> {
  const { binary, configFile, logFile, detached = false, timeoutMs = 20_000, signal } = options;
  const env = { ...GARBAGE, ...options.env };
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn(binary, ['-c', configFile], {
    stdio: ['ignore', log, log],
    detached,
    env,
  });
  closeSync(log);
  const exited = once(child, 'exit').then(
    () => undefined,
    () => undefined,
  );
  const running = processOf(child, exited);
  const deadline = performance.now() + timeoutMs;
  while (!(await accepts(options))) {
    const ended = child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
    if (ended || performance.now() > deadline || signal?.aborted === true) {
      await running.kill();
      signal?.throwIfAborted();
      const tail = (await readFile(logFile, 'utf8').catch(() => '')).trimEnd().split('\n').at(-1);
      throw new GridError('UNAVAILABLE', `nats-server did not start: ${tail}`);
    }
    await pause(20, signal);
  }
  if (detached) child.unref();
  return running;
}

function processOf(child: ChildProcess, exited: Promise<void>): NatsProcess {
  const gone = (): boolean =>
    child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (gone()) return;
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await exited;
    clearTimeout(timer);
  };
  const stop = (): Promise<void> => end('SIGTERM');
  return {
    pid: child.pid ?? 0,
    exited,
    stop,
    kill: () => end('SIGKILL'),
    [Symbol.asyncDispose]: stop,
  };
}

/** The server speaks first, in clear (`INFO {...}`), and then expects the TLS handshake. */
function accepts({ host, port, caPem }: StartOptions): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTcp(port, host);
    const done = (good: boolean): void => {
      socket.destroy();
      resolve(good);
    };
    socket.setTimeout(5_000, () => done(false));
    socket.once('error', () => done(false));
    socket.once('close', () => done(false));
    socket.once('data', () => {
      const secure = connectTls({ socket, host, ca: caPem }, () => done(true));
      secure.once('error', () => done(false));
    });
  });
}
