import { expect, test } from 'vitest';
import { openSweeper } from '../../../broker/data/sweeper.ts';
import { memoryKeeper, treeOf } from '../../fakes/memory-keeper.ts';
import { openBook } from '../../fakes/open-book.ts';

/** So many jobs of the thread later. */
async function hops(jobs: number): Promise<void> {
  for (let job = 0; job < jobs; job += 1) await Promise.resolve();
}

/**
 * Whether a tree was admitted, and whether its chunk is there when the pass is over, where it is named so many jobs of the
 * thread after a second pass has written that chunks go, twelve before it goes on.
 */
async function nameAfter(jobs: number): Promise<readonly [admitted: boolean, there: boolean]> {
  await using book = await openBook(':memory:');
  const keeper = memoryKeeper();
  const { tree, digest, bytes } = treeOf('what a client has just sent');
  await keeper.store.put(digest, bytes);
  let written = Promise.withResolvers<void>();
  const recorder: typeof book.recorder = {
    ...book.recorder,
    amend: async (work) => {
      await book.recorder.amend(work);
      written.resolve();
      await hops(12);
    },
  };
  await using sweeper = openSweeper({
    book: { ...book, recorder },
    accounts: { openKeeper: () => keeper },
    vos: ['demo'],
    everyMs: 3_600_000,
    graceMs: 0,
  });
  await sweeper.sweep('demo');
  written = Promise.withResolvers();
  const pass = sweeper.sweep('demo');
  await written.promise;
  await hops(jobs);
  const admitted = await sweeper.admit('demo', tree).then(
    () => true,
    () => false,
  );
  await pass;
  return [admitted, keeper.store.chunks.has(digest)];
}

test('a tree that is named at any moment of a pass keeps its chunks, or its sender is told', async () => {
  const seen = new Set<string>();
  for (let jobs = 0; jobs < 24; jobs += 1) {
    const [admitted, there] = await nameAfter(jobs);
    expect([admitted, there], `${jobs}`).toEqual([there, there]);
    seen.add(`${there}`);
  }
  expect([...seen].toSorted()).toEqual(['false', 'true']);
});
