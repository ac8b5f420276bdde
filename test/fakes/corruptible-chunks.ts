import { vi } from 'vitest';
import { encipher } from '../../service/staging/chunk-cipher.ts';
import { chunkSubject } from '../../service/staging/names.ts';
import type { ChunkStoreUnderTest } from '../contract/chunk-store.contract.ts';
import type { TestClients } from './nats.ts';

/** How long servers that choose a leader may take on a busy machine. */
const LED = { timeout: 60_000, interval: 100 };

/** The chunks of a VO, and a member who puts wrong bytes there: again, as a store does, while the servers have no leader. */
export function openCorruptible(clients: TestClients, vo: string): ChunkStoreUnderTest {
  const store = clients.open(vo);
  return {
    store,
    corrupt: async (digest, bytes) => {
      const wrong = encipher(digest, bytes);
      // On a connection of its own each time: one that was lost does not come back.
      const put = async (): Promise<void> => {
        const member = await clients.member(vo);
        try {
          await member.request(chunkSubject(vo, digest), wrong, { timeout: 20_000 });
        } finally {
          await member.close();
        }
      };
      await vi.waitFor(put, LED);
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
