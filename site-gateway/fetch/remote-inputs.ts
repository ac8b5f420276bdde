import { chmod, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseRemote, type RemoteFile } from '../../core/data/remote-file.ts';
import { GridError } from '../../core/errors.ts';
import { type InputFile, remoteInputs } from '../../core/job/spec.ts';
import { formatBytes } from '../../core/units.ts';
import { aborted } from '../../service/background.ts';
import type { Clock } from '../../service/clock.ts';
import { ensureDirectory } from '../../service/directories.ts';
import { land } from '../../service/staging/disk/chunk-writer.ts';
import type { FileCache } from '../../service/staging/file-cache.ts';
import { machineFailure } from '../../service/staging/file-errors.ts';
import { remotePart } from '../../service/staging/sealed.ts';
import { openTarget, type Target } from '../../service/staging/target.ts';
import type { RoomClaim } from '../staging/disk-room.ts';
import type { StagedAttempt } from '../staging/staging.ts';
import { download } from './download.ts';
import type { Web } from './https-get.ts';
import { openServerWaits, type ServerWaits, type WaitLimits } from './server-waits.ts';
import type { SignedUrls } from './signed-urls.ts';

export interface RemoteInputsOptions extends WaitLimits {
  readonly web: Web;
  readonly signed: SignedUrls;
  readonly clock: Clock;
  /** Room on the disk for one file. */
  readonly claimRoom: () => RoomClaim;
  /** So many bytes of files that are not whole have been added to the cache. */
  readonly grew: (bytes: number) => void;
  /** Waits until so many bytes may come. */
  readonly pace: (bytes: number) => Promise<void>;
}

/** Puts what a job wants of elsewhere into its directory, through the cache of the site. */
export interface RemoteInputs extends Disposable {
  /** Gives the bytes that came over the network. `partials` is where downloads that are not whole are kept. */
  place(
    attempt: StagedAttempt,
    into: string,
    cached: { readonly cache: FileCache; readonly partials: string },
    signal: AbortSignal,
  ): Promise<number>;
  /** Which server keeps an attempt waiting, since when and why; '' where none does. */
  waitsFor(attempt: string): string;
  /** Whether that server sends nothing at all. */
  isSilent(attempt: string): boolean;
}

const MODE = 0o644;
const GROWTH_BYTES = 64 * 2 ** 20;
/** What nobody has gone on with for so long is given up. */
const FORGOTTEN_MS = 7 * 86_400_000;

export function openRemoteInputs(options: RemoteInputsOptions): RemoteInputs {
  const waits = openServerWaits(options.clock, options);
  return {
    waitsFor: (attempt) => waits.words(attempt),
    isSilent: (attempt) => waits.isSilent(attempt),
    place: async (attempt, into, { cache, partials }, signal) => {
      const inputs = remoteInputs(attempt.spec);
      if (inputs.length === 0) return 0;
      ensureDirectory(partials, 0o700);
      await removeForgotten(partials, options.clock.nowMs());
      const target = await openTarget(into);
      const room = roomOf(attempt);
      let came = 0;
      for (const { from, to } of inputs) {
        const file = fileOf(from);
        const partial = join(partials, remotePart(file));
        using _need = waits.needs(attempt.id, partial);
        const fill = { attempt, cache, partial, room, waits, signal };
        came += await bringIntoCache(file, fill, options);
        const placing = { cache, target, room, claimRoom: options.claimRoom, signal };
        await placeOne({ from, to }, file, placing);
      }
      return came;
    },
    [Symbol.dispose]: () => options.web[Symbol.dispose](),
  };
}

function fileOf(from: string): RemoteFile {
  const parsed = parseRemote(from);
  if (parsed.ok) return parsed.file;
  throw new GridError('SPEC_INVALID', parsed.message);
}

const keyOf = ({ digest }: RemoteFile) => ({ digest, sizeBytes: undefined, mode: MODE });

interface Filling {
  readonly attempt: StagedAttempt;
  readonly cache: FileCache;
  readonly partial: string;
  readonly room: Room;
  readonly waits: ServerWaits;
  readonly signal: AbortSignal;
}

