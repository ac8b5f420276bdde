import { checkServerIdentity, createSecureContext } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import { GridError } from '../../core/errors.ts';
import { formatInstant } from '../../core/units.ts';
import { pemBlocks, toPem } from '../pki/pem.ts';
import type { CallOptions, MethodDefinition, RpcClient } from './rpc.ts';
import { fromStatus } from './status.ts';

/** What a client shows and trusts. PEM texts; without `certPem` and `keyPem` the client stays anonymous. */
export interface ClientCredentials {
  /** Certificates of the trusted authorities. */
  readonly caPem: string;
  /** Their CRLs; a revoked or unlisted host certificate is refused by OpenSSL. */
  readonly crlPem?: string;
  /** Leaf first, then whatever links it to the end-entity certificate's issuer. */
  readonly certPem?: string;
  readonly keyPem?: string;
  /** When the login ends: a service that is not reached later refuses it, and is not away. */
  readonly expiresAtMs?: number;
  /** A further look at the server's certificate (DER), once its name and chain have passed; an error refuses it. */
  readonly checkServer?: (certificate: Uint8Array) => Error | undefined;
}

/** An open connection to one service at one address. */
export interface Connection<D> extends Disposable {
  readonly call: RpcClient<D>;
  close(): void;
}

const DEFAULT_DEADLINE_MS = 30_000;
const CHANNEL_OPTIONS: grpc.ClientOptions = {
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.initial_reconnect_backoff_ms': 200,
  'grpc.max_reconnect_backoff_ms': 2_000,
  'grpc.max_receive_message_length': 64 * 2 ** 20,
  'grpc.max_send_message_length': 64 * 2 ** 20,
  'grpc.use_local_subchannel_pool': 1,
};

/**
 * Opens a typed client for `service` at `address` (`host:port`); connects on first use and again when needed.
 * `name` is the service's name in error messages. Every failed call throws a GridError.
 */
export function openClient<D extends object>(
  service: D,
  name: string,
  address: string,
  credentials: ClientCredentials,
): Connection<D> {
  // Node reads only the first CRL of a text.
  const crls = pemBlocks(credentials.crlPem ?? '').map(({ label, der }) => toPem(label, der));
  const context = createSecureContext({
    minVersion: 'TLSv1.3',
    ca: credentials.caPem,
    ...(crls.length === 0 ? {} : { crl: [...crls] }),
    ...(credentials.certPem === undefined ? {} : { cert: credentials.certPem }),
    ...(credentials.keyPem === undefined ? {} : { key: credentials.keyPem }),
  });
  const { checkServer } = credentials;
  const channelCredentials = grpc.credentials.createFromSecureContext(
    context,
    checkServer === undefined
      ? {}
      : {
          checkServerIdentity: (host, certificate) =>
            checkServerIdentity(host, certificate) ?? checkServer(certificate.raw),
        },
  );
  const client = new grpc.Client(address, channelCredentials, CHANNEL_OPTIONS);
  const { expiresAtMs = Number.POSITIVE_INFINITY } = credentials;
  const errorOf = (error: unknown): GridError =>
    endedLogin(fromStatus(error, `${name} at ${address}`), expiresAtMs);
  const methods = Object.entries(service as Record<string, MethodDefinition<unknown, unknown>>);
  const call = Object.fromEntries(
    methods.map(([method, definition]) => [
      method,
      definition.responseStream
        ? (request: unknown, options?: CallOptions) =>
            streamCall(client, definition, request, options ?? {}, errorOf)
        : (request: unknown, options?: CallOptions) =>
            unaryCall(client, definition, request, options ?? {}, errorOf),
    ]),
  ) as RpcClient<D>;
  const close = (): void => client.close();
  return { call, close, [Symbol.dispose]: close };
}

/** A handshake with an ended certificate fails like one with nobody. */
function endedLogin(error: GridError, expiresAtMs: number): GridError {
  if (error.code !== 'UNAVAILABLE' || Date.now() < expiresAtMs) return error;
  const words = `your login ended at ${formatInstant(expiresAtMs)}`;
  return new GridError('UNAUTHENTICATED', words, { cause: error });
}

function unaryCall<Req, Res>(
  client: grpc.Client,
  method: MethodDefinition<Req, Res>,
  request: Req,
  options: CallOptions,
  errorOf: (error: unknown) => GridError,
): Promise<Res> {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + (options.deadlineMs ?? DEFAULT_DEADLINE_MS);
    const call = client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      new grpc.Metadata(),
      { deadline },
      (error, value) => {
        options.signal?.removeEventListener('abort', cancel);
        if (error !== null) reject(errorOf(error));
        else resolve(value as Res);
      },
    );
    const cancel = (): void => call.cancel();
    if (options.signal?.aborted === true) cancel();
    else options.signal?.addEventListener('abort', cancel, { once: true });
  });
}

async function* streamCall<Req, Res>(
  client: grpc.Client,
  method: MethodDefinition<Req, Res>,
  request: Req,
  options: CallOptions,
  errorOf: (error: unknown) => GridError,
): AsyncGenerator<Res> {
  const call = client.makeServerStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    request,
    new grpc.Metadata(),
    options.deadlineMs === undefined ? {} : { deadline: Date.now() + options.deadlineMs },
  );
  const cancel = (): void => call.cancel();
  if (options.signal?.aborted === true) cancel();
  else options.signal?.addEventListener('abort', cancel, { once: true });
  try {
    for await (const message of call) yield message as Res;
  } catch (error) {
    throw errorOf(error);
  } finally {
    options.signal?.removeEventListener('abort', cancel);
    call.cancel();
  }
}
