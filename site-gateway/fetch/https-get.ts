import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { createSecureContext, getCACertificates } from 'node:tls';
import type { FetchRule } from '../../core/data/fetch-rules.ts';
import { GridError } from '../../core/errors.ts';
import { formatDuration } from '../../core/units.ts';
import { admitUrl, nameOf } from './addresses.ts';

/** The gateway's way to servers elsewhere. */
export interface Web extends Disposable {
  /** Opens `url` from byte `offset` on. Throws FETCH_* for what stays as it is, and any other error for what may pass. */
  get(url: URL, offset: number, signal: AbortSignal): Promise<WebFile>;
}

/** An answer whose bytes are still to come. */
export interface WebFile {
  /** The first byte of `body`: the wanted one, or 0 where the server begins anew. */
  readonly offset: number;
  /** Bytes of the whole file, where the server says so. */
  readonly totalBytes: number | undefined;
  readonly body: IncomingMessage;
}

export interface WebOptions {
  readonly rules: readonly FetchRule[];
  /** Authorities whose servers are trusted beside those that the machine trusts, PEM. */
  readonly moreCa: string | undefined;
  /** A server that says nothing for so long has gone. */
  readonly silenceMs: number;
}

const MAX_REDIRECTS = 5;
/** To a host. Those in use have no bound of their own: a download that waited here for one would seem to wait for the server. */
const IDLE_SOCKETS = 16;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** Too early, too many, or something that the server cannot do now. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

export function openWeb({ rules, moreCa, silenceMs }: WebOptions): Web {
  const ca = [...getCACertificates('default'), ...(moreCa === undefined ? [] : [moreCa])];
  const secureContext = createSecureContext({ ca });
  const agent = new Agent({ keepAlive: true, maxFreeSockets: IDLE_SOCKETS, secureContext });
  const get: Web['get'] = async (url, offset, signal) => {
    let at = url;
    for (let hops = 0; hops <= MAX_REDIRECTS; hops += 1) {
      const answer = await ask(at, { offset, signal, agent, silenceMs, ...admitUrl(rules, at) });
      const status = answer.statusCode ?? 0;
      if (status === 416 && offset > 0) {
        // What is there is longer than the file: it is of something else.
        answer.destroy();
        return get(url, 0, signal);
      }
      if (!REDIRECTS.has(status)) return fileOf(at, offset, answer);
      answer.destroy();
      const { location = '' } = answer.headers;
      if (!URL.canParse(location, at.href))
        throw failed(at, `redirects to '${location.slice(0, 80)}'`);
      at = new URL(location, at);
    }
    throw failed(url, `redirects more than ${MAX_REDIRECTS} times`);
  };
  return { get, [Symbol.dispose]: () => agent.destroy() };
}

interface Asking extends ReturnType<typeof admitUrl> {
  readonly offset: number;
  readonly signal: AbortSignal;
  readonly agent: Agent;
  readonly silenceMs: number;
}

function ask(url: URL, { offset, silenceMs, ...options }: Asking): Promise<IncomingMessage> {
  const headers = {
    'user-agent': 'hanse',
    // A file that is packed on the way could not be resumed.
    'accept-encoding': 'identity',
    ...(offset > 0 ? { range: `bytes=${offset}-` } : {}),
  };
  return new Promise((resolve, reject) => {
    let answer: IncomingMessage | undefined;
    const sent = request(url, { ...options, headers }, (incoming) => {
      answer = incoming;
      resolve(incoming);
    });
    sent.setTimeout(silenceMs, () => {
      (answer ?? sent).destroy(new Error(`no byte came for ${formatDuration(silenceMs)}`));
    });
    sent.on('error', (error) => reject(lasting(url, error) ?? error));
    sent.end();
  });
}

function fileOf(url: URL, wanted: number, answer: IncomingMessage): WebFile {
  const { statusCode: status = 0, headers } = answer;
  if (status === 200)
    return { offset: 0, totalBytes: numberOf(headers['content-length']), body: answer };
  const [, from, total] = RANGE.exec(headers['content-range'] ?? '') ?? [];
  if (status === 206 && numberOf(from) === wanted)
    return { offset: wanted, totalBytes: numberOf(total), body: answer };
  answer.destroy();
  throw refusalOf(url, answer);
}

const RANGE = /^bytes (\d+)-\d+\/(\d+|\*)$/;

const numberOf = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;

function refusalOf(
  url: URL,
  { statusCode: status = 0, statusMessage = '' }: IncomingMessage,
): Error {
  const words = `answers ${status} ${statusMessage}`;
  if (status === 401 || status === 403) return new GridError('FETCH_DENIED', says(url, words));
  return PASSING.has(status) ? new Error(words) : failed(url, words);
}

/** A certificate that is not trusted, a name that nobody has: these do not pass. Undefined for what may. */
function lasting(url: URL, error: Error & { readonly code?: string }): GridError | undefined {
  const { code = '', message } = error;
  if (code === 'ENOTFOUND') return failed(url, `cannot be found: there is no host ${url.hostname}`);
  return /CERT|ERR_TLS|SELF_SIGNED|UNABLE_TO_/.test(code)
    ? failed(url, `shows a certificate that is not trusted: ${message}`)
    : undefined;
}

const says = (url: URL, what: string): string => `'${nameOf(url)}' ${what}`;

export const failed = (url: URL, what: string): GridError =>
  new GridError('FETCH_FAILED', says(url, what));
