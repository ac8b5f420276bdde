import type { Peer } from '../../core/vo/caller.ts';
import type { Log } from '../log.ts';

/** A method of a ts-proto service definition. */
export interface MethodDefinition<Req, Res> {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (value: Req) => Buffer;
  readonly requestDeserialize: (value: Buffer) => Req;
  readonly responseSerialize: (value: Res) => Buffer;
  readonly responseDeserialize: (value: Buffer) => Res;
}

type RequestOf<M> = M extends { requestDeserialize: (value: Buffer) => infer Req } ? Req : never;
type ResponseOf<M> = M extends { responseDeserialize: (value: Buffer) => infer Res } ? Res : never;

/** What a handler knows of its call besides the request. */
export interface CallContext {
  /** Who asks. Methods that are listed as `anonymous` get undefined where no certificate was presented. */
  readonly peer: Peer | undefined;
  /** Aborts when the caller goes away, the deadline passes, or the server stops. */
  readonly signal: AbortSignal;
  /** Log with the method and the caller's DN as fields. */
  readonly log: Log;
}

/** Handlers of a service: a promise for a unary method, an async iterable for a server stream. */
export type Handlers<D> = {
  readonly [M in keyof D]: D[M] extends { responseStream: true }
    ? (request: RequestOf<D[M]>, context: CallContext) => AsyncIterable<ResponseOf<D[M]>>
    : (request: RequestOf<D[M]>, context: CallContext) => Promise<ResponseOf<D[M]>>;
};

/** Settings of one call. */
export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Unary calls end with DEADLINE_EXCEEDED after this; 30 s by default. Streams have none by default. */
  readonly deadlineMs?: number;
}

/** A typed client of a service; every failure is a GridError. */
export type RpcClient<D> = {
  readonly [M in keyof D]: D[M] extends { responseStream: true }
    ? (request: RequestOf<D[M]>, options?: CallOptions) => AsyncIterable<ResponseOf<D[M]>>
    : (request: RequestOf<D[M]>, options?: CallOptions) => Promise<ResponseOf<D[M]>>;
};
