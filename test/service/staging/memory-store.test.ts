import { chunkStoreContract } from '../../contract/chunk-store.contract.ts';
import { memoryStore } from '../../fakes/memory-store.ts';

chunkStoreContract('the memory store', () => {
  const store = memoryStore();
  return {
    store,
    corrupt: (digest, bytes) => {
      store.chunks.set(digest, bytes);
      return Promise.resolve();
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
});
