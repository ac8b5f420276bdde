import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** What a server says of one path. */
interface Served {
  readonly bytes?: Buffer;
  readonly status?: number;
  readonly location?: string;
  /** Says nothing of ranges and always begins at byte 0. */
  readonly noRanges?: boolean;
  /** Cuts the connection after so many bytes of an answer. */
  readonly cutAfter?: number;
  /** Says nothing more when that is sent, in place of cutting the connection. */
  readonly stalls?: boolean;
  /** Takes the request and never answers. */
  readonly hangs?: boolean;
}

/** A real https server whose answers a test chooses. */
export interface WebServer extends AsyncDisposable {
  readonly port: number;
  /** What was asked for: path, and the range where there was one. */
  readonly asked: string[];
  /** Bytes of bodies that were handed to the network. */
  sentBytes(): number;
  serve(path: string, what: Served): void;
}

export async function startWebServer(tls: { cert: string; key: string }): Promise<WebServer> {
  const paths = new Map<string, Served>();
  const asked: string[] = [];
  const sockets = new Set<Socket | TLSSocket>();
  let sent = 0;
  const server: Server = createServer(tls, (request, response) => {
    const path = request.url ?? '';
    const { range } = request.headers;
    asked.push(range === undefined ? path : `${path} ${range}`);
    const what = paths.get(path);
    if (what?.hangs === true) return;
    if (what?.bytes === undefined) {
      const headers = what?.location === undefined ? {} : { location: what.location };
      response.writeHead(what?.status ?? 404, headers).end('not here');
      return;
    }
    const { bytes } = what;
    const start = what.noRanges === true ? 0 : Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
    if (start > 0 && start >= bytes.length) {
      response.writeHead(416).end();
      return;
    }
    const body = bytes.subarray(
      start,
      what.cutAfter === undefined ? undefined : start + what.cutAfter,
    );
    const total = bytes.length;
    response.writeHead(start > 0 ? 206 : 200, {
      'content-length': total - start,
      ...(start > 0 ? { 'content-range': `bytes ${start}-${total - 1}/${total}` } : {}),
    });
    sent += body.length;
    response.write(body, () => {
      if (what.stalls === true) return;
      if (start + body.length < total) response.destroy();
      else response.end();
    });
  });
  server.on('secureConnection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    sentBytes: () => sent,
    serve: (path, what) => void paths.set(path, what),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}
