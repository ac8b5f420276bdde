import { createUser } from '@nats-io/nkeys';
import { type Clock, systemClock } from '../clock.ts';
import type { ChunkStore } from './chunk-store.ts';
import { type AskTicket, type Nkey, openNatsLink } from './nats-link.ts';
import { natsChunkStore, probeOf } from './nats-store.ts';

interface StagingOptions {
  /** The user for whose public key `ticket` gets tickets. */
  readonly nkey: Nkey;
  /** Asked at the first use, before a ticket ends, and for another one than was refused. */
  readonly ticket: AskTicket;
  /** Authorities that certify the nats-server. */
  readonly caPem: string;
  readonly vo: string;
  readonly clock?: Clock;
  /** How long one chunk waits for a nats-server that is away; 60 s by default. */
  readonly patienceMs?: number;
  /** Told what each try came to: '' for an answer, else why there was none and it is tried again. */
  readonly heard?: (trouble: string) => void;
}

/** A new user key pair: show `publicKey` to the broker, keep `seed`. */
export function newNkey(): Nkey {
  const pair = createUser();
  return { publicKey: pair.getPublicKey(), seed: pair.getSeed() };
}

/** The chunks of one VO. Connects at the first use, comes back after every loss, and renews its ticket in time. */
export function openStaging(options: StagingOptions): ChunkStore & AsyncDisposable {
  const { nkey, ticket, caPem, vo, clock = systemClock, patienceMs = 60_000 } = options;
  const heard = options.heard ?? (() => undefined);
  const probe = probeOf(vo);
  const link = openNatsLink({ nkey, ticket, caPem, clock, patienceMs, heard, probe });
  return {
    ...natsChunkStore(link, vo),
    [Symbol.asyncDispose]: () => link[Symbol.asyncDispose](),
  };
}
