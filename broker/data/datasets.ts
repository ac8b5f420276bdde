import {
  chooseVersion,
  type Dataset,
  type DatasetRef,
  datasetInput,
  formatDataset,
  isLive,
  mayChange,
  mayUse,
  parseDataset,
} from '../../core/data/dataset.ts';
import type { TreeRef } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';
import { type Dn, dn, type VoName, voName } from '../../core/ids.ts';
import type { Caller, Peer } from '../../core/vo/caller.ts';
import { type Access, chooseVo, isAdmin } from '../../core/vo/policy.ts';
import type { Book } from '../book.ts';
import { treeRows } from '../jobs/records.ts';
import type { DatasetRow } from '../ledger/ledger-data.ts';
import type { ClaimRoom } from '../room/store-room.ts';
import type { Admit } from './sweeper.ts';

/** Names for trees: in memory, and written to the ledger before a call answers. */
export interface Datasets {
  /** Throws REQUEST_INVALID for a bad name, CHUNK_MISSING, VO_DENIED, and PERMISSION_DENIED for a name of somebody else's. */
  put(peer: Peer, wish: NewDataset): Promise<Dataset>;
  /** Whose a dataset would be that the caller puts; throws REQUEST_INVALID, VO_DENIED, PERMISSION_DENIED as `put` does. */
  ownerOf(peer: Peer, name: Pick<NewDataset, 'vo' | 'name'>): Dn;
  /** What the caller may use, by VO and name, the newest version first. */
  list(caller: Caller, vo: string, allVersions: boolean): readonly Dataset[];
  /** The version that a reference means; throws VO_DENIED, VO_NOT_FOUND, and DATASET_NOT_FOUND also for one that the caller may not use. */
  find(caller: Caller, ref: DatasetRef): Dataset;
  /** An input of a job under `vo` with its version named; throws REQUEST_INVALID, DATASET_NOT_FOUND. */
  pin(caller: Caller, from: string, vo: VoName): string;
  /** Versions that stand after the change, the newest first; throws DATASET_NOT_FOUND, PERMISSION_DENIED. */
  change(peer: Peer, ref: DatasetRef, change: DatasetChange): Promise<readonly Dataset[]>;
}

interface NewDataset {
  readonly vo: string;
  readonly name: string;
  readonly tree: TreeRef;
  readonly shared: boolean;
  /** 0 for ever. */
  readonly keepMs: number;
}

/** `shared`, a new end (undefined for never), or the removal. */
export type DatasetChange =
  | { readonly kind: 'share'; readonly shared: boolean }
  | { readonly kind: 'keep'; readonly keepMs: number }
  | { readonly kind: 'remove' };

/** All versions in memory, and the way to write them. */
interface Shelf {
  readonly access: Access;
  readonly admit: Admit;
  readonly claim: ClaimRoom;
  readonly nowMs: () => number;
  readonly all: () => Iterable<readonly Dataset[]>;
  readonly versionsOf: (ref: DatasetRef) => readonly Dataset[];
  readonly write: (changed: readonly Dataset[], tree?: TreeRef) => Promise<void>;
}

/** Reads all datasets. */
export async function openDatasets(
  book: Book,
  access: Access,
  { admit, claim }: Pick<Shelf, 'admit' | 'claim'>,
): Promise<Datasets> {
  const rows = await book.db.selectFrom('datasets').selectAll().execute();
  const byName = new Map<string, readonly Dataset[]>(Map.groupBy(rows.map(datasetOf), nameOf));
  const shelf: Shelf = {
    access,
    admit,
    claim,
    nowMs: () => book.clock.nowMs(),
    all: () => byName.values(),
    versionsOf: (ref) => byName.get(nameOf(ref)) ?? [],
    write: async (changed, tree) => {
      for (const dataset of changed) {
        const known = byName.get(nameOf(dataset)) ?? [];
        const others = known.filter(({ version }) => version !== dataset.version);
        byName.set(nameOf(dataset), worthKeeping([...others, dataset], book.clock.nowMs()));
      }
      await book.recorder.record({
        datasets: changed.map(rowOf),
        ...(tree === undefined ? {} : { trees: treeRows(tree) }),
      });
    },
  };
  return {
    put: (peer, wish) => put(shelf, peer, wish),
    ownerOf: (peer, name) => holderOf(shelf, peer, checked(peer, name, access)).owner,
    list: (caller, vo, allVersions) => list(shelf, caller, vo, allVersions),
    find: (caller, ref) => find(shelf, caller, ref),
    pin: (caller, from, vo) => pin(shelf, caller, from, vo),
    change: (peer, ref, change) => changeAll(shelf, peer, ref, change),
  };
}

