/** What the broker, the gateways and the CLI agree on about chunks in NATS. */

import { chunkName } from './chunk-cipher.ts';

/** The stream of a VO's account. */
export const STREAM = 'STAGE';

/** Subjects of all chunks of a VO. */
export const chunkSubjects = (vo: string): string => `stage.${vo}.chunk.*`;

/** Where the chunk of a name is. */
export const namedSubject = (vo: string, name: string): string => `stage.${vo}.chunk.${name}`;

/** Where the chunk of a digest is; `digest` is lower-case hex. */
export const chunkSubject = (vo: string, digest: string): string =>
  namedSubject(vo, chunkName(digest));

const AGAIN = '-again';

/**
 * Where a chunk goes of which nats-server has a message that it cannot read any more: the disk has spoiled it. It gives
 * such a message to nobody, takes no other one in its place and does not remove it either.
 */
export const secondSubject = (subject: string): string => `${subject}${AGAIN}`;

/** Name of the chunk at a subject of it, in its first place or in its second. */
export const nameAt = (vo: string, subject: string): string => {
  const name = subject.slice(namedSubject(vo, '').length);
  return name.endsWith(AGAIN) ? name.slice(0, -AGAIN.length) : name;
};

/** The JetStream of the grid, as leaf nodes name it, which have none. */
export const JS_DOMAIN = 'grid';

/** Direct get of the last (and only) message of a subject, asked of a server or of a leaf node. */
export const directGetSubject = (subject: string, at: 'server' | 'leaf' = 'server'): string =>
  `$JS.${at === 'leaf' ? `${JS_DOMAIN}.` : ''}API.DIRECT.GET.${STREAM}.${subject}`;

/** Answers to one user go below this prefix, which no other user may subscribe to. */
export const inboxPrefix = (nkey: string): string => `_INBOX.${nkey}`;

/** A credential of the staging service: `userJwt` opens the chunks of `vo` to the holder of the NKEY in it. */
export interface StagingTicket {
  readonly vo: string;
  readonly userJwt: string;
  /** `tls://host:port`. */
  readonly servers: readonly string[];
  readonly expiresAtMs: number;
}
