/**
 * A model of what lives and what does not, held against the sweeper on a real nats-server: members and a site put, name, run,
 * retry and remove at random while the store is swept and the broker ends and begins again. After each step all that is alive
 * is read back, and in the end nothing is left.
 */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { pause } from '../../service/background.ts';
import type { ChunkStore } from '../../service/staging/chunk-store.ts';
import { startTestNats, testNatsBinary } from '../fakes/nats.ts';
import {
  type Content,
  contentOf,
  HOUR_MS,
  KEEP_MS,
  openRetentionWorld,
  type RetentionWorld,
} from '../fakes/retention-world.ts';

const STEPS = { least: 6, most: 100 };
const MOST_MS = 9_000;
const TEXTS = Array.from({ length: 20 }, (_, at) => `chunk ${at} `.repeat(20));

interface Named {
  readonly content: Content;
  endsAtMs: number;
}

interface Job {
  readonly id: Awaited<ReturnType<RetentionWorld['submit']>>['id'];
  readonly inputs: Content;
  dataset: Content | undefined;
  pinned: string;
  state: 'queued' | 'running' | 'failed' | 'ended';
  outputs: Content[];
  live: Content | undefined;
  endedAtMs: number;
}

type Chance = (below: number) => number;

/** Numbers by chance that are the same for the same seed (Numerical Recipes, 7.1). */
function chanceFrom(seed: number): Chance {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * Math.max(1, below));
  };
}

/** One who does one thing at a time, with datasets and jobs that nobody else touches. */
interface Actor {
  readonly name: string;
  readonly datasets: Map<string, Named>;
  readonly jobs: Job[];
}

const pick = <T>(some: readonly T[], chance: Chance): T | undefined => some[chance(some.length)];

/** Sent by somebody who has thought better of it, and often sent again when it is due to go. */
const abandoned: Content[] = [];

function anyContent(chance: Chance): Content {
  const again = chance(2) === 0 ? pick(abandoned.slice(-6), chance) : undefined;
  if (again !== undefined) return again;
  const from = chance(TEXTS.length);
  return contentOf(TEXTS.slice(from, from + 1 + chance(3)), chance(3) === 0);
}

type Deed = (world: RetentionWorld, actor: Actor, chance: Chance) => Promise<void>;

const standing = (world: RetentionWorld, { datasets }: Actor): readonly string[] =>
  [...datasets].filter(([, { endsAtMs }]) => endsAtMs > world.nowMs()).map(([key]) => key);

const put: Deed = async (world, { name, datasets }, chance) => {
  const dataset = `${name}-${chance(3)}`;
  const content = anyContent(chance);
  const keepMs = pick([0, HOUR_MS, 30 * HOUR_MS], chance) ?? 0;
  const endsAtMs = keepMs === 0 ? Infinity : world.nowMs() + keepMs;
  const key = `${dataset}@v${await world.put(dataset, content, keepMs)}`;
  const before = datasets.get(key)?.endsAtMs ?? 0;
  datasets.set(key, { content, endsAtMs: Math.max(before, endsAtMs) });
};

const remove: Deed = async (world, actor, chance) => {
  const key = pick(standing(world, actor), chance);
  if (key === undefined) return;
  await world.remove(key);
  actor.datasets.delete(key);
};

const keep: Deed = async (world, actor, chance) => {
  const key = pick(standing(world, actor), chance);
  const known = actor.datasets.get(key ?? '');
  if (key === undefined || known === undefined) return;
  known.endsAtMs = world.nowMs() + 2 * HOUR_MS;
  await world.keep(key, 2 * HOUR_MS);
};

const submit: Deed = async (world, actor, chance) => {
  const inputs = anyContent(chance);
  const wanted = chance(2) === 0 ? undefined : pick(standing(world, actor), chance);
  const { id, pinned } = await world.submit(inputs, wanted ?? '');
  const dataset = actor.datasets.get(pinned)?.content;
  const state = 'queued';
  const rest = { outputs: [], live: undefined, endedAtMs: Infinity };
  actor.jobs.push({ id, inputs, dataset, pinned, state, ...rest });
};

const jobIn = ({ jobs }: Actor, states: readonly Job['state'][], chance: Chance) =>
  pick(
    jobs.filter(({ state }) => states.includes(state)),
    chance,
  );

const live: Deed = async (world, actor, chance) => {
  const job = jobIn(actor, ['queued', 'running'], chance);
  if (job === undefined) return;
  const content = anyContent(chance);
  await world.live(job.id, content);
  Object.assign(job, { state: 'running', live: content });
};

const end: Deed = async (world, actor, chance) => {
  const job = jobIn(actor, ['queued', 'running'], chance);
  if (job === undefined) return;
  const content = anyContent(chance);
  const state = chance(2) === 0 ? 'done' : 'failed';
  await world.end(job.id, state, content);
  job.outputs.push(content);
  job.live = undefined;
  job.state = state === 'done' ? 'ended' : 'failed';
  job.endedAtMs = world.nowMs();
};

const retry: Deed = async (world, actor, chance) => {
  const job = jobIn(actor, ['failed'], chance);
  if (job === undefined) return;
  const isGone = job.pinned !== '' && !standing(world, actor).includes(job.pinned);
  // Without its dataset it is refused, or the site will find nothing.
  if (isGone) return;
  await world.retry(job.id);
  Object.assign(job, { state: 'queued', endedAtMs: Infinity });
};

