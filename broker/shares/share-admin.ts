import { GridError } from '../../core/errors.ts';
import { voName } from '../../core/ids.ts';
import { capFault, formatNode, parseNode, weightFault } from '../../core/share/node.ts';
import type { Quota } from '../../core/share/quota.ts';
import { listShares, type ShareLine } from '../../core/share/share-list.ts';
import type { ShareRecord, ShareTree } from '../../core/share/share-tree.ts';
import { type Peer, vosOf } from '../../core/vo/caller.ts';
import { type Access, isAdmin, maySeeVo, maySetShares } from '../../core/vo/policy.ts';
import type {
  BrokerService,
  CapChange,
  ListSharesResponse,
  SetQuotaRequest,
  SetShareRequest,
  Share,
} from '../../proto/gen/grid/v1/broker.ts';
import type { Handlers } from '../../service/rpc/rpc.ts';
import type { Book } from '../book.ts';
import { shareRow } from '../ledger/ledger-shares.ts';
import { checkServed, peerOf, visibleVo } from '../visible.ts';

interface Parts {
  readonly book: Book;
  readonly access: Access;
  readonly onChange: () => void;
}

/** What people may see and set of the tree of shares. */
export function shareHandlers(
  parts: Parts,
): Pick<Handlers<BrokerService>, 'listShares' | 'setShare' | 'setQuota'> {
  return {
    listShares: (request, context) => Promise.resolve(listTree(parts, peerOf(context), request.vo)),
    setShare: async (request, context) => ({
      share: await setWeight(parts, peerOf(context), request),
    }),
    setQuota: async (request, context) => ({
      share: await setQuota(parts, peerOf(context), request),
    }),
  };
}

/** All VOs, because one's own is weighed against them, and what is in the caller's own. */
function listTree({ book, access }: Parts, peer: Peer, wanted: string): ListSharesResponse {
  if (!isAdmin(peer, access) && vosOf(peer).length === 0)
    throw new GridError('VO_DENIED', `${peer.dn} shows no VO membership`);
  const vo = wanted === '' ? '' : visibleVo(peer, wanted, access);
  const { shares } = book.table;
  const lines = listShares(shares, book.clock.nowMs(), served(shares, access));
  const seen = lines.filter(({ record }) => {
    const [name, group] = record.node;
    if (vo !== '' && name !== vo) return false;
    return group === undefined || maySeeVo(peer, name, access);
  });
  return { shares: seen.map(shareToWire), halfLifeMs: shares.settings.halfLifeMs };
}

const served = (shares: ShareTree, { vos }: Access): readonly ShareRecord[] =>
  vos.map((vo) => shares.record([voName(vo)]));

const shareToWire = ({ record, name, usage, targetPart, usedPart }: ShareLine): Share => {
  const [vo, group = '', owner = ''] = record.node;
  const { runningCpus, queuedTasks } = record.quota;
  return {
    node: name,
    vo,
    group,
    owner,
    weight: record.weight,
    targetPart,
    usedPart,
    usage,
    runningCpus: record.placedCpus,
    queuedTasks: record.queuedTasks,
    ...(runningCpus === undefined ? {} : { maxRunningCpus: runningCpus }),
    ...(queuedTasks === undefined ? {} : { maxQueuedTasks: queuedTasks }),
  };
};

/** Sets the weight of a node; running tasks go on, the next round counts with it. */
async function setWeight(parts: Parts, peer: Peer, request: SetShareRequest): Promise<Share> {
  const record = settable(parts, peer, request.node);
  const fault = weightFault(request.weight);
  if (fault !== undefined) throw new GridError('REQUEST_INVALID', fault);
  const before = record.weight;
  record.weight = request.weight;
  return write(parts, peer, record, { before, weight: record.weight });
}

/** Sets or takes away caps of a node; what is above a new cap already goes on. */
async function setQuota(parts: Parts, peer: Peer, request: SetQuotaRequest): Promise<Share> {
  const record = settable(parts, peer, request.node);
  const { runningCpus, queuedTasks } = request;
  if (runningCpus === undefined && queuedTasks === undefined)
    throw new GridError('REQUEST_INVALID', 'no cap is named: of running cpus, or of queued tasks');
  const before = record.quota;
  const cpus = changed('running cpus', before.runningCpus, runningCpus);
  const tasks = changed('queued tasks', before.queuedTasks, queuedTasks);
  const quota: Quota = {
    ...(cpus === undefined ? {} : { runningCpus: cpus }),
    ...(tasks === undefined ? {} : { queuedTasks: tasks }),
  };
  record.quota = quota;
  return write(parts, peer, record, { before, quota });
}

function changed(
  what: string,
  before: number | undefined,
  change: CapChange | undefined,
): number | undefined {
  if (change === undefined) return before;
  if (change.none) return undefined;
  const fault = capFault(what, change.most);
  if (fault !== undefined) throw new GridError('REQUEST_INVALID', fault);
  return change.most;
}

/** The node that a caller may change; rights come before anything is said of it. */
function settable({ book, access }: Parts, peer: Peer, text: string): ShareRecord {
  const node = parseNode(text);
  if (node === undefined) {
    const shown = JSON.stringify(text.slice(0, 120));
    const form = '/vo, /vo/group or /vo/group:DN';
    throw new GridError('REQUEST_INVALID', `${shown} is no node of the tree of shares: ${form}`);
  }
  const [vo, group] = node;
  const decision = maySetShares(peer, vo, group !== undefined, access);
  if (!decision.allowed) throw new GridError(decision.code, decision.why);
  checkServed(vo, access);
  return book.table.shares.record(node);
}

async function write(
  { book, access, onChange }: Parts,
  peer: Peer,
  record: ShareRecord,
  change: Readonly<Record<string, unknown>>,
): Promise<Share> {
  const name = formatNode(record.node);
  onChange();
  await book.recorder.record({ shares: [shareRow(record)] });
  book.log.info({ node: name, by: peer.dn, ...change }, 'a share was set');
  const { shares } = book.table;
  const lines = listShares(shares, book.clock.nowMs(), [...served(shares, access), record]);
  const line = lines.find((candidate) => candidate.record === record);
  if (line === undefined) throw new TypeError(`${name} is not in the tree`);
  return shareToWire(line);
}
