import { expect, test } from 'vitest';
import { openDoubts } from '../../../broker/data/doubts.ts';
import { openLog } from '../../../service/log.ts';

const log = openLog('test', 'silent');

/** Runs that end when they are told to. */
function open() {
  const runs: { readonly digests: readonly string[]; readonly end: (error?: Error) => void }[] = [];
  const doubts = openDoubts((digests) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    runs.push({ digests, end: (error) => (error === undefined ? resolve() : reject(error)) });
    return promise;
  }, log);
  return { doubts, runs };
}

test('what is reported while a run goes on is read in one run after it, each chunk once', async () => {
  const { doubts, runs } = open();
  doubts(['a']);
  for (let report = 0; report < 500; report += 1) doubts(['b', 'c']);
  expect(runs.map(({ digests }) => digests)).toEqual([['a']]);
  runs[0]?.end();
  await expect.poll(() => runs.map(({ digests }) => digests)).toEqual([['a'], ['b', 'c']]);
  runs[1]?.end();
  doubts([]);
  doubts(['d']);
  await expect.poll(() => runs.at(-1)?.digests).toEqual(['d']);
  expect(runs).toHaveLength(3);
});

test('no more than so many chunks wait, and a run that fails keeps none from the next', async () => {
  const { doubts, runs } = open();
  doubts(['a']);
  doubts(Array.from({ length: 5_000 }, (_, index) => `chunk-${index}`));
  runs[0]?.end();
  await expect.poll(() => runs.length).toBe(2);
  expect(runs[1]?.digests).toHaveLength(1_000);
  runs[1]?.end(new Error('the store is away'));
  await new Promise(setImmediate);
  doubts(['b']);
  await expect.poll(() => runs.at(-1)?.digests).toEqual(['b']);
});
