import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Measurement } from '../figure.ts';
import { quantile, rounded } from '../statistics.ts';
import { cpuSeconds, timedCopy } from './compare.ts';
import { gridFtp, openGridFtp } from './gridftp.ts';
import { rawNats, rsync } from './peers.ts';
import { assertSame, MIB, openWorld, type World, writeFiles } from './world.ts';

/**
 * Small files go to memory where there is a directory in it. ext4 takes up to 0.6 ms to make a file when many were removed
 * lately, as benches do; that is the same for whoever copies, and hides all that differs.
 */
const SMALL_DIR = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
/** Each has new files, and all ways one after the other. */
const ROUNDS = 3;

/** What bounds a transfer of small files, measured in the same run. */
type Floor = (world: World, bytes: number) => Promise<Readonly<Record<string, number>>>;

/** How long one such file takes in and out: nearly all of it is TLS and the login at nats-server. */
const oneFile: Floor = async (world, bytes) => {
  const root = join(world.dir, 'one');
  await writeFiles(root, 1, bytes);
  const sent = await world.send(root);
  const fetched = await world.fetch(sent.tree, join(world.dir, 'one-out'));
  return { 'one file in ms': rounded(sent.ms), 'one file out ms': rounded(fetched.ms) };
};

/** What the same bytes take through nats-server from memory to memory, no file opened and nothing verified or stored. */
const sameBytes: Floor = async (world, bytes) => ({
  'raw NATS MiB/s': rounded(bytes / MIB / (await rawNats(world, bytes))),
});

interface SmallTree {
  readonly count: number;
  /** Of each file. */
  readonly bytes: number;
  /** How many times as fast as GridFTP it is to be. */
  readonly aim: number;
  readonly floor: (world: World) => ReturnType<Floor>;
}

/** One round: files/s of each way, and what is only told. */
async function measureWays({ count, bytes, floor }: SmallTree) {
  await using world = await openWorld(SMALL_DIR);
  const root = join(world.dir, 'small');
  await writeFiles(root, count, bytes);
  const sent = await world.send(root);
  const fetched = await world.fetch(sent.tree, join(world.dir, 'out'));
  await assertSame('stage-small', root, join(world.dir, 'out'));
  return {
    rates: {
      in: (1_000 * count) / sent.ms,
      out: (1_000 * count) / fetched.ms,
      GridFTP: count / (await timedCopy(world, root, gridFtp)),
      'GridFTP, no TLS': count / (await timedCopy(world, root, openGridFtp)),
      'rsync, no TLS': count / (await timedCopy(world, root, rsync)),
    },
    told: { below: world.dir, ...cpuSeconds(sent, fetched), ...(await floor(world)) },
  };
}

/** The slower of in and out, by the medians of all rounds. */
const stageSmall = (small: SmallTree) => async (): Promise<Measurement> => {
  const rounds: Awaited<ReturnType<typeof measureWays>>[] = [];
  for (let n = 0; n < ROUNDS; n += 1) rounds.push(await measureWays(small));
  const medianOf = (way: keyof (typeof rounds)[number]['rates']): number =>
    rounded(
      quantile(
        rounds.map(({ rates }) => rates[way]),
        0.5,
      ),
    );
  const { count, bytes, aim } = small;
  const [into, out, ftp, open] = [
    medianOf('in'),
    medianOf('out'),
    medianOf('GridFTP'),
    medianOf('GridFTP, no TLS'),
  ];
  const least = Math.min(into, out);
  const aimed = aim * ftp;
  return {
    value: least,
    unit: 'files/s',
    context: {
      files: count,
      bytes,
      rounds: ROUNDS,
      in: into,
      out,
      GridFTP: ftp,
      'GridFTP, no TLS': open,
      'rsync, no TLS': medianOf('rsync, no TLS'),
      'over GridFTP': rounded(least / ftp),
      'over GridFTP, no TLS': rounded(least / open),
      'aim MiB/s': rounded((aimed * bytes) / MIB),
      'aim ms': rounded((count / aimed) * 1_000),
      'in ms': rounded((1_000 * count) / into),
      'out ms': rounded((1_000 * count) / out),
      ...rounds.at(-1)?.told,
    },
  };
};

export const stageSmall1k = stageSmall({
  count: 1_000,
  bytes: 1_024,
  aim: 5,
  floor: (world) => oneFile(world, 1_024),
});

export const stageSmall64k = stageSmall({
  count: 10_000,
  bytes: 65_536,
  aim: 2,
  floor: (world) => sameBytes(world, 10_000 * 65_536),
});
