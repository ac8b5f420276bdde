import { weightOf } from '../../core/data/room.ts';
import { GridError } from '../../core/errors.ts';
import { voName } from '../../core/ids.ts';
import { isDnText } from '../../core/pki/name.ts';
import { capFault } from '../../core/share/node.ts';
import type { Peer } from '../../core/vo/caller.ts';
import { type Access, chooseVo, maySetShares } from '../../core/vo/policy.ts';
import type { AskRoomRequest, AskRoomResponse } from '../../proto/gen/grid/v1/broker.ts';
import type {
  DatasetsService,
  ListStoreQuotasRequest,
  SetStoreQuotaRequest,
  StoreQuota,
} from '../../proto/gen/grid/v1/data.ts';
import type { Handlers } from '../../service/rpc/rpc.ts';
import type { Book } from '../book.ts';
import type { Datasets } from '../data/datasets.ts';
import { checkServed, peerOf, visibleVo } from '../visible.ts';
import { EVERYBODY } from './store-quotas.ts';
import type { StoreRoom } from './store-room.ts';

export interface RoomParts {
  readonly book: Book;
  readonly access: Access;
  readonly room: StoreRoom;
}

/** Chunks of one question; more than a gRPC message may have do not come. */
const MOST_CHUNKS = 20_000;

/** Whether there is room for what the caller is about to send. Throws STORE_QUOTA, and PERMISSION_DENIED for a name of somebody else's. */
export async function askRoom(
  {
    access,
    room,
    datasets,
  }: Omit<RoomParts, 'book'> & {
    readonly datasets: Pick<Datasets, 'ownerOf'>;
  },
  peer: Peer,
  request: AskRoomRequest,
): Promise<AskRoomResponse> {
  const decision = chooseVo(peer, request.vo, access);
  if (!decision.allowed) throw new GridError(decision.code, decision.why);
  const { chunks, bytes } = request;
  checkCount('bytes', bytes);
  if (chunks.length > MOST_CHUNKS)
    throw new GridError('REQUEST_INVALID', `at most ${MOST_CHUNKS} chunks at a time`);
  const named = chunks.map(({ digest, bytes: size }) => {
    checkCount('bytes of a chunk', size);
    if (digest.length !== 32) throw new GridError('REQUEST_INVALID', 'a digest has 32 bytes');
    return [Buffer.from(digest).toString('hex'), size] as const;
  });
  const { vo } = decision;
  const name = request.dataset;
  const owner = name === '' ? peer.dn : datasets.ownerOf(peer, { vo, name });
  return { newBytes: await room.ask({ vo, owner }, bytes, weightOf(named)) };
}

/** What is stored and may be, and the way to change that. */
export function quotaHandlers(
  parts: RoomParts,
): Pick<Handlers<DatasetsService>, 'listStoreQuotas' | 'setStoreQuota'> {
  return {
    listStoreQuotas: async (request, context) => ({
      quotas: await listQuotas(parts, peerOf(context), request),
    }),
    setStoreQuota: (request, context) => setQuota(parts, peerOf(context), request),
  };
}

/** Members without a limit of their own that a listing shows: each is counted for it. */
const MOST_MEMBERS = 50;

/**
 * The VO, the caller (or who was asked for), and for those who may set them all that have a quota of their own; where it is wished,
 * others who store much, too.
 */
async function listQuotas(
  { access, room }: RoomParts,
  peer: Peer,
  request: ListStoreQuotasRequest,
): Promise<StoreQuota[]> {
  const vo = visibleVo(peer, request.vo, access);
  const rights = maySetShares(peer, vo, true, access);
  const asked = request.owner === '' ? peer.dn : request.owner;
  if (asked !== peer.dn && !rights.allowed) throw new GridError(rights.code, rights.why);
  checkOwner(asked);
  const isWhole = request.owner === '' && rights.allowed;
  const limited = isWhole ? [...room.limits(vo).keys()].toSorted() : [];
  const storing = isWhole && request.members ? await room.owners(vo, MOST_MEMBERS) : [];
  const owners = [...new Set(['', EVERYBODY, asked, ...limited, ...storing])];
  const quotas: StoreQuota[] = [];
  for (const owner of owners) quotas.push(await quotaOf(room, vo, owner));
  return quotas;
}

async function setQuota(
  { access, room, book }: RoomParts,
  peer: Peer,
  { vo: wanted, owner, limitBytes }: SetStoreQuotaRequest,
): Promise<StoreQuota> {
  const vo = voName(wanted);
  const decision = maySetShares(peer, vo, owner !== '', access);
  if (!decision.allowed) throw new GridError(decision.code, decision.why);
  checkServed(vo, access);
  if (owner !== '' && owner !== EVERYBODY) checkOwner(owner);
  if (limitBytes !== undefined) checkCount('bytes', limitBytes);
  const before = room.limits(vo).get(owner);
  await room.set({ vo, owner }, limitBytes);
  book.log.info({ vo, owner, by: peer.dn, before, limitBytes }, 'a quota of the store was set');
  return quotaOf(room, vo, owner);
}

async function quotaOf(room: StoreRoom, vo: string, owner: string): Promise<StoreQuota> {
  const { usedBytes, limitBytes } =
    owner === EVERYBODY
      ? { usedBytes: 0, limitBytes: room.limits(vo).get(EVERYBODY) }
      : await room.use({ vo, owner });
  return { vo, owner, usedBytes, ...(limitBytes === undefined ? {} : { limitBytes }) };
}

function checkCount(what: string, count: number): void {
  const fault = capFault(what, count);
  if (fault !== undefined) throw new GridError('REQUEST_INVALID', fault);
}

function checkOwner(owner: string): void {
  if (isDnText(owner)) return;
  const shown = JSON.stringify(owner.slice(0, 120));
  throw new GridError('REQUEST_INVALID', `${shown} is no DN such as /DC=org/DC=example/CN=Ada`);
}
