import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { ConnectionOptions, Server, Transport } from '@nats-io/transport-node';
import { GridError } from '../../../core/errors.ts';
import { openFrameCutter } from './nats-frames.ts';
import { pinSlab, unpinSlab } from './slabs.ts';

/**
 * What nats.js sends and receives through, in the place of its own transport for Node: large messages are copied once when they
 * come and not at all when they go. It always speaks TLS, whatever the server offers.
 */
export interface BulkTransport extends Transport {
  /** Sends a frame after those before it, one at a time; it must not change until it has been sent, and `sent` is told. */
  sendBulk(frame: Uint8Array, sent: () => void): void;
  /** Of `performance.now()`: when anything came from the server last. */
  readonly heardAtMs: number;
}

export function openBulkTransport(): BulkTransport {
  const closed = Promise.withResolvers<Error | undefined>();
  const incoming = openQueue();
  let socket: Socket | undefined;
  let connected = false;
  let done = false;
  let closeError: Error | undefined;
  const heard = { atMs: performance.now() };

  const end = (error?: Error): void => {
    if (!connected || done) return;
    done = true;
    closeError = error;
    socket?.removeAllListeners();
    // Whatever is still on its way may fail, and nobody asks any more.
    socket?.on('error', () => undefined);
    socket?.destroy();
    incoming.end();
    closed.resolve(error);
  };
  return {
    lang: 'hanse',
    version: '1',
    get isClosed() {
      return done;
    },
    get closeError() {
      return closeError as Error;
    },
    get heardAtMs() {
      return heard.atMs;
    },
    connect: async (server, options) => {
      const { secure, early } = await dial(server, options);
      socket = secure;
      if (done) {
        secure.destroy();
        throw new GridError('STAGING_UNAVAILABLE', 'the connection was given up');
      }
      connected = true;
      incoming.push(early);
      receive(secure, incoming, heard, end);
    },
    [Symbol.asyncIterator]: () => incoming.iterate(),
    isEncrypted: () => true,
    send: (frame) => {
      if (!done) socket?.write(frame);
    },
    sendBulk: openBulkQueue(() => (done ? undefined : socket)),
    close: async (error) => end(error),
    disconnect: () => {
      if (socket === undefined || done) return;
      socket.write(new Uint8Array(0), () => end());
    },
    closed: () => closed.promise,
    discard: () => {
      done = true;
      socket?.destroy();
      incoming.end();
    },
  };
}

function receive(
  secure: TLSSocket,
  incoming: Queue,
  heard: { atMs: number },
  end: (error?: Error) => void,
): void {
  const cutter = openFrameCutter();
  let failure: Error | undefined;
  secure.on('data', (received) => {
    heard.atMs = performance.now();
    for (const frame of cutter.push(received)) incoming.push(frame);
  });
  secure.on('error', (error) => {
    failure = error;
  });
  secure.on('end', () => secure.end());
  secure.on('close', () => end(failure));
}

/** One frame is with the socket at a time: what waits there is copied into one piece by it. */
function openBulkQueue(socketOf: () => Socket | undefined): BulkTransport['sendBulk'] {
  const frames: { readonly frame: Uint8Array; readonly sent: () => void }[] = [];
  let sending = false;
  const next = (): void => {
    const first = frames.shift();
    const socket = socketOf();
    sending = first !== undefined && socket !== undefined;
    if (first === undefined) return;
    if (socket === undefined) {
      for (const { frame } of [first, ...frames.splice(0)]) unpinSlab(frame);
      return;
    }
    socket.write(first.frame, () => {
      unpinSlab(first.frame);
      first.sent();
      next();
    });
  };
  return (frame, sent) => {
    pinSlab(frame);
    frames.push({ frame, sent });
    if (!sending) next();
  };
}

interface Queue {
  push(frame: Uint8Array): void;
  end(): void;
  iterate(): AsyncGenerator<Uint8Array, void, unknown>;
}

function openQueue(): Queue {
  let frames: Uint8Array[] = [];
  let ended = false;
  let wake = Promise.withResolvers<void>();
  return {
    push: (frame) => {
      frames.push(frame);
      wake.resolve();
    },
    end: () => {
      ended = true;
      wake.resolve();
    },
    iterate: async function* iterate() {
      for (;;) {
        await wake.promise;
        if (ended && frames.length === 0) return;
        if (!ended) wake = Promise.withResolvers();
        const taken = frames;
        frames = [];
        yield* taken;
      }
    },
  };
}

const CONNECT_TIMEOUT_MS = 5_000;

/** The server speaks first, in clear: `INFO {...}`, which is handed on; then TLS begins. */
async function dial(
  server: Server,
  options: ConnectionOptions,
): Promise<{ readonly secure: TLSSocket; readonly early: Uint8Array }> {
  const plain = connectTcp(server.port, server.hostname);
  plain.setNoDelay(true);
  // nats.js gives up by itself then, and would leave the socket to a server that hangs.
  const givesUp = setTimeout(
    () => plain.destroy(new Error('timeout')),
    options.timeout ?? CONNECT_TIMEOUT_MS,
  );
  try {
    const early = await firstLine(plain);
    const tls = typeof options.tls === 'object' && options.tls !== null ? options.tls : {};
    const secure = connectTls({ socket: plain, servername: server.hostname, ...asTls(tls) });
    await once(secure, 'secureConnect');
    return { secure, early };
  } catch (error) {
    plain.destroy();
    throw error;
  } finally {
    clearTimeout(givesUp);
  }
}

/** nats.js knows fewer options than TLS has, and passes on all of them. */
const asTls = (tls: object): { readonly rejectUnauthorized: true } => ({
  ...tls,
  rejectUnauthorized: true,
});

/** Nothing but one line may come in clear: what follows it could be anybody's. */
function firstLine(plain: Socket): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    let line = Buffer.alloc(0);
    const settle = (failure?: Error): void => {
      plain.off('data', onData).off('error', settle).off('close', onClose);
      if (failure === undefined) resolve(line);
      else reject(failure);
    };
    const onClose = (): void => settle(new Error('the server closed the connection'));
    const onData = (received: Buffer): void => {
      line = Buffer.concat([line, received]);
      const end = line.indexOf('\n') + 1;
      if (end === 0) return;
      settle(end === line.byteLength ? undefined : new Error('the server talks before TLS'));
    };
    plain.on('data', onData).on('error', settle).on('close', onClose);
  });
}
