import { expect, test } from 'vitest';
import type { Attempt } from '../../../site-gateway/attempts/attempt.ts';
import { openTransferQueue } from '../../../site-gateway/staging/transfer-turns.ts';

const whose = {
  spec: { vo: 'demo' },
  accepted: { job: { owner: { dn: '/CN=Ada', vo: 'demo', fqans: [] } } },
} as unknown as Attempt;
const never = new AbortController().signal;

test('a transfer that waits is given up at once, and those behind it have their turns', async () => {
  const queue = openTransferQueue({ most: 1, 'per-vo': 1 });
  const begun: string[] = [];
  const first = Promise.withResolvers<void>();
  const moving = queue.run(whose, 'foreground', never, () => first.promise);
  const abort = new AbortController();
  const given = queue.run(whose, 'foreground', abort.signal, () => {
    begun.push('given up');
    return Promise.resolve();
  });
  const behind = queue.run(whose, 'foreground', never, () => Promise.resolve(begun.push('behind')));
  abort.abort(new Error('cancelled'));
  await expect(given).rejects.toThrow('cancelled');
  expect(queue.counts()).toEqual([{ vo: 'demo', moving: 1, waiting: 1, background: 0 }]);
  first.resolve();
  await Promise.all([moving, behind]);
  expect(begun).toEqual(['behind']);
  expect(queue.counts()).toEqual([]);
});

test('one that was given up before it came takes no place', async () => {
  const queue = openTransferQueue({ most: 1, 'per-vo': 1 });
  const run = queue.run(whose, 'background', AbortSignal.abort(new Error('over')), () =>
    Promise.resolve(),
  );
  await expect(run).rejects.toThrow('over');
  expect(queue.counts()).toEqual([]);
});

test('one that is moving is told by its own signal alone', async () => {
  const queue = openTransferQueue({ most: 1, 'per-vo': 1 });
  const abort = new AbortController();
  const run = queue.run(whose, 'foreground', abort.signal, () => {
    abort.abort();
    return Promise.resolve('done');
  });
  expect(await run).toBe('done');
});

test('one that a server keeps waiting gives its place to the next, and takes no other', async () => {
  const queue = openTransferQueue({ most: 1, 'per-vo': 1 });
  const silent = { ...whose } as Attempt;
  const hours = Promise.withResolvers<void>();
  const other = Promise.withResolvers<void>();
  const waits = queue.run(silent, 'foreground', never, () => hours.promise);
  const goes = queue.run(whose, 'foreground', never, () => other.promise);
  const last = queue.run(whose, 'foreground', never, () => Promise.resolve('last'));
  queue.look((one) => one === silent);
  await Promise.resolve();
  expect(queue.counts()).toEqual([{ vo: 'demo', moving: 2, waiting: 1, background: 0 }]);
  queue.look(() => false);
  other.resolve();
  await goes;
  expect(queue.counts()).toEqual([{ vo: 'demo', moving: 1, waiting: 1, background: 0 }]);
  hours.resolve();
  await waits;
  expect(await last).toBe('last');
  expect(queue.counts()).toEqual([]);
});
