import { expect, test } from 'vitest';
import { allRead, heal } from '../../../broker/data/spoiled-chunks.ts';
import { GridError } from '../../../core/errors.ts';
import { sha256 } from '../../../service/staging/chunk-store.ts';
import { memoryStore } from '../../fakes/memory-store.ts';

const AWAY = new GridError('STAGING_UNAVAILABLE', 'the store does not answer');
const [silent = '', spoiled = '', missing = '', sound = ''] = [
  'silent',
  'spoiled',
  'missing',
  'sound',
].map((word) => sha256(Buffer.from(word)));

test('a chunk that could not be looked at is told of, counts as nothing, and keeps none of the others', async () => {
  const chunks = memoryStore();
  await chunks.put(spoiled, Buffer.from('false'));
  await chunks.put(sound, Buffer.from('sound'));
  const get = (digest: string): Promise<Uint8Array> =>
    digest === silent ? Promise.reject(AWAY) : chunks.get(digest);
  const store = {
    keeper: { store: { ...chunks, get } },
    whole: new Set(['tree']),
    healing: Promise.resolve(),
  };
  const taken: string[] = [];
  const takeOut = (digest: string): Promise<void> => {
    taken.push(digest);
    return Promise.resolve();
  };
  const healed = await heal(store, [silent, spoiled, missing, sound, silent], takeOut);
  expect(healed).toEqual({ spoiled: [spoiled], sound: 1, unread: AWAY });
  expect(taken).toEqual([spoiled]);
  expect(store.whole.size).toBe(0);
  expect(() => allRead(healed)).toThrow('the store does not answer');
  expect(await heal(store, [sound, missing], takeOut)).toEqual({ spoiled: [], sound: 1 });
});
