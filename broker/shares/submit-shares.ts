import { GridError } from '../../core/errors.ts';
import type { VoName } from '../../core/ids.ts';
import type { Ask } from '../../core/match/ask.ts';
import { formatNode } from '../../core/share/node.ts';
import { queueRefusal } from '../../core/share/quota.ts';
import { type ShareRecord, type ShareTree, upwards } from '../../core/share/share-tree.ts';
import type { Peer } from '../../core/vo/caller.ts';
import { groupOf } from '../../core/vo/fqan.ts';

/** Throws VO_DENIED where a job is to be charged to a group that its owner is not in. */
export function checkGroup(
  peer: Peer,
  { vo, group }: { readonly vo: VoName; readonly group?: string },
): void {
  if (group === undefined) return;
  const own = new Set(peer.fqans.filter((fqan) => fqan.vo === vo).map(groupOf));
  if (own.has(group)) return;
  const shown = [...own].join(', ');
  throw new GridError('VO_DENIED', `${peer.dn} is not in group ${group} (shows: ${shown})`);
}

/** Throws QUOTA_EXCEEDED where new jobs are more than may wait: all together, in every node that they count in. */
export function checkQueueQuotas(
  shares: ShareTree,
  jobs: readonly { readonly ask: Ask; readonly tasks: number }[],
): void {
  const more = new Map<ShareRecord, number>();
  for (const { ask, tasks } of jobs) {
    for (const node of upwards(shares.leafOf(ask))) more.set(node, (more.get(node) ?? 0) + tasks);
  }
  for (const [{ node, quota, queuedTasks }, tasks] of more) {
    const refusal = queueRefusal({ name: formatNode(node), quota, queuedTasks }, tasks);
    if (refusal !== undefined) throw new GridError('QUOTA_EXCEEDED', refusal);
  }
}
