import { constants, createWriteStream, lstatSync } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { formatBytes } from '../../core/units.ts';
import { removeTree } from '../attempts/attempt-directory.ts';

/** Most of a stream that is stored; of a longer one the two ends are. */
export const MAX_STREAM_BYTES = 64 * 2 ** 20;
const END_BYTES = MAX_STREAM_BYTES / 2;

export const STREAMS = ['stdout', 'stderr'] as const;

/** Sizes of both streams; 0 for one that is not there. */
export const streamSizes = (directory: string): readonly number[] =>
  STREAMS.map((name) => {
    try {
      return lstatSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0;
    } catch {
      return 0;
    }
  });

/** The size of a stream; undefined where a task of the gateway's own account has taken it away, or put something else there. */
export async function streamSize(directory: string, name: string): Promise<number | undefined> {
  const stats = await lstat(join(directory, name)).catch(() => undefined);
  return stats?.isFile() === true ? stats.size : undefined;
}

/** Puts both streams below `work/.grid/`, cut in the middle where they are too long; gives their paths in `work/`. */
export async function placeStreams(directory: string): Promise<readonly string[]> {
  const folder = join(directory, 'work', '.grid');
  // The name is the grid's: what the task, or an earlier run of the gateway, put there goes. Other tasks of the account may have
  // folders in it open still, and put links in their places meanwhile.
  await removeTree(folder, directory);
  await mkdir(folder);
  return Promise.all(
    STREAMS.map(async (name) => {
      await placeStream(directory, name, join(folder, name));
      return `.grid/${name}`;
    }),
  );
}

const TAKEN_AWAY = '[grid: the task has taken this stream away]\n';
const READ = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;

async function placeStream(directory: string, name: string, to: string): Promise<void> {
  const size = await streamSize(directory, name);
  const from = join(directory, name);
  if (size === undefined) return writeFile(to, TAKEN_AWAY);
  if (size > MAX_STREAM_BYTES) {
    await using stream = await open(from, READ);
    await pipeline(() => headAndTail(stream, size), createWriteStream(to, { flags: 'w' }));
    return;
  }
  await link(from, to);
}

/** No further than to `size`: something of the task may still write. */
async function* headAndTail(stream: FileHandle, size: number): AsyncGenerator<Buffer> {
  const part = (start: number): AsyncIterable<Buffer> =>
    stream.createReadStream({ start, end: start + END_BYTES - 1, autoClose: false });
  yield* part(0);
  const left = formatBytes(size - MAX_STREAM_BYTES);
  yield Buffer.from(`\n[grid: ${left} of ${formatBytes(size)} left out here]\n`);
  yield* part(size - END_BYTES);
}
