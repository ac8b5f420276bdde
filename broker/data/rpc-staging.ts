import { GridError } from '../../core/errors.ts';
import type { VoName } from '../../core/ids.ts';
import { describeRefusal, refuse } from '../../core/pki/refusals.ts';
import { formatInstant } from '../../core/units.ts';
import type { Peer } from '../../core/vo/caller.ts';
import { type Access, chooseVo } from '../../core/vo/policy.ts';
import type { BrokerService, IssueStagingTicketRequest } from '../../proto/gen/grid/v1/broker.ts';
import type { Handlers } from '../../service/rpc/rpc.ts';
import { treeFromWire } from '../../service/rpc/wire.ts';
import type { Book } from '../book.ts';
import { askRoom } from '../room/room-rpc.ts';
import type { StoreRoom } from '../room/store-room.ts';
import { peerOf } from '../visible.ts';
import type { Datasets } from './datasets.ts';
import type { StagingAccounts } from './staging-accounts.ts';
import type { Sweeper } from './sweeper.ts';

interface Parts {
  readonly book: Pick<Book, 'clock'>;
  readonly access: Access;
  readonly accounts: StagingAccounts | undefined;
  readonly sweeper: Pick<Sweeper, 'hold'>;
  readonly room: StoreRoom;
  readonly datasets: Pick<Datasets, 'ownerOf'>;
}

const TICKET_MS = 12 * 3_600_000;
const LEAST_TICKET_MS = 1_000;

/** What members ask of the store of their VO. */
export const stagingHandlers = (
  parts: Parts,
): Pick<Handlers<BrokerService>, 'issueStagingTicket' | 'holdTree' | 'askRoom'> => ({
  issueStagingTicket: (request, context) => issueTicket(parts, peerOf(context), request),
  holdTree: ({ vo, tree }, context) => {
    const mine = voOf(parts, peerOf(context), vo);
    return Promise.resolve({ held: parts.sweeper.hold(mine, treeFromWire(tree)) });
  },
  askRoom: (request, context) => askRoom(parts, peerOf(context), request),
});

async function issueTicket(parts: Parts, peer: Peer, request: IssueStagingTicketRequest) {
  const vo = voOf(parts, peer, request.vo);
  const lifetimeMs = Math.min(TICKET_MS, peer.expiresAtMs - parts.book.clock.nowMs());
  // The caller's connection outlives the credential a little. A ticket that has ended would be tried for a minute.
  if (lifetimeMs < LEAST_TICKET_MS) {
    const what = `'${peer.dn}' at ${formatInstant(peer.expiresAtMs)}`;
    throw new GridError('UNAUTHENTICATED', describeRefusal(refuse('EXPIRED', what)));
  }
  if (parts.accounts === undefined)
    throw new GridError('STAGING_UNAVAILABLE', 'this broker has no staging service');
  const wish = { vo, nkey: request.nkey, lifetimeMs, purpose: 'user' as const };
  const ticket = await parts.accounts.issueTicket(wish);
  return { ...ticket, servers: [...ticket.servers] };
}

function voOf({ access }: Parts, peer: Peer, asked: string): VoName {
  const decision = chooseVo(peer, asked, access);
  if (decision.allowed) return decision.vo;
  throw new GridError(decision.code, decision.why);
}
