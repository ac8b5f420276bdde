import { cp, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Figure, Measurement } from '../figure.ts';
import { percent, rounded } from '../statistics.ts';
import { stageAgain } from './again.ts';
import { cpuSeconds, timedCopy } from './compare.ts';
import { openGridFtp } from './gridftp.ts';
import { objectStore, rawNats, rsync } from './peers.ts';
import { stageShared } from './shared.ts';
import { stageSmall1k, stageSmall64k } from './small.ts';
import { assertSame, MIB, openWorld, writeFiles, writeRandom } from './world.ts';

const LARGE = 1_024 * MIB;

/** A GiB in and out, beside raw NATS, its object store, GridFTP and rsync with the same file. */
async function stageLarge(): Promise<Measurement> {
  await using world = await openWorld();
  const root = join(world.dir, 'large');
  await mkdir(root);
  await writeRandom(join(root, 'file'), LARGE);
  const sent = await world.send(root);
  const fetched = await world.fetch(sent.tree, join(world.dir, 'out'));
  await assertSame('stage-large', root, join(world.dir, 'out'));
  await rm(join(world.dir, 'out'), { recursive: true });
  const rate = (seconds: number): number => rounded(LARGE / MIB / seconds);
  const [into, out] = [rate(sent.ms / 1_000), rate(fetched.ms / 1_000)];
  const raw = rate(await rawNats(world, LARGE));
  const store = await objectStore(world, join(root, 'file'));
  const ftp = await timedCopy(world, root, openGridFtp);
  const synced = await timedCopy(world, root, rsync);
  const least = Math.min(into, out);
  return {
    value: least,
    unit: 'MB/s',
    context: {
      in: into,
      out,
      'raw NATS': raw,
      'object store put': rate(store.put),
      'object store get': rate(store.get),
      'GridFTP, no TLS': rate(ftp),
      'rsync, no TLS': rate(synced),
      ...cpuSeconds(sent, fetched),
      'over raw NATS': rounded(least / raw),
      'over the object store': rounded(least / Math.max(rate(store.put), rate(store.get))),
    },
  };
}

/** One file in a hundred of a tree has changed. */
async function stageDelta(): Promise<Measurement> {
  await using world = await openWorld();
  const root = join(world.dir, 'tree');
  await writeFiles(root, 2_000, 256 * 1_024);
  const first = await world.send(root);
  const changed = join(world.dir, 'changed');
  await cp(root, changed, { recursive: true });
  for (const folder of await readdir(changed)) {
    const [name = ''] = await readdir(join(changed, folder));
    await writeRandom(join(changed, folder, name), 256 * 1_024);
  }
  const second = await world.send(changed);
  await world.fetch(second.tree, join(world.dir, 'out'));
  await assertSame('stage-delta', changed, join(world.dir, 'out'));
  return {
    value: percent(second.moved, first.moved),
    unit: '% bytes',
    context: { files: 2_000, changed: (await readdir(changed)).length },
  };
}

const HUGE = 10 * LARGE;

/** Ten GiB in and out: the memory that both processes needed at most. */
async function stageMemory(): Promise<Measurement> {
  await using world = await openWorld();
  const root = join(world.dir, 'huge');
  await mkdir(root);
  await writeRandom(join(root, 'file'), HUGE);
  const sent = await world.send(root);
  const fetched = await world.fetch(sent.tree, join(world.dir, 'out'));
  await assertSame('stage-memory', root, join(world.dir, 'out'));
  const [sending, fetching] = [sent, fetched].map(({ maxRssBytes }) => rounded(maxRssBytes / MIB));
  return {
    value: Math.max(sending ?? 0, fetching ?? 0),
    unit: 'MiB',
    context: { GiB: HUGE / LARGE, sending: sending ?? 0, fetching: fetching ?? 0 },
  };
}

/** A transfer that is killed at 30, 60 and 90 % and begun again each time: what went twice over the network. */
async function stageResume(): Promise<Measurement> {
  await using world = await openWorld();
  const root = join(world.dir, 'file');
  await mkdir(root);
  await writeRandom(join(root, 'file'), 2 * LARGE);
  let put = 0;
  for (const share of [0.3, 0.6, 0.9]) {
    let last = 0;
    await world
      .send(root, (done, child) => {
        last = done.put;
        if (done.doneBytes > share * 2 * LARGE) child.kill('SIGKILL');
      })
      .catch(() => undefined);
    put += last;
  }
  const sent = await world.send(root);
  put += sent.put;
  await world.fetch(sent.tree, join(world.dir, 'out'));
  await assertSame('stage-resume', root, join(world.dir, 'out'));
  return {
    value: percent(put - 2 * LARGE, 2 * LARGE),
    unit: '% twice',
    context: { MiB: (2 * LARGE) / MIB, kills: 3 },
  };
}

/** Moving data, in the order of docs/benchmarks.md. */
export const STAGING_FIGURES: readonly Figure[] = [
  {
    name: 'stage-large',
    what: '1 GiB laptop to store and store to site, TLS, verified; the slower way',
    aim: 'over 0.8x raw core NATS, over 4x its object store',
    measure: stageLarge,
  },
  {
    name: 'stage-small-1k',
    what: '1,000 files of 1 KiB; the slower way',
    aim: 'over 5x GridFTP with its best flags, encrypted as ours is',
    measure: stageSmall1k,
  },
  {
    name: 'stage-small-64k',
    what: '10,000 files of 64 KiB; the slower way',
    aim: 'over 2x GridFTP with its best flags, encrypted as ours is',
    measure: stageSmall64k,
  },
  {
    name: 'stage-again',
    what: 'the same 2,000 files once more, to a site that has them warm',
    aim: 'under 0.1 % of the bytes, under 5 % of the time',
    measure: stageAgain,
  },
  {
    name: 'stage-delta',
    what: 'a tree of which 1 % of the files have changed',
    aim: 'under 3 % of the bytes',
    measure: stageDelta,
  },
  {
    name: 'stage-shared',
    what: '100 jobs with one input of 256 MiB at one site: how often it came over the network',
    aim: 'once',
    measure: stageShared,
  },
  {
    name: 'stage-memory',
    what: 'memory of the sender and of the fetcher of 10 GiB',
    aim: 'under 200 MiB each',
    measure: stageMemory,
  },
  {
    name: 'stage-resume',
    what: '2 GiB, killed at 30, 60 and 90 % and begun again: bytes sent twice',
    aim: 'under 1 %',
    measure: stageResume,
  },
];