/** The number of the newest version, whether it stands or not. */
const newestOf = (versions: readonly Dataset[]): number =>
  versions.reduce((newest, { version }) => Math.max(newest, version), 0);

/** Versions that stand, and the newest for its number: what is put every hour leaves nothing else behind. */
function worthKeeping(versions: readonly Dataset[], nowMs: number): readonly Dataset[] {
  const newest = newestOf(versions);
  return versions.filter((dataset) => dataset.version === newest || isLive(dataset, nowMs));
}

async function put(shelf: Shelf, peer: Peer, wish: NewDataset): Promise<Dataset> {
  const ref = checked(peer, wish, shelf.access);
  if (wish.tree.digest === '')
    throw new GridError('REQUEST_INVALID', 'a dataset needs a tree, and this one has no files');
  const before = holderOf(shelf, peer, ref);
  await shelf.admit(ref.vo, wish.tree);
  using _room = await shelf.claim({ vo: ref.vo, owner: before.owner }, [wish.tree]);
  const nowMs = shelf.nowMs();
  const versions = shelf.versionsOf(ref);
  // Somebody may have put the name meanwhile.
  const { newest, owner } = holderOf(shelf, peer, ref);
  if (newest?.digest === wish.tree.digest) return await putAgain(shelf, newest, wish, nowMs);
  const { digest, totalBytes, files } = wish.tree;
  const made: Dataset = {
    ...ref,
    version: newestOf(versions) + 1,
    digest,
    totalBytes,
    files,
    owner,
    shared: wish.shared || newest?.shared === true,
    createdAtMs: nowMs,
    ...endOf(wish.keepMs, nowMs),
  };
  await shelf.write([made], wish.tree);
  return made;
}

/** Whose a name is, or will be. */
interface NameHolder {
  readonly owner: Dn;
  /** Its newest version; undefined where none stands. */
  readonly newest: Dataset | undefined;
}

/**
 * Throws PERMISSION_DENIED where the caller may put no other version. What has expired keeps its name from others: those who name no
 * version would take theirs for it.
 */
function holderOf({ versionsOf, nowMs, access }: Shelf, peer: Peer, ref: DatasetRef): NameHolder {
  const versions = versionsOf(ref);
  const newest = chooseVersion(versions, undefined, nowMs());
  const owned = newest ?? versions.find(({ version }) => version === newestOf(versions));
  if (owned === undefined || owned.removedAtMs !== undefined) return { owner: peer.dn, newest };
  if (mayChange(peer, owned, access)) return { owner: owned.owner, newest };
  throw new GridError(
    'PERMISSION_DENIED',
    `${formatDataset(ref)} belongs to ${owned.owner}: choose another name`,
  );
}

/** No new version, but for as many and as long as either says. */
async function putAgain(
  shelf: Shelf,
  { expiresAtMs: before, ...dataset }: Dataset,
  { shared, keepMs, tree }: NewDataset,
  nowMs: number,
): Promise<Dataset> {
  const endsAtMs = Math.max(before ?? Infinity, endOf(keepMs, nowMs).expiresAtMs ?? Infinity);
  const end = endsAtMs === Infinity ? {} : { expiresAtMs: endsAtMs };
  const again = { ...dataset, shared: dataset.shared || shared, ...end };
  if (again.shared !== dataset.shared || endsAtMs !== (before ?? Infinity))
    await shelf.write([again], tree);
  return again;
}

function list(
  { all, nowMs, access }: Shelf,
  caller: Caller,
  vo: string,
  allVersions: boolean,
): readonly Dataset[] {
  const usable = [...all()].flatMap((versions) => {
    const live = versions
      .filter((dataset) => isLive(dataset, nowMs()) && mayUse(caller, dataset, access))
      .toSorted(byVoAndName);
    return allVersions ? live : live.slice(0, 1);
  });
  return usable.filter((dataset) => vo === '' || dataset.vo === vo).toSorted(byVoAndName);
}

/** Who is not in the VO now, with this credential, hears that: there may well be one. */
function notFound({ access }: Shelf, caller: Caller, ref: DatasetRef): GridError {
  const decision = chooseVo(caller, ref.vo, access);
  return decision.allowed || isAdmin(caller, access)
    ? new GridError('DATASET_NOT_FOUND', `there is no dataset ${formatDataset(ref)}`)
    : new GridError(decision.code, decision.why);
}

