import { GridError } from '../../core/errors.ts';
import type { BrokerService } from '../../proto/gen/grid/v1/broker.ts';
import type { RpcClient } from '../../service/rpc/rpc.ts';
import type { AskRoom } from '../../service/staging/send-tree.ts';
import type { Context } from '../context.ts';

/** Chunks in one question. */
const CHUNKS = 10_000;

/**
 * Asks the broker for room before anything is sent, and whether a dataset may have its name: for all bytes of the tree, and where these are too much for what of
 * it is new, which takes reading the files.
 */
export function roomIn(
  { signal }: Pick<Context, 'signal'>,
  broker: Pick<RpcClient<BrokerService>, 'askRoom'>,
  { vo, dataset = '' }: { readonly vo: string; readonly dataset?: string },
): AskRoom {
  return async ({ bytes, chunks }) => {
    try {
      await broker.askRoom({ vo, bytes, chunks: [], dataset }, { signal });
    } catch (error) {
      if (!(error instanceof GridError) || error.code !== 'STORE_QUOTA') throw error;
      const named = [...(await chunks())].map(([digest, size]) => ({
        digest: Buffer.from(digest, 'hex'),
        bytes: size,
      }));
      let fresh = 0;
      for (let at = 0; at < named.length; at += CHUNKS) {
        const request = { vo, bytes: fresh, chunks: named.slice(at, at + CHUNKS), dataset };
        fresh += (await broker.askRoom(request, { signal })).newBytes;
      }
    }
  };
}