/** Whoever comes first fetches it, the others wait for that one, and try themselves where it failed. */
async function bringIntoCache(
  file: RemoteFile,
  filling: Filling,
  options: RemoteInputsOptions,
): Promise<number> {
  const { cache, signal } = filling;
  for (;;) {
    signal.throwIfAborted();
    const answer = await cache.ask(keyOf(file));
    if (answer.kind === 'ready') return 0;
    if (answer.kind === 'filling') {
      await Promise.race([answer.ended, aborted(signal)]);
      continue;
    }
    try {
      const { partial } = filling;
      const bytes = await downloadOne(file, filling, options);
      await chmod(partial, answer.mode);
      const { size } = await stat(partial);
      land({ partial, landing: answer.landing });
      answer.landed(size);
      return bytes;
    } catch (error) {
      await answer.abandon();
      throw machineFailure(error);
    }
  }
}

async function downloadOne(
  file: RemoteFile,
  { attempt, partial, room, waits, signal }: Filling,
  { web, signed, patienceMs, pace, claimRoom, grew }: RemoteInputsOptions,
): Promise<number> {
  const isSigned = file.kind === 's3';
  const url = (): Promise<URL> =>
    isSigned ? signed.get(attempt.jobId, file.url, signal) : Promise.resolve(new URL(file.url));
  const { checkSize } = room;
  using wait = waits.begin(partial);
  using claim = claimRoom();
  const makeRoom = (bytes: number): Promise<void> => makeRoomIn(claim, bytes);
  const tellGrowth = inSteps(grew);
  const arrived = (bytes: number): void => {
    claim.came(bytes);
    tellGrowth(bytes);
  };
  try {
    return await download(
      { url, digest: file.digest, partial, checkSize, makeRoom, pace, arrived },
      { web, patienceMs, wait, signal },
    );
  } catch (error) {
    // What will not fit must not take the room of others until it is forgotten.
    if (error instanceof GridError && error.code === 'DISK_FULL')
      await rm(partial, { force: true });
    // Without credentials there are none to renew.
    if (!isSigned && error instanceof GridError && error.code === 'FETCH_DENIED')
      throw new GridError('FETCH_FAILED', error.message, { cause: error });
    throw error;
  }
}

/** How much a job may bring from elsewhere. */
interface Room {
  /** Throws FETCH_TOO_LARGE where a file of so many bytes is more than the job asks for. */
  readonly checkSize: (bytes: number) => void;
  readonly take: (bytes: number) => void;
}

function roomOf({ spec }: StagedAttempt): Room {
  const most = spec.resources.diskBytes;
  let taken = 0;
  const checkSize = (bytes: number): void => {
    const sum = taken + bytes;
    if (most > 0 && sum > most)
      throw new GridError(
        'FETCH_TOO_LARGE',
        `inputs from elsewhere take ${formatBytes(sum)} or more, and the job asks for ${formatBytes(most)} of disk`,
      );
  };
  return {
    checkSize,
    take: (bytes) => {
      checkSize(bytes);
      taken += bytes;
    },
  };
}

/** Throws DISK_FULL where there is no room for so many bytes, and none can be made. */
async function makeRoomIn(claim: RoomClaim, bytes: number): Promise<void> {
  const room = await claim.want(bytes);
  if (bytes <= room) return;
  throw new GridError(
    'DISK_FULL',
    `${formatBytes(bytes)} of an input from elsewhere do not fit: there is room for ${formatBytes(room)}`,
  );
}

/** Tells of bytes when they have come to so many that a look at the cache is worth while. */
function inSteps(tell: (bytes: number) => void): (bytes: number) => void {
  let untold = 0;
  return (bytes) => {
    untold += bytes;
    if (untold < GROWTH_BYTES) return;
    tell(untold);
    untold = 0;
  };
}

interface Placing extends Pick<RemoteInputsOptions, 'claimRoom'> {
  readonly cache: FileCache;
  readonly target: Target;
  readonly room: Room;
  readonly signal: AbortSignal;
}

async function placeOne(
  { to }: InputFile,
  file: RemoteFile,
  { cache, target, room, claimRoom, signal }: Placing,
): Promise<void> {
  const partial = target.partialOf(to);
  const key = keyOf(file);
  await target.makeFolder(dirname(to));
  using claim = claimRoom();
  if (cache.copies) await makeRoomIn(claim, (await cache.sizeOf(key)) ?? 0);
  if (!(await cache.place(key, partial, signal)))
    throw new GridError('FETCH_FAILED', `the cache has just lost '${file.url}'`);
  room.take((await stat(partial)).size);
  await target.accept(partial, to);
}

async function removeForgotten(partials: string, nowMs: number): Promise<void> {
  for (const name of await readdir(partials)) {
    const path = join(partials, name);
    const stats = await stat(path).catch(() => undefined);
    if (stats !== undefined && nowMs - stats.mtimeMs > FORGOTTEN_MS)
      await rm(path, { force: true });
  }
}
