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
  /** Fetches once more, into this directory, with the cache as warm as a gateway has it then. */
  readonly again?: string;
  /** Directory for what is known of sent files. */
  readonly knownDir?: string;
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
  /** User and system time of the process, its start included. */
  readonly cpuMs: number;
  readonly tree?: Transfer['tree'];
  readonly again?: { readonly ms: number; readonly moved: number };
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
const timed = async <T>(work: () => Promise<T>): Promise<T & { readonly ms: number }> => {
  const startedMs = performance.now();
  const result = await work();
  return { ...result, ms: performance.now() - startedMs };
};

const send = async (): Promise<Pick<Transferred, 'moved' | 'tree'>> => {
  const known = wanted.knownDir === undefined ? {} : { knownDir: wanted.knownDir };
  const sent = await sendTree(store, { root, paths: ['.'] }, { onProgress, ...known });
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
