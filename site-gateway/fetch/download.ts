import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, type FileHandle, open } from 'node:fs/promises';
import { GridError } from '../../core/errors.ts';
import { counted } from '../../core/units.ts';
import { pause } from '../../service/background.ts';
import { writeFailure } from '../../service/staging/file-errors.ts';
import { nameOf } from './addresses.ts';
import { failed, type Web, type WebFile } from './https-get.ts';
import type { ServerWait } from './server-waits.ts';

/** A file to fetch. */
export interface Wanted {
  /** Asked before each request: a signed address does not hold for ever. */
  readonly url: () => Promise<URL>;
  /** SHA-256, lower-case hex. */
  readonly digest: string;
  /** Where its bytes are collected; what an earlier try has left there is not fetched again. */
  readonly partial: string;
  /** Throws where a file of so many bytes may not be. */
  readonly checkSize: (bytes: number) => void;
  /** Makes room for so many bytes more than there are now; throws where there is none to be made. */
  readonly makeRoom: (bytes: number) => Promise<void>;
  /** Waits until so many bytes may come. */
  readonly pace: (bytes: number) => Promise<void>;
  /** So many bytes have been written. */
  readonly arrived: (bytes: number) => void;
}

export interface DownloadOptions {
  readonly web: Web;
  /** How long a server may be away, or give nothing new, before the download fails. */
  readonly patienceMs: number;
  /** Told of how long it does. */
  readonly wait: ServerWait;
  readonly signal: AbortSignal;
}

/** Of a file whose size is not known. */
const ROOM_AHEAD_BYTES = 2 ** 20;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 10_000;
const MODE = 0o600;

/**
 * Fetches a file into `partial` with the memory of one piece of it; gives the bytes that came over the network. Begins where an
 * earlier try ended, tries again while the server is away. Throws FETCH_MISMATCH for another content, what `checkSize` throws,
 * FETCH_REFUSED, FETCH_DENIED, FETCH_FAILED, DISK_FULL.
 */
export async function download(wanted: Wanted, options: DownloadOptions): Promise<number> {
  const { wait, signal } = options;
  await using file = await openPartial(wanted.partial);
  let came = 0;
  let furthest = file.size;
  let wasAnother = false;
  for (let waitMs = FIRST_PAUSE_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_PAUSE_MS)) {
    signal.throwIfAborted();
    await file.keep();
    try {
      await fetchRest(wanted, options, file, {
        furthest,
        onBytes: (bytes) => {
          came += bytes;
        },
      });
      if (file.digest() === wanted.digest) return came;
      await refuseContent(wanted, file, wasAnother);
      wasAnother = true;
      furthest = 0;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof GridError) throw error;
      if (file.size > furthest) waitMs = FIRST_PAUSE_MS;
      furthest = Math.max(furthest, file.size);
      const why = wordsOf(error);
      wait.met(why);
      if (wait.lastedMs() >= options.patienceMs)
        throw failed(await wanted.url(), `cannot be fetched: ${why}`);
      await pause(waitMs, signal);
    }
  }
}

/** What was there before may have been of another content, once; what came in one piece was not. */
async function refuseContent(wanted: Wanted, file: Partial, wasAnother: boolean): Promise<void> {
  const [found, { resumed, size }] = [file.digest(), file];
  await file.begin(0);
  if (resumed && !wasAnother) return;
  const url = nameOf(await wanted.url());
  const what = `has ${counted(size, 'byte')} with SHA-256 ${found}, and the job expects ${wanted.digest}`;
  throw new GridError('FETCH_MISMATCH', `'${url}' ${what}`);
}

/** How a piece that came is reckoned. */
interface Arrival {
  /** The most bytes that the file ever had: a server that begins anew each time gets nowhere, however much comes. */
  readonly furthest: number;
  readonly onBytes: (bytes: number) => void;
}

