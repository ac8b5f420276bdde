import { expect, test } from 'vitest';
import { openUploads } from '../../../service/staging/uploads.ts';
import { memoryStore } from '../../fakes/memory-store.ts';

test('no more than two dozen chunks are in memory, however slowly they go', async () => {
  const puts: PromiseWithResolvers<number>[] = [];
  const slow = {
    ...memoryStore(),
    put: () => {
      const one = Promise.withResolvers<number>();
      puts.push(one);
      return one.promise;
    },
  };
  const uploads = openUploads(slow, { onDone: () => undefined });
  let reserved = 0;
  const sendAll = async (): Promise<void> => {
    for (let n = 0; n < 60; n += 1) {
      await uploads.reserve();
      reserved += 1;
      uploads.add({ digest: `${n}`, bytes: Buffer.alloc(1) });
    }
  };
  const sending = sendAll().then(() => uploads.finish());
  await expect.poll(() => puts.length).toBe(24);
  expect(reserved).toBe(24);
  puts[0]?.resolve(1);
  await expect.poll(() => puts.length).toBe(25);
  expect(reserved).toBe(25);
  for (let n = 1; n < 60; n += 1) {
    await expect.poll(() => puts.length).toBeGreaterThan(n);
    puts[n]?.resolve(1);
  }
  expect(await sending).toEqual({ sentBytes: 60, savedBytes: 0 });
});
