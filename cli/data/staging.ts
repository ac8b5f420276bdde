import { join } from 'node:path';
import type { TreeRef } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';
import { vosOf } from '../../core/vo/caller.ts';
import type { BrokerService } from '../../proto/gen/grid/v1/broker.ts';
import type { RpcClient } from '../../service/rpc/rpc.ts';
import { callerFromWire, treeToWire } from '../../service/rpc/wire.ts';
import type { ChunkStore } from '../../service/staging/chunk-store.ts';
import { newNkey, openStaging } from '../../service/staging/connect-staging.ts';
import type { AskRoom } from '../../service/staging/send-tree.ts';
import { keepHeapSmall } from '../../service/staging/small-heap.ts';
import { readAuthorities } from '../../service/trust/read-trust.ts';
import type { Settings } from '../config.ts';
import type { Context } from '../context.ts';
import { roomIn } from './room.ts';

/** The chunks of a VO, and what the broker knows of them. */
export interface UserStaging extends ChunkStore {
  /** Whether the broker is sure that a tree is in the store; then it stays so for ten minutes. */
  readonly isHeld: (tree: TreeRef) => Promise<boolean>;
  /** Throws STORE_QUOTA where the caller may not store so much more. */
  readonly askRoom: AskRoom;
}

/**
 * The user's way to the chunks of a VO, with tickets from the broker; dispose of it. `patienceMs` is how long it waits for a
 * nats-server that is away, a minute by default.
 */
export async function openUserStaging(
  context: Context,
  broker: RpcClient<BrokerService>,
  vo: string,
  patienceMs?: number,
): Promise<UserStaging & AsyncDisposable> {
  keepHeapSmall();
  const nkey = newNkey();
  const { signal } = context;
  const { trust } = await context.settings();
  const store = openStaging({
    heard: tellTrouble((text) => context.terminal.note(text)),
    nkey,
    vo,
    caPem: readAuthorities(trust),
    ticket: () => broker.issueStagingTicket({ vo, nkey: nkey.publicKey }, { signal }),
    ...(patienceMs === undefined ? {} : { patienceMs }),
  });
  return {
    ...store,
    isHeld: (tree) =>
      // Without an answer the store itself is asked for every chunk.
      broker.holdTree({ vo, tree: treeToWire(tree) }, { signal }).then(
        ({ held }) => held,
        () => false,
      ),
    askRoom: roomIn(context, broker, { vo }),
  };
}

/** Trouble that is over by then is not worth a word. */
const WORTH_TELLING_MS = 3_000;

/** Tells once of each trouble that lasts. */
export function tellTrouble(tell: (text: string) => void): (trouble: string) => void {
  let told = '';
  let latest = '';
  let timer: NodeJS.Timeout | undefined;
  return (trouble) => {
    latest = trouble;
    if (trouble === '') {
      clearTimeout(timer);
      timer = undefined;
    } else if (trouble !== told) {
      timer ??= setTimeout(() => {
        timer = undefined;
        // Another trouble came and went, and this one was told of.
        if (latest === told) return;
        told = latest;
        tell(`waiting: ${latest}; what was moved is kept`);
      }, WORTH_TELLING_MS).unref();
    }
  };
}

/** Where the CLI keeps what it knows of files that it has sent. */
export const knownDirOf = ({ home }: Settings): string => join(home, 'known-files');

/** The caller's only VO, for a job that names none; throws USAGE where there is a choice. */
export async function chooseVo(
  context: Context,
  broker: RpcClient<BrokerService>,
): Promise<string> {
  const { caller, vosServed } = await broker.whoAmI({}, { signal: context.signal });
  const mine = vosOf(callerFromWire(caller));
  const usable = mine.filter((vo) => vosServed.length === 0 || vosServed.includes(vo));
  const [only] = usable;
  if (only === undefined) {
    const why =
      mine.length === 0
        ? 'your credential names no VO'
        : `this broker serves ${vosServed.join(', ')}`;
    throw new GridError('VO_DENIED', `no VO to act under: ${why}`);
  }
  if (usable.length > 1)
    throw new GridError('USAGE', `you are in ${usable.join(', ')}: name one with --vo`);
  return only;
}
