import type { NatsConnection } from '@nats-io/transport-node';
import { GridError } from '../../core/errors.ts';
import { chunkSubject, chunkSubjects, digestAt, STREAM, secondSubject } from './names.ts';
import type { NatsLink } from './nats-link.ts';

/** What only the broker may do with the chunks of a VO. */
export interface ChunkKeeper {
  /** Digests of all chunks that are stored. */
  list(): Promise<readonly string[]>;
  /** Takes chunks out; one that is not there is no error. */
  remove(digests: readonly string[]): Promise<void>;
}

const AT_ONCE = 64;
const TIMEOUT_MS = 20_000;

/** Asks the stream itself; the connection needs the rights of `keeperSubjects`. */
export function natsChunkKeeper(link: NatsLink, vo: string): ChunkKeeper {
  return {
    list: async () => {
      const digests = new Set<string>();
      for (let offset = 0; ; ) {
        const page = await link.use((nc) => subjectsFrom(nc, vo, offset));
        const names = Object.keys(page.state?.subjects ?? {});
        for (const digest of names.map((name) => digestAt(vo, name)).filter(isOne))
          digests.add(digest);
        offset += names.length;
        if (names.length === 0 || offset >= (page.total ?? 0)) return [...digests];
      }
    },
    remove: async (digests) => {
      const ones = digests.filter(isOne);
      for (let at = 0; at < ones.length; at += AT_ONCE) {
        const some = ones.slice(at, at + AT_ONCE);
        await Promise.all(some.map((digest) => link.use((nc) => purge(nc, vo, digest))));
      }
    },
  };
}

/**
 * A member may store something under any name: under `*` or `>`, and whoever takes that out takes out everything, or under one
 * that makes another's second place of its own. What has not the name of a chunk stays.
 */
const isOne = (name: string): boolean => /^[0-9a-f]{64}$/.test(name);

/** What a keeper publishes to, beside what a reader does. */
export const keeperSubjects = (): readonly string[] =>
  ['INFO', 'PURGE'].map((verb) => `$JS.API.STREAM.${verb}.${STREAM}`);

interface Answer {
  readonly error?: { readonly description?: string };
  readonly total?: number;
  readonly state?: { readonly subjects?: Readonly<Record<string, number>> };
}

const subjectsFrom = (nc: NatsConnection, vo: string, offset: number): Promise<Answer> =>
  ask(nc, 'INFO', { subjects_filter: chunkSubjects(vo), offset });

async function purge(nc: NatsConnection, vo: string, digest: string): Promise<void> {
  const first = chunkSubject(vo, digest);
  await Promise.all([first, secondSubject(first)].map((filter) => ask(nc, 'PURGE', { filter })));
}

async function ask(nc: NatsConnection, verb: string, request: object): Promise<Answer> {
  const subject = `$JS.API.STREAM.${verb}.${STREAM}`;
  const message = await nc.request(subject, JSON.stringify(request), { timeout: TIMEOUT_MS });
  const answer = message.json<Answer>();
  if (answer.error === undefined) return answer;
  throw new GridError(
    'STAGING_UNAVAILABLE',
    `the store refuses ${verb}: ${answer.error.description ?? 'no reason'}`,
  );
}
