/** What the broker, the gateways and the CLI agree on about chunks in NATS. */

/** The stream of a VO's account. */
export const STREAM = 'STAGE';

/** Subjects of all chunks of a VO. */
export const chunkSubjects = (vo: string): string => `stage.${vo}.chunk.*`;

/** Subject of one chunk; `digest` is lower-case hex. */
export const chunkSubject = (vo: string, digest: string): string => `stage.${vo}.chunk.${digest}`;

/** Direct get of the last (and only) message of a subject. */
export const directGetSubject = (subject: string): string =>
  `$JS.API.DIRECT.GET.${STREAM}.${subject}`;

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
