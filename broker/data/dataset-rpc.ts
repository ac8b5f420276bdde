import type { Dataset, DatasetRef } from '../../core/data/dataset.ts';
import { GridError } from '../../core/errors.ts';
import { voName } from '../../core/ids.ts';
import { LONGEST_MS, writeDuration } from '../../core/units.ts';
import { type Access, chooseVo, isAdmin } from '../../core/vo/policy.ts';
import type { DatasetsService, Dataset as WireDataset } from '../../proto/gen/grid/v1/data.ts';
import type { Handlers } from '../../service/rpc/rpc.ts';
import { treeFromWire, treeToWire } from '../../service/rpc/wire.ts';
import type { Book } from '../book.ts';
import { readTrees } from '../jobs/job-store.ts';
import { listResults } from '../results/list-results.ts';
import { removeResults } from '../results/remove-results.ts';
import { quotaHandlers } from '../room/room-rpc.ts';
import type { StoreRoom } from '../room/store-room.ts';
import type { SiteRegistry } from '../sites/site-registry.ts';
import { peerOf, visibleVo } from '../visible.ts';
import type { DatasetChange, Datasets } from './datasets.ts';
import { openHealLimit } from './heal-limit.ts';
import { allRead } from './spoiled-chunks.ts';
import type { Sweeper } from './sweeper.ts';

interface Parts {
  readonly book: Book;
  readonly datasets: Datasets;
  readonly sites: SiteRegistry;
  readonly access: Access;
  readonly sweeper: Sweeper;
  readonly room: StoreRoom;
}

/** The broker's second service: names for trees of files. */
export function datasetHandlers(parts: Parts): Handlers<DatasetsService> {
  const { book, datasets, sites, access } = parts;
  const toWire = (dataset: Dataset): WireDataset => ({
    vo: dataset.vo,
    name: dataset.name,
    version: dataset.version,
    tree: treeToWire(dataset),
    owner: dataset.owner,
    shared: dataset.shared,
    expiresAtMs: dataset.expiresAtMs ?? 0,
    createdAtMs: dataset.createdAtMs,
    sites: [...sites.values()]
      .filter(({ offer }) => offer?.warmTrees.includes(dataset.digest))
      .map(({ id }) => id)
      .toSorted(),
  });
  return {
    putDataset: async (request, context) => {
      checkKept(request.keepMs);
      const wish = { ...request, tree: treeFromWire(request.tree) };
      return toWire(await datasets.put(peerOf(context), wish));
    },
    listDatasets: (request, context) => {
      const peer = peerOf(context);
      if (request.vo !== '') visibleVo(peer, request.vo, access);
      const found = datasets.list(peer, request.vo, request.allVersions);
      return Promise.resolve({ datasets: found.map(toWire) });
    },
    getDataset: async (request, context) => {
      const dataset = datasets.find(peerOf(context), refOf(request));
      const trees = await readTrees(book.db, [dataset.digest]);
      const tree = trees.get(dataset.digest);
      const wire = toWire(dataset);
      return { dataset: tree === undefined ? wire : { ...wire, tree: treeToWire(tree) } };
    },
    changeDataset: async (request, context) => {
      const peer = peerOf(context);
      const [newest] = await datasets.change(peer, refOf(request), changeOf(request.change));
      if (newest === undefined) throw new TypeError('a change has changed nothing');
      return toWire(newest);
    },
    removeDataset: async (request, context) => {
      const peer = peerOf(context);
      const removed = await datasets.change(peer, refOf(request), { kind: 'remove' });
      return { versions: removed.map(({ version }) => version).toSorted((a, b) => a - b) };
    },
    listResults: async (request, context) => ({
      jobs: [...(await listResults(parts, peerOf(context), request))],
    }),
    removeResults: (request, context) => removeResults(parts, peerOf(context), request.jobId),
    ...storeHandlers(parts),
    ...quotaHandlers(parts),
  };
}

function storeHandlers({
  access,
  sweeper,
  book,
}: Parts): Pick<Handlers<DatasetsService>, 'healChunks' | 'sweepStore'> {
  const limit = openHealLimit(book.clock);
  return {
    healChunks: async ({ vo, digests }, context) => {
      const { dn } = peerOf(context);
      const decision = chooseVo(peerOf(context), vo, access);
      if (!decision.allowed) throw new GridError(decision.code, decision.why);
      if (digests.length > MAX_HEALED)
        throw new GridError('REQUEST_INVALID', `at most ${MAX_HEALED} chunks at a time`);
      const names = digests.map((digest) => Buffer.from(digest).toString('hex'));
      if (!names.every((name) => name.length === 64))
        throw new GridError('REQUEST_INVALID', 'a digest has 32 bytes');
      const giveBack = limit.take({ vo: decision.vo, dn }, names.length);
      const healed = await sweeper.heal(decision.vo, names);
      giveBack(names.length - healed.sound);
      const { spoiled } = allRead(healed);
      return { removed: spoiled.map((name) => Buffer.from(name, 'hex')) };
    },
    sweepStore: async ({ vo }, context) => {
      const peer = peerOf(context);
      if (!isAdmin(peer, access))
        throw new GridError('PERMISSION_DENIED', `${peer.dn} does not administer this grid`);
      if (!access.vos.includes(vo))
        throw new GridError('VO_NOT_FOUND', `this broker does not serve the VO '${vo}'`);
      return sweeper.sweep(vo);
    },
  };
}

const MAX_HEALED = 1_000;

const refOf = (request: { vo: string; name: string; version: number }): DatasetRef => ({
  vo: voName(request.vo),
  name: request.name,
  ...(request.version === 0 ? {} : { version: request.version }),
});

function changeOf(
  change: { $case: 'shared'; value: boolean } | { $case: 'keepMs'; value: number } | undefined,
): DatasetChange {
  if (change === undefined) throw new GridError('REQUEST_INVALID', 'no change is named');
  if (change.$case === 'shared') return { kind: 'share', shared: change.value };
  checkKept(change.value);
  return { kind: 'keep', keepMs: change.value };
}

/** An end that is no safe integer could be read neither from the ledger nor off the wire. */
function checkKept(keepMs: number): void {
  if (keepMs <= LONGEST_MS) return;
  const most = writeDuration(LONGEST_MS);
  throw new GridError('REQUEST_INVALID', `keep_ms ${keepMs} is too long: at most ${most}`);
}
