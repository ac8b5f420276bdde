import type { NatsConnection } from '@nats-io/transport-node';
import { GridError } from '../../core/errors.ts';
import { type ChunkName, isChunkName } from './chunk-cipher.ts';
import { chunkSubjects, nameAt, namedSubject, STREAM, secondSubject } from './names.ts';
import type { NatsLink } from './nats-link.ts';
import { removeStrays, straySubjects } from './stray-messages.ts';

/** What there is in the store. */
interface Stored {
  /** Of all chunks. */
  readonly names: readonly ChunkName[];
  /** How much has a name that no chunk has. */
  readonly strays: number;
}

/** What only the broker may do with the chunks of a VO. */
export interface ChunkKeeper {
  list(): Promise<Stored>;
  /**
   * Takes chunks out; one that is not there is no error. What has no chunk's name is left alone: a member may have stored something
   * under `*` or `>`, and whoever takes that out takes out everything, or where it makes another's second place its own.
   */
  remove(names: readonly ChunkName[]): Promise<void>;
  /** Takes out what has no chunk's name, which nobody asks for and no tree keeps; says how much that was. */
  removeStrays(): Promise<number>;
}

const AT_ONCE = 64;
const TIMEOUT_MS = 20_000;

/** Asks the stream itself; the connection needs the rights of `keeperSubjects`. */
export function natsChunkKeeper(link: NatsLink, vo: string): ChunkKeeper {
  return {
    list: async () => {
      const found = new Set<ChunkName>();
      let chunks = 0;
      for (let offset = 0; ; ) {
        const page = await link.use((nc) => subjectsFrom(nc, vo, offset));
        const subjects = Object.keys(page.state?.subjects ?? {});
        for (const name of subjects.map((subject) => nameAt(vo, subject)).filter(isChunkName)) {
          found.add(name);
          chunks += 1;
        }
        offset += subjects.length;
        if (subjects.length > 0 && offset < (page.total ?? 0)) continue;
        // What is not UTF-8 is not told apart.
        return { names: [...found], strays: (page.state?.num_subjects ?? 0) - chunks };
      }
    },
    remove: async (names) => {
      for (let at = 0; at < names.length; at += AT_ONCE) {
        const some = names.slice(at, at + AT_ONCE).filter(isChunkName);
        await Promise.all(some.map((name) => link.use((nc) => purge(nc, vo, name))));
      }
    },
    removeStrays: () => link.use((nc) => removeStrays(nc, vo)),
  };
}

/** What a keeper publishes to, beside what a reader does. */
export const keeperSubjects = (): readonly string[] => [
  ...['INFO', 'PURGE'].map((verb) => `$JS.API.STREAM.${verb}.${STREAM}`),
  ...straySubjects(),
];

interface Answer {
  readonly error?: { readonly description?: string };
  readonly total?: number;
  readonly state?: {
    readonly num_subjects?: number;
    readonly subjects?: Readonly<Record<string, number>>;
  };
}

const subjectsFrom = (nc: NatsConnection, vo: string, offset: number): Promise<Answer> =>
  ask(nc, 'INFO', { subjects_filter: chunkSubjects(vo), offset });

async function purge(nc: NatsConnection, vo: string, name: ChunkName): Promise<void> {
  const first = namedSubject(vo, name);
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
