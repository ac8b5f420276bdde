/**
 * One transfer in a process of its own, as the CLI and a gateway make them: `node transfer-process.ts JSON`. Tells on stdout, a
 * line of JSON each, how far it is, and at the end what it came to. Without JSON it does nothing but load its code.
 */
import { readFileSync } from 'node:fs';
import type { TreeRef } from '../../../core/data/manifest.ts';
import { treeToWire } from '../../../service/rpc/wire.ts';
import type { ChunkStore } from '../../../service/staging/chunk-store.ts';
import { newNkey, openStaging } from '../../../service/staging/connect-staging.ts';
import { fetchTree } from '../../../service/staging/fetch-tree.ts';
import { openFileCache } from '../../../service/staging/file-cache.ts';
import type { StagingTicket } from '../../../service/staging/names.ts';
import { sendTree } from '../../../service/staging/send-tree.ts';
import { keepHeapSmall } from '../../../service/staging/small-heap.ts';
import { readAuthorities } from '../../../service/trust/read-trust.ts';

/** What is to be moved. */
export interface Transfer {
  readonly kind: 'send' | 'fetch';
  /** Directory that is sent, or into which is fetched. */
  readonly root: string;
  readonly tree?: Omit<TreeRef, 'manifest'> & { readonly manifestHex?: string };
  /** Directory of a cache to fetch through. */
  readonly cache?: string;
  /** Fetches once more, into this directory, with the cache as warm as a gateway has it then. */
  readonly again?: string;
  /** Directory for what is known of sent files. */
  readonly knownDir?: string;
  /** Tells how far it is, after each MiB. */
  readonly tells?: boolean;
  readonly access: StoreAccess | GridAccess;
}

/** To a store without a broker. */
interface StoreAccess {
  readonly kind: 'store';
  readonly publicKey: string;
  /** In hex. */
  readonly seed: string;
  readonly ticket: StagingTicket;
  readonly caFile: string;
}

/** To a grid on this machine, as its user. */
interface GridAccess {
  readonly kind: 'grid';
  readonly dir: string;
  readonly vo: string;
}

/** What it came to; `put` counts the bytes that were given to the network, whether they arrived or not. */
export interface Transferred {
  readonly ms: number;
  readonly moved: number;
  readonly put: number;
  readonly maxRssBytes: number;
  /** User and system time of the process, its start included. */
  readonly cpuMs: number;
  readonly tree?: Transfer['tree'];
  readonly again?: { readonly ms: number; readonly moved: number };
}

const [, , json] = process.argv;
if (json === undefined) process.exit();
const wanted = JSON.parse(json) as Transfer;
const { access, root, cache } = wanted;
// As the CLI does.
keepHeapSmall();
await using opened = access.kind === 'grid' ? await openGrid(access) : openStore(access);
const { staging, isHeld } = opened;
let put = 0;
const store: ChunkStore = {
  ...staging,
  put: (digest, bytes, signal) => {
    put += bytes.byteLength;
    return staging.put(digest, bytes, signal);
  },
};
let toldBytes = 0;
const onProgress = ({ doneBytes }: { readonly doneBytes: number }): void => {
  if (wanted.tells !== true || doneBytes - toldBytes < 2 ** 20) return;
  toldBytes = doneBytes;
  process.stdout.write(`${JSON.stringify({ doneBytes, put })}\n`);
};
const timed = async <T>(work: () => Promise<T>): Promise<T & { readonly ms: number }> => {
  const startedMs = performance.now();
  const result = await work();
  return { ...result, ms: performance.now() - startedMs };
};

const send = async (): Promise<Pick<Transferred, 'moved' | 'tree'>> => {
  const known = wanted.knownDir === undefined ? {} : { knownDir: wanted.knownDir };
  const options = { onProgress, ...known, ...(isHeld === undefined ? {} : { isHeld }) };
  const sent = await sendTree(store, { root, paths: ['.'] }, options);
  const { manifest, ...bare } = sent.tree;
  const manifestHex = manifest && Buffer.from(manifest).toString('hex');
  const tree = manifestHex === undefined ? bare : { ...bare, manifestHex };
  return { moved: sent.sentBytes, tree };
};

const fetch = async (): Promise<Pick<Transferred, 'ms' | 'moved' | 'again'>> => {
  const { manifestHex, ...bare } = wanted.tree ?? { digest: '', totalBytes: 0, files: 0 };
  const manifest = manifestHex === undefined ? {} : { manifest: Buffer.from(manifestHex, 'hex') };
  const through = cache === undefined ? {} : { cache: await openFileCache({ dir: cache }) };
  const into = (target: string) =>
    timed(async () => {
      const options = { ...through, onProgress };
      const fetched = await fetchTree(store, { ...bare, ...manifest }, target, options);
      return { moved: fetched.bytesFetched };
    });
  const first = await into(root);
  return wanted.again === undefined ? first : { ...first, again: await into(wanted.again) };
};

const result = wanted.kind === 'send' ? await timed(send) : await fetch();
const used = process.resourceUsage();
const ended: Transferred = {
  put,
  maxRssBytes: used.maxRSS * 1_024,
  cpuMs: (used.userCPUTime + used.systemCPUTime) / 1_000,
  ...result,
};
process.stdout.write(`${JSON.stringify({ ended })}\n`);

type Store = ReturnType<typeof openStaging>;

interface Opened extends AsyncDisposable {
  readonly staging: Store;
  readonly isHeld?: (tree: TreeRef) => Promise<boolean>;
}

function openStore({ publicKey, seed, ticket, caFile }: StoreAccess): Opened {
  const connected = openStaging({
    nkey: { publicKey, seed: Buffer.from(seed, 'hex') },
    ticket: () => Promise.resolve(ticket),
    caPem: readFileSync(caFile, 'utf8'),
    vo: ticket.vo,
  });
  return { staging: connected, [Symbol.asyncDispose]: () => connected[Symbol.asyncDispose]() };
}

/** Tickets come from the broker, to which there is a connection by then, as there is in a command that sends files. */
async function openGrid({ dir, vo }: GridAccess): Promise<Opened> {
  const { openBroker } = await import('../../../cli/up/bring-up.ts');
  const { layoutOf } = await import('../../../cli/up/layout.ts');
  const layout = layoutOf(dir);
  const broker = await openBroker({ layout });
  await broker.call.whoAmI({});
  const nkey = newNkey();
  const connected = openStaging({
    nkey,
    vo,
    caPem: readAuthorities(layout.trust),
    ticket: () => broker.call.issueStagingTicket({ vo, nkey: nkey.publicKey }),
  });
  return {
    staging: connected,
    isHeld: async (tree) => (await broker.call.holdTree({ vo, tree: treeToWire(tree) })).held,
    [Symbol.asyncDispose]: async () => {
      await connected[Symbol.asyncDispose]();
      broker[Symbol.dispose]();
    },
  };
}
