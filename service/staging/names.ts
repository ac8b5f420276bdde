/** What the broker, the gateways and the CLI agree on about chunks in NATS. */

/** The stream of a VO's account. */
export const STREAM = 'STAGE';

/** Subjects of all chunks of a VO. */
export const chunkSubjects = (vo: string): string => `stage.${vo}.chunk.*`;

/** Subject of one chunk; `digest` is lower-case hex. */
export const chunkSubject = (vo: string, digest: string): string => `stage.${vo}.chunk.${digest}`;

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
