/** Branded identifiers: two strings side by side get swapped, two brands do not compile. */
declare const tag: unique symbol;
type Id<Tag extends string> = string & { readonly [tag]: Tag };

/** A job known to the broker. */
export type JobId = Id<'JobId'>;
/** One try of a task at one site. */
export type AttemptId = Id<'AttemptId'>;
/** An administrative place that offers resources. */
export type SiteId = Id<'SiteId'>;
/** Distinguished name in OpenSSL's one-line form: `/DC=org/DC=example/CN=Alice`. */
export type Dn = Id<'Dn'>;
/** Name of a virtual organisation. */
export type VoName = Id<'VoName'>;

export const jobId = (text: string): JobId => text as JobId;
export const attemptId = (text: string): AttemptId => text as AttemptId;
export const siteId = (text: string): SiteId => text as SiteId;
export const dn = (text: string): Dn => text as Dn;
export const voName = (text: string): VoName => text as VoName;

/** Site ids are lower-case letters, digits and inner hyphens, at most 40 characters. */
export const isSiteId = (text: string): text is SiteId =>
  /^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/.test(text);

/** VO names are lower-case letters, digits, dots and hyphens, at most 64 characters, beginning with a letter. */
export const isVoName = (text: string): text is VoName => /^[a-z][a-z0-9.-]{0,63}$/.test(text);
