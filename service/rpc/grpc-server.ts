import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import { GridError } from '../../core/errors.ts';
import type { Peer } from '../../core/vo/caller.ts';
import type { Log } from '../log.ts';
import { errnoOf } from '../staging/file-errors.ts';
import {
  type Authenticator,
  GridListener,
  type ServerIdentity,
  type StrangerRules,
} from './grid-listener.ts';
import type { CallContext, Handlers, MethodDefinition } from './rpc.ts';
import { toStatus } from './status.ts';

/** A service with its handlers, made by `served()`. */
export interface ServedService {
  readonly definition: Record<string, MethodDefinition<unknown, unknown>>;
  readonly handlers: Record<string, (request: unknown, context: CallContext) => unknown>;
  readonly anonymous: readonly string[];
}

/** Pairs a service definition with its handlers; methods in `anonymous` need no client certificate. */
export function served<D extends object>(
  definition: D,
  handlers: Handlers<D>,
  anonymous: readonly (keyof D & string)[] = [],
): ServedService {
  return {
    definition: definition as unknown as ServedService['definition'],
    handlers: handlers as unknown as ServedService['handlers'],
    anonymous,
  };
}

/** What a server is made of. */
export interface ServerOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly identity: ServerIdentity;
  readonly authenticator: Authenticator;
  readonly services: readonly ServedService[];
  readonly log: Log;
  /** For connections whose caller is not known: 500 of them at a time, for a minute each, by default. */
  readonly strangers?: StrangerRules;
}

/** A server that answers. */
export interface RunningServer extends AsyncDisposable {
  readonly port: number;
  /** Shows another host certificate from the next connection on; those that stand stay. */
  present(identity: ServerIdentity): void;
  /** Lets running calls end for at most `graceMs`, then cuts. */
  close(graceMs?: number): Promise<void>;
}

const DESCRIPTORS = fileURLToPath(new URL('../../proto/gen/grid.binpb', import.meta.url));
const LIMITS: grpc.ServerOptions = {
  'grpc.max_receive_message_length': 16 * 2 ** 20,
  'grpc.max_send_message_length': 64 * 2 ** 20,
  'grpc.max_concurrent_streams': 200,
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 10_000,
};

/** Starts a gRPC server over mutual TLS with health (grpc.health.v1) and reflection. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const server = new grpc.Server(LIMITS);
  const listener = new GridListener({
    server,
    identity: options.identity,
    authenticator: options.authenticator,
    log: options.log,
    ...(options.strangers === undefined ? {} : { strangers: options.strangers }),
  });
  const stopping = new AbortController();
  for (const service of options.services) {
    server.addService(
      service.definition,
      implementationOf(service, listener, options.log, stopping.signal),
    );
  }
  const health = new HealthImplementation({ '': 'SERVING' });
  health.addToServer(server);
  const descriptors = loadFileDescriptorSetFromBuffer(readFileSync(DESCRIPTORS));
  new ReflectionService(descriptors).addToServer(server);
  const port = await listener
    .listen(options.port, options.host)
    .catch((error: unknown) => Promise.reject(listenFailure(options, error)));
  const close = async (graceMs = 500): Promise<void> => {
    health.setStatus('', 'NOT_SERVING');
    stopping.abort();
    await listener.close(graceMs);
    server.forceShutdown();
  };
  const present = (identity: ServerIdentity): void => listener.present(identity);
  return { port, present, close, [Symbol.asyncDispose]: () => close() };
}

const LISTENING: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program, maybe an earlier one of this service, has the port',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'this account may not have the port; those from 1024 on are for all',
};

/** Why a server cannot listen, as CONFIG_INVALID; anything else stays what it is. */
function listenFailure({ host, port }: ServerOptions, error: unknown): unknown {
  const why = LISTENING[errnoOf(error)];
  if (why === undefined) return error;
  return new GridError('CONFIG_INVALID', `cannot listen at ${host}:${port}: ${why}`, {
    cause: error,
  });
}

function implementationOf(
  service: ServedService,
  listener: GridListener,
  log: Log,
  stopping: AbortSignal,
): grpc.UntypedServiceImplementation {
  const entries = Object.entries(service.definition).map(([name, method]) => {
    const handler = service.handlers[name];
    if (handler === undefined) throw new TypeError(`no handler for ${method.path}`);
    const contextOf = (call: AnyCall): CallContext => {
      const peer = peerOf(listener, call, service.anonymous.includes(name));
      let own: Log | undefined;
      let signal: AbortSignal | undefined;
      // Most handlers ask for neither, and both cost as much as many a handler does.
      return {
        peer,
        get log() {
          own ??= log.child({ method: method.path, dn: peer?.dn });
          return own;
        },
        get signal() {
          signal ??= signalOf(call, stopping);
          return signal;
        },
      };
    };
    return [
      name,
      method.responseStream ? stream(handler, contextOf, log) : unary(handler, contextOf, log),
    ];
  });
  return Object.fromEntries(entries) as grpc.UntypedServiceImplementation;
}

type AnyCall = grpc.ServerUnaryCall<unknown, unknown> | grpc.ServerWritableStream<unknown, unknown>;
type Handler = ServedService['handlers'][string];

function unary(handler: Handler, contextOf: (call: AnyCall) => CallContext, log: Log) {
  return (
    call: grpc.ServerUnaryCall<unknown, unknown>,
    reply: grpc.sendUnaryData<unknown>,
  ): void => {
    const answer = async (): Promise<unknown> => handler(call.request, contextOf(call));
    answer().then(
      (response) => reply(null, response),
      (error: unknown) => reply(toStatus(error, log)),
    );
  };
}

function stream(handler: Handler, contextOf: (call: AnyCall) => CallContext, log: Log) {
  return (call: grpc.ServerWritableStream<unknown, unknown>): void => {
    const answer = async (): Promise<void> => {
      const context = contextOf(call);
      for await (const message of handler(call.request, context) as AsyncIterable<unknown>) {
        if (context.signal.aborted) break;
        if (!call.write(message)) await once(call, 'drain', { signal: context.signal });
      }
      call.end();
    };
    answer().catch((error: unknown) => {
      if (call.cancelled) call.end();
      else call.emit('error', toStatus(error, log));
    });
  };
}

function peerOf(listener: GridListener, call: AnyCall, anonymous: boolean): Peer | undefined {
  const outcome = listener.peerAt(call.getPeer());
  if (outcome.kind === 'authenticated') return outcome.peer;
  if (anonymous) return undefined;
  throw outcome.kind === 'refused'
    ? outcome.error
    : new GridError('UNAUTHENTICATED', 'NO_CERT: no certificate was presented');
}

function signalOf(call: AnyCall, stopping: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const abort = (): void => {
    stopping.removeEventListener('abort', abort);
    controller.abort();
  };
  if (call.cancelled || stopping.aborted) return AbortSignal.abort();
  call.once('cancelled', abort);
  call.once('close', () => stopping.removeEventListener('abort', abort));
  stopping.addEventListener('abort', abort, { once: true });
  return controller.signal;
}