async function fetchRest(
  wanted: Wanted,
  { web, wait, signal }: DownloadOptions,
  file: Partial,
  { furthest, onBytes }: Arrival,
): Promise<void> {
  if (file.size > 0 && file.digest() === wanted.digest) return;
  const url = await wanted.url();
  const waitOn = (): void => wait.on(url.host, Math.max(furthest, file.size));
  waitOn();
  const answer = await web.get(url, file.size, signal);
  try {
    await file.begin(answer.offset);
    if (answer.totalBytes !== undefined) wanted.checkSize(answer.totalBytes);
    let roomTo = answer.totalBytes ?? 0;
    if (roomTo > file.size) await wanted.makeRoom(roomTo - file.size);
    for await (const bytes of piecesOf(answer)) {
      const end = file.size + bytes.byteLength;
      wait.came(bytes.byteLength, end > furthest);
      await wanted.pace(bytes.byteLength);
      wanted.checkSize(end);
      if (end > roomTo) {
        await wanted.makeRoom(ROOM_AHEAD_BYTES);
        roomTo = end + ROOM_AHEAD_BYTES - bytes.byteLength;
      }
      await file.append(bytes);
      wanted.arrived(bytes.byteLength);
      onBytes(bytes.byteLength);
      const slow = file.size === answer.totalBytes ? '' : wait.tooSlow();
      if (slow !== '') throw failed(url, slow);
      waitOn();
    }
  } finally {
    answer.body.destroy();
  }
  if (answer.totalBytes !== undefined && file.size < answer.totalBytes)
    throw new Error(`the connection ended at byte ${file.size} of ${answer.totalBytes}`);
}

const piecesOf = ({ body }: WebFile): AsyncIterable<Buffer> => body;

/** A file that grows, and its digest so far. */
interface Partial extends AsyncDisposable {
  readonly size: number;
  /** Whether some of it was there before the last request. */
  readonly resumed: boolean;
  digest(): string;
  /** Shows whoever makes room that somebody goes on with it, though nothing may come for a while. */
  keep(): Promise<void>;
  /** Bytes from `offset` on follow: behind what is there, or in the place of all of it. */
  begin(offset: number): Promise<void>;
  append(bytes: Uint8Array): Promise<void>;
}

async function openPartial(path: string): Promise<Partial> {
  // What a gateway that was killed had whole, and had sealed for the cache already.
  await chmod(path, MODE).catch(() => undefined);
  const handle = await open(path, 'a', MODE).catch((error: unknown) => {
    throw writeFailure(path, error);
  });
  const had = await hashOf(path, handle);
  let { hash, size } = had;
  let resumed = false;
  return {
    get size() {
      return size;
    },
    get resumed() {
      return resumed;
    },
    digest: () => hash.copy().digest('hex'),
    keep: () => handle.utimes(new Date(), new Date()),
    begin: async (offset) => {
      resumed = offset > 0 && offset === size;
      if (offset === size) return;
      await handle.truncate(0);
      [hash, size] = [createHash('sha256'), 0];
    },
    append: async (bytes) => {
      await handle.appendFile(bytes).catch((error: unknown) => {
        throw writeFailure(path, error);
      });
      hash.update(bytes);
      size += bytes.byteLength;
    },
    [Symbol.asyncDispose]: () => handle.close(),
  };
}

async function hashOf(
  path: string,
  handle: FileHandle,
): Promise<{ readonly hash: Hash; readonly size: number }> {
  const hash = createHash('sha256');
  const { size } = await handle.stat();
  if (size > 0)
    for await (const bytes of createReadStream(path) as AsyncIterable<Buffer>) hash.update(bytes);
  return { hash, size };
}

/** A failed connection to several addresses is an AggregateError without a message of its own. */
function wordsOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(wordsOf).join('; ');
  if (!(error instanceof Error)) return String(error);
  // So Node calls an answer that breaks off.
  return error.message === 'aborted' ? 'the server broke off its answer' : error.message;
}