function find(shelf: Shelf, caller: Caller, ref: DatasetRef): Dataset {
  const found = chooseVersion(shelf.versionsOf(ref), ref.version, shelf.nowMs());
  if (found === undefined || !mayUse(caller, found, shelf.access))
    throw notFound(shelf, caller, ref);
  return found;
}

function pin(shelf: Shelf, caller: Caller, from: string, vo: VoName): string {
  const parsed = parseDataset(from);
  if (!parsed.ok) throw new GridError('REQUEST_INVALID', parsed.message);
  const { ref } = parsed;
  if (ref.vo !== vo)
    throw new GridError(
      'REQUEST_INVALID',
      `${formatDataset(ref)} is in the store of VO ${ref.vo}, and the job runs under ${vo}`,
    );
  const { name, version } = find(shelf, caller, ref);
  return datasetInput({ vo, name, version });
}

async function changeAll(
  shelf: Shelf,
  peer: Peer,
  ref: DatasetRef,
  change: DatasetChange,
): Promise<readonly Dataset[]> {
  const { versionsOf, write, nowMs, access } = shelf;
  if (peer.limited)
    throw new GridError('PERMISSION_DENIED', 'a limited proxy may not change datasets');
  const wanted = ({ version }: Dataset): boolean => (ref.version ?? version) === version;
  const meant = versionsOf(ref)
    .filter((dataset) => isLive(dataset, nowMs()) && wanted(dataset))
    .toSorted(byVoAndName);
  const [first] = meant;
  if (first === undefined || !mayUse(peer, first, access)) throw notFound(shelf, peer, ref);
  if (!mayChange(peer, first, access))
    throw new GridError('PERMISSION_DENIED', `${formatDataset(ref)} belongs to ${first.owner}`);
  const changed = meant.map((dataset) => changedBy(dataset, change, nowMs()));
  await write(changed);
  return changed;
}

function checked(
  peer: Peer,
  wish: Pick<NewDataset, 'vo' | 'name'>,
  access: Access,
): DatasetRef & { vo: VoName } {
  const decision = chooseVo(peer, wish.vo, access);
  if (!decision.allowed) throw new GridError(decision.code, decision.why);
  const parsed = parseDataset(`/${decision.vo}/${wish.name}`);
  if (!parsed.ok) throw new GridError('REQUEST_INVALID', parsed.message);
  if (parsed.ref.version !== undefined)
    throw new GridError('REQUEST_INVALID', `'${wish.name}': versions are numbered by the grid`);
  return parsed.ref;
}

function changedBy(dataset: Dataset, change: DatasetChange, nowMs: number): Dataset {
  if (change.kind === 'share') return { ...dataset, shared: change.shared };
  if (change.kind === 'remove') return { ...dataset, removedAtMs: nowMs };
  const { expiresAtMs: _before, ...rest } = dataset;
  return { ...rest, ...endOf(change.keepMs, nowMs) };
}

const endOf = (keepMs: number, nowMs: number): Pick<Dataset, 'expiresAtMs'> =>
  keepMs === 0 ? {} : { expiresAtMs: nowMs + keepMs };

const nameOf = ({ vo, name }: Pick<DatasetRef, 'vo' | 'name'>): string => `/${vo}/${name}`;

function byVoAndName(a: Dataset, b: Dataset): number {
  if (nameOf(a) !== nameOf(b)) return nameOf(a) < nameOf(b) ? -1 : 1;
  return b.version - a.version;
}

const datasetOf = (row: DatasetRow): Dataset => ({
  vo: voName(row.vo),
  name: row.name,
  version: row.version,
  digest: row.tree,
  totalBytes: row.total_bytes,
  files: row.files,
  owner: dn(row.owner),
  shared: row.shared === 1,
  createdAtMs: row.created_ms,
  ...(row.expires_ms === null ? {} : { expiresAtMs: row.expires_ms }),
  ...(row.removed_ms === null ? {} : { removedAtMs: row.removed_ms }),
});

const rowOf = (dataset: Dataset): DatasetRow => ({
  vo: dataset.vo,
  name: dataset.name,
  version: dataset.version,
  tree: dataset.digest,
  total_bytes: dataset.totalBytes,
  files: dataset.files,
  owner: dataset.owner,
  shared: dataset.shared ? 1 : 0,
  expires_ms: dataset.expiresAtMs ?? null,
  created_ms: dataset.createdAtMs,
  removed_ms: dataset.removedAtMs ?? null,
  released: 0,
});
