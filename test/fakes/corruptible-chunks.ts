import { vi } from 'vitest';
import { encipher } from '../../service/staging/chunk-cipher.ts';
import { chunkSubject } from '../../service/staging/names.ts';
import type { ChunkStoreUnderTest } from '../contract/chunk-store.contract.ts';
import type { TestClients } from './nats.ts';

/** How long servers that choose a leader may take on a busy machine. */
const LED = { timeout: 60_000, interval: 100 };

/** The chunks of a VO, and a member who puts wrong bytes there: again, as a store does, while the servers have no leader. */
export async function openCorruptible(
  clients: TestClients,
  vo: string,
): Promise<ChunkStoreUnderTest> {
  const store = clients.open(vo);
  const member = await clients.member(vo);
  return {
    store,
    corrupt: async (digest, bytes) => {
      const wrong = encipher(digest, bytes);
      const put = () => member.request(chunkSubject(vo, digest), wrong, { timeout: 20_000 });
      await vi.waitFor(put, LED);
    },
    [Symbol.asyncDispose]: async () => {
      await member.close();
      await store[Symbol.asyncDispose]();
    },
  };
}
