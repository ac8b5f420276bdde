import { expect, test } from 'vitest';
import { needOf } from '../../../core/match/need.ts';
import { openStock } from '../../../site-gateway/attempts/stock.ts';
import { resourcesOf } from '../../fakes/offers.ts';

const total = () => ({ diskBytes: 10, licences: { matlab: 2 } });
const matlab = (count: number) => needOf(resourcesOf({ licences: { matlab: count } }));
const disk = (diskBytes: number) => needOf(resourcesOf({ diskBytes }));
const never = new AbortController().signal;

test('what is not there is waited for, first come first', async () => {
  const stock = openStock(total);
  const order: string[] = [];
  const giveBack = await stock.take(matlab(1), never);
  const both = stock.take(matlab(2), never).then((give) => {
    order.push('two');
    return give;
  });
  const small = stock.take(matlab(1), never).then(() => order.push('one'));
  await Promise.resolve();
  expect(order).toEqual([]);
  giveBack();
  (await both)();
  await small;
  expect(order).toEqual(['two', 'one']);
});

test('a need without disk and licences waits for nobody', async () => {
  const stock = openStock(total);
  await stock.take(disk(10), never);
  stock.take(disk(1), never).catch(() => undefined);
  await expect(stock.take(needOf(resourcesOf({ cpus: 99 })), never)).resolves.toBeTypeOf(
    'function',
  );
});

test('who gives up makes way for the next', async () => {
  const stock = openStock(total);
  await stock.take(disk(8), never);
  const abort = new AbortController();
  const large = stock.take(disk(9), abort.signal);
  const small = stock.take(disk(2), never);
  abort.abort();
  await expect(large).rejects.toThrow('it need not wait any more');
  await expect(small).resolves.toBeTypeOf('function');
  await expect(stock.take(disk(1), AbortSignal.abort())).rejects.toThrow('need not wait');
});

test('what runs already is counted, although it is more than there is', async () => {
  const stock = openStock(total);
  const giveBack = stock.force(disk(50));
  const next = stock.take(disk(1), never);
  giveBack();
  await expect(next).resolves.toBeTypeOf('function');
  await expect(openStock(total).take(disk(50), never)).resolves.toBeTypeOf('function');
});

test('what is given back twice counts once', async () => {
  const stock = openStock(total);
  const giveBack = await stock.take(disk(5), never);
  await stock.take(disk(5), never);
  giveBack();
  giveBack();
  await expect(stock.take(disk(6), AbortSignal.timeout(20))).rejects.toThrow('need not wait');
});