const cancel: Deed = async (world, actor, chance) => {
  const job = jobIn(actor, ['queued'], chance);
  if (job === undefined) return;
  await world.cancel(job.id);
  Object.assign(job, { state: 'failed', endedAtMs: world.nowMs() });
};

const removeResults: Deed = async (world, actor, chance) => {
  const job = jobIn(actor, ['ended', 'failed'], chance);
  if (job === undefined) return;
  await world.removeResults(job.id);
  Object.assign(job, { outputs: [], live: undefined });
};

const abandon: Deed = async (world, _actor, chance) => {
  const texts = [`abandoned ${abandoned.length} `.repeat(20), pick(TEXTS, chance) ?? ''];
  const content = contentOf(texts, chance(3) === 0);
  await world.abandon(content);
  abandoned.push(content);
};

const DEEDS = [
  ...[put, put, put, abandon, abandon, abandon, remove, remove, keep],
  ...[submit, submit, live, live, end, end, retry, cancel, removeResults],
];

const isOpen = ({ state }: Job): boolean => state === 'queued' || state === 'running';

/** What must be there. */
function alive(world: RetentionWorld, actors: readonly Actor[]): ReadonlySet<string> {
  const contents = actors.flatMap((actor) => [
    ...standing(world, actor).map((key) => actor.datasets.get(key)?.content),
    ...actor.jobs.flatMap((job) => [
      job.inputs,
      isOpen(job) ? job.dataset : undefined,
      ...job.outputs,
      job.live,
    ]),
  ]);
  return new Set(contents.flatMap((content) => [...(content?.chunks.keys() ?? [])]));
}

/** Jobs may leave the ledger when they are old. */
async function forgetOld(world: RetentionWorld, actors: readonly Actor[]): Promise<void> {
  const known = await world.jobs();
  for (const { jobs } of actors)
    for (const job of jobs.splice(0)) {
      const isOld = world.nowMs() - job.endedAtMs >= KEEP_MS;
      if (!isOld) expect(known.has(job.id)).toBe(true);
      if (known.has(job.id)) jobs.push(job);
    }
}

async function step(world: RetentionWorld, actors: readonly Actor[], chance: Chance) {
  world.passedMs += pick([0, 60_000, HOUR_MS, 4 * HOUR_MS, 20 * HOUR_MS], chance) ?? 0;
  world.aheadMs += chance(40) === 0 ? 50 * HOUR_MS : 0;
  const deeds = actors.map((actor) => pick(DEEDS, chance)?.(world, actor, chance));
  const others = chance(2) === 0 ? [world.history()] : [];
  const sweeping = async (): Promise<void> => {
    for (let left = chance(5); left > 0; left -= 1) {
      await pause(chance(5));
      await world.sweep();
    }
  };
  await Promise.all([...deeds, ...others, sweeping()]);
  if (chance(12) > 0) return;
  // In the middle of a sweep.
  const sweep = world.sweep().catch(() => undefined);
  await pause(chance(6));
  await world.restart();
  await sweep;
}

/** Chunks that cannot be read, and why. */
async function unreadable(store: ChunkStore, digests: Iterable<string>): Promise<string[]> {
  const reading = [...digests].map((digest) =>
    store.get(digest).then(
      () => [],
      (error: unknown) => [`${digest}: ${String(error)}`],
    ),
  );
  return (await Promise.all(reading)).flat();
}

async function run(world: RetentionWorld, store: ChunkStore, chance: Chance): Promise<void> {
  const actors = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => ({
    name,
    datasets: new Map(),
    jobs: [],
  }));
  const untilMs = performance.now() + MOST_MS;
  let steps = 0;
  const goesOn = (): boolean =>
    steps < STEPS.least || (steps < STEPS.most && performance.now() < untilMs);
  for (; goesOn(); steps += 1) {
    await step(world, actors, chance);
    await forgetOld(world, actors);
    const lost = await unreadable(store, alive(world, actors));
    expect(lost, `after step ${steps}`).toEqual([]);
  }
  for (const actor of actors) {
    for (const key of standing(world, actor)) await world.remove(key);
    for (const { id, inputs } of actor.jobs.filter(isOpen)) await world.end(id, 'done', inputs);
  }
}

test('what is alive is there at every moment, and what is dead goes', async () => {
  const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000);
  const chance = chanceFrom(seed);
  await using nats = await startTestNats({ binary: await testNatsBinary(), vos: ['demo'] });
  const dawdle = (): Promise<unknown> => (chance(3) === 0 ? world.sweep() : pause(chance(10)));
  await using world = await openRetentionWorld(nats, join(nats.dir, 'ledger.db'), dawdle);
  await using reader = nats.open('demo');
  console.info(`TEST_SEED=${seed}`);
  await run(world, reader, chance);
  // What the clock was ahead has passed then.
  await world.restart();
  for (let pass = 0; pass < 4; pass += 1) {
    world.passedMs += KEEP_MS + HOUR_MS;
    await world.history();
    await world.sweep();
  }
  expect(await world.left()).toEqual({ trees: 0, chunks: 0 });
});
