/**
 * A file that a gateway fetches from elsewhere, as it stands in a job: `https://host/path#sha256=HEX`, or
 * `s3://bucket/key?endpoint=https://host&region=NAME#sha256=HEX`. The digest is part of the address, so a job means one content for
 * ever, whoever serves it.
 */
export interface RemoteFile {
  readonly kind: 'https' | 's3';
  /** Where it is fetched, without what would sign the request. */
  readonly url: string;
  /** SHA-256 of the content, lower-case hex. */
  readonly digest: string;
  /** Its own name, for a task that gives it no other; '' where the address has none. */
  readonly name: string;
  /** For `s3`: what requests are signed for. */
  readonly region: string;
}

/** What a text came to as a remote file. */
export type ParsedRemote =
  | { readonly ok: true; readonly file: RemoteFile }
  | { readonly ok: false; readonly message: string };

/** What may stand beside `from` in place of a longer address. */
export interface RemoteParts {
  readonly sha256?: string;
  readonly endpoint?: string;
  readonly region?: string;
}

const MAX_LENGTH = 2_048;
const DEFAULT_REGION = 'us-east-1';
const SHOWN = 120;

/** Whether an input comes from elsewhere: its address has a scheme. */
export const isRemoteInput = (from: string): boolean => /^[a-z][a-z0-9+.-]*:\/\//i.test(from);

const refused = (text: string, what: string): ParsedRemote => ({
  ok: false,
  message: `'${text.slice(0, SHOWN)}' ${what}`,
});

/** Reads an address; says what is wrong with it and how it would be right. */
export function parseRemote(text: string): ParsedRemote {
  if (text.length > MAX_LENGTH)
    return refused(text, `has ${text.length} characters, at most ${MAX_LENGTH}`);
  const odd = /[^\u0021-\u007e]/u.exec(text)?.[0];
  if (odd !== undefined)
    return refused(text, `has '${odd}' in it: write ${encodeURIComponent(odd.toWellFormed())}`);
  const [address = '', fragment] = text.split(/#(.*)/s);
  const parsed = address.startsWith('s3://') ? parseS3(address) : parseHttps(address);
  if (typeof parsed === 'string') return refused(text, parsed);
  if (fragment === undefined) return refused(text, `has no digest: ${HOW}`);
  const digest = /^sha256=([0-9a-fA-F]{64})$/.exec(fragment)?.[1];
  if (digest === undefined)
    return refused(text, `ends with '#${fragment.slice(0, 80)}', which is no digest: ${HOW}`);
  return { ok: true, file: { ...parsed, digest: digest.toLowerCase() } };
}

/** A server can change a file at any time; the digest is what makes the job mean one content. */
const HOW = 'add `#sha256=` and 64 hex digits, as `curl -sL URL | sha256sum` prints them';

/** `https://host/path` or `s3://bucket/key` with the parts that were written beside it. */
export function joinRemote(from: string, { sha256, endpoint, region }: RemoteParts): string {
  const query = [
    ...(endpoint === undefined ? [] : [`endpoint=${endpoint}`]),
    ...(region === undefined ? [] : [`region=${region}`]),
  ].join('&');
  const asked = query === '' ? from : `${from}${from.includes('?') ? '&' : '?'}${query}`;
  return sha256 === undefined ? asked : `${asked}#sha256=${sha256}`;
}

type Unnamed = Omit<RemoteFile, 'digest'>;

function parseHttps(address: string): Unnamed | string {
  const scheme = /^([^:]*):/.exec(address)?.[1]?.toLowerCase();
  if (scheme === 'http') return 'is not protected on the way: write https://';
  if (scheme !== 'https') return 'has no scheme that sites fetch: https:// or s3://';
  // Of `https:///path` URL would make the host `path`.
  const url = /^https:\/\/[^/?#\\]/i.test(address) ? urlOf(address) : undefined;
  if (url === undefined) return 'is no address: write https://host/path';
  if (url.username !== '' || url.password !== '')
    return 'has a name or password in it, and addresses are kept in the job: take them out';
  return { kind: 'https', url: url.href, name: lastName(url.pathname), region: '' };
}

const S3 = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/([^?]+)(?:\?(.*))?$/;

function parseS3(address: string): Unnamed | string {
  const [, bucket = '', key = '', query = ''] = S3.exec(address) ?? [];
  if (bucket === '') return 'is no object: write s3://bucket/key';
  const pairs = new URLSearchParams(query);
  const other = [...pairs.keys()].find((name) => name !== 'endpoint' && name !== 'region');
  if (other !== undefined) return `has '${other}' in it: only endpoint and region may stand there`;
  const region = pairs.get('region') ?? DEFAULT_REGION;
  if (!/^[A-Za-z0-9-]{1,64}$/.test(region)) return `has a region '${region}' that is no name`;
  const endpoint = endpointOf(pairs.get('endpoint') ?? `https://s3.${region}.amazonaws.com`);
  if (endpoint === undefined) return 'has an endpoint that is not like https://host:port';
  const path = encodedKey(key);
  if (path === undefined)
    return "has a '%' in its key that begins no percent-encoded character: write %25";
  return objectAt(`${endpoint}/${bucket}/${path}`, region);
}

const objectAt = (url: string, region: string): Unnamed | string =>
  new URL(url).href === url
    ? { kind: 's3', url, name: lastName(url), region }
    : "has a key with '.' or '..' in it, which no URL can name";

/** The key as URLs have it. What cannot stand in an address is percent-encoded there; undefined for a `%` that means nothing. */
function encodedKey(key: string): string | undefined {
  try {
    const parts = key.split('/').map((part) => decodeURIComponent(part));
    return parts.map(encodeURIComponent).join('/');
  } catch {
    return undefined;
  }
}

/** `https://host[:port]`; undefined where there is anything else in it. */
function endpointOf(text: string): string | undefined {
  const url = urlOf(text);
  const bare = url?.protocol === 'https:' && url.href === `${url.origin}/`;
  return bare ? url.origin : undefined;
}

const urlOf = (text: string): URL | undefined => (URL.canParse(text) ? new URL(text) : undefined);

function lastName(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
