/**
 * One transfer in a process of its own, as the CLI and a gateway make them: `node transfer-process.ts JSON`. Tells on stdout, a
 * line of JSON each, how far it is, and at the end what it came to.
 */
import { readFileSync } from 'node:fs';
import type { TreeRef } from '../../../core/data/manifest.ts';
import type { ChunkStore } from '../../../service/staging/chunk-store.ts';
import { openStaging } from '../../../service/staging/connect-staging.ts';
import { fetchTree } from '../../../service/staging/fetch-tree.ts';
import { openFileCache } from '../../../service/staging/file-cache.ts';
import type { StagingTicket } from '../../../service/staging/names.ts';
import type { Nkey } from '../../../service/staging/nats-link.ts';
import { sendTree } from '../../../service/staging/send-tree.ts';

/** What is to be moved. */
export interface Transfer {
  readonly kind: 'send' | 'fetch';
  /** Directory that is sent, or into which is fetched. */
  readonly root: string;
  readonly tree?: Omit<TreeRef, 'manifest'> & { readonly manifestHex?: string };
  /** Directory of a cache to fetch through. */
  readonly cache?: string;
  readonly publicKey: string;
  /** In hex. */
  readonly seed: string;
  readonly ticket: StagingTicket;
  readonly caFile: string;
}

/** What it came to; `put` counts the bytes that were given to the network, whether they arrived or not. */
export interface Transferred {
  readonly ms: number;
  readonly moved: number;
  readonly put: number;
  readonly maxRssBytes: number;
  readonly tree?: Transfer['tree'];
}

const wanted = JSON.parse(process.argv[2] ?? '{}') as Transfer;
const { ticket, publicKey, seed, caFile, root, cache } = wanted;
const nkey: Nkey = { publicKey, seed: Buffer.from(seed, 'hex') };
await using staging = openStaging({
  nkey,
  ticket: () => Promise.resolve(ticket),
  caPem: readFileSync(caFile, 'utf8'),
  vo: ticket.vo,
});
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
  if (doneBytes - toldBytes < 2 ** 20) return;
  toldBytes = doneBytes;
  process.stdout.write(`${JSON.stringify({ doneBytes, put })}\n`);
};
const startedMs = performance.now();
const result = await (async (): Promise<Pick<Transferred, 'moved' | 'tree'>> => {
  if (wanted.kind === 'send') {
    const { tree, sentBytes } = await sendTree(store, { root, paths: ['.'] }, { onProgress });
    const { manifest, ...bare } = tree;
    const manifestHex = manifest && Buffer.from(manifest).toString('hex');
    return { moved: sentBytes, tree: manifestHex === undefined ? bare : { ...bare, manifestHex } };
  }
  const { manifestHex, ...bare } = wanted.tree ?? { digest: '', totalBytes: 0, files: 0 };
  const manifest = manifestHex === undefined ? {} : { manifest: Buffer.from(manifestHex, 'hex') };
  const options = cache === undefined ? {} : { cache: await openFileCache({ dir: cache }) };
  const fetched = await fetchTree(store, { ...bare, ...manifest }, root, {
    ...options,
    onProgress,
  });
  return { moved: fetched.bytesFetched };
})();
const ended: Transferred = {
  ms: performance.now() - startedMs,
  put,
  maxRssBytes: process.resourceUsage().maxRSS * 1_024,
  ...result,
};
process.stdout.write(`${JSON.stringify({ ended })}\n`);
