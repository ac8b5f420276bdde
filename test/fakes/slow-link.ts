import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { pause } from '../../service/background.ts';

/** A TCP relay in front of a server, as thin as somebody's telephone line. */
export interface SlowLink extends AsyncDisposable {
  readonly port: number;
  /** Bytes that went to the server and came from it. */
  readonly up: number;
  readonly down: number;
}

const HOST = '127.0.0.1';
const STEPS_A_SECOND = 20;

/** Each direction carries so many bytes a second, all connections together. */
export async function openSlowLink(toPort: number, bytesPerSecond: number): Promise<SlowLink> {
  const ends = new Set<Socket>();
  const moved = { up: 0, down: 0 };
  const step = Math.ceil(bytesPerSecond / STEPS_A_SECOND);
  const carry = async (from: Socket, to: Socket, way: 'up' | 'down'): Promise<void> => {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      for (let at = 0; at < chunk.byteLength; at += step) {
        const part = chunk.subarray(at, at + step);
        await pause((part.byteLength / bytesPerSecond) * 1_000);
        moved[way] += part.byteLength;
        if (!to.write(part)) await once(to, 'drain');
      }
    }
    to.end();
  };
  const listener = createServer((near) => {
    const far = connect(toPort, HOST);
    for (const [from, to, way] of [
      [near, far, 'up'],
      [far, near, 'down'],
    ] as const) {
      ends.add(from);
      from.on('error', () => undefined);
      carry(from, to, way).catch(() => to.destroy());
    }
  }).listen(0, HOST);
  await once(listener, 'listening');
  const address = listener.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    get up() {
      return moved.up;
    },
    get down() {
      return moved.down;
    },
    [Symbol.asyncDispose]: async () => {
      for (const end of ends) end.destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
}
