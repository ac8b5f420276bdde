import type { Dn, VoName } from '../ids.ts';
import type { Ask } from '../match/ask.ts';
import type { Need } from '../match/need.ts';
import { groupOf, parseFqan } from '../vo/fqan.ts';

/** Whose turn it may be: an owner inside a group inside a VO. `group` is a path such as `/biomed/imaging`; `/biomed` where none. */
export interface Claimant {
  readonly vo: VoName;
  readonly group: string;
  readonly owner: Dn;
}

/** A node of the tree of shares: a VO, a group of it, an owner inside the group. */
export type ShareNode =
  | readonly [VoName]
  | readonly [VoName, string]
  | readonly [VoName, string, Dn];

/** What a round needs to know of shares, as of its snapshot. */
export interface Shares {
  /** Weight among its siblings, above 0; 1 where nobody set one. */
  weight(node: ShareNode): number;
  /** Usage so far, decayed to now: weighed cpu-seconds (cpus, with memory and gpus weighed in). */
  usage(node: ShareNode): number;
  /** Cpus that run now. */
  runningCpus(node: ShareNode): number;
  /** Hard cap on them, undefined for none. */
  maxRunningCpus(node: ShareNode): number | undefined;
  /** What placing a task adds to the usage of its claimant at once. */
  charge(need: Need): number;
}

/** Who is charged for an ask: the group that the job names, else that of its owner's first FQAN in the VO. */
export function claimantOf({ vo, owner, fqans, group }: Ask): Claimant {
  if (group !== undefined) return { vo, group, owner };
  for (const text of fqans) {
    const fqan = parseFqan(text);
    if (fqan?.vo === vo) return { vo, group: groupOf(fqan), owner };
  }
  return { vo, group: `/${vo}`, owner };
}

/** The nodes that a claimant counts in, outermost first. */
export const nodesOf = ({ vo, group, owner }: Claimant): readonly ShareNode[] => [
  [vo],
  [vo, group],
  [vo, group, owner],
];

/** Text that two nodes share exactly when they are the same: no part of them has a NUL. */
export const nodeKey = (node: ShareNode): string => node.join('\0');

/** Shares of a grid where everybody weighs the same, nothing is capped and only what is in use now counts. */
export function sharesFromUse(
  uses: Iterable<{ readonly claimant: Claimant; readonly cpus: number }>,
): Shares {
  const cpusByNode = new Map<string, number>();
  for (const { claimant, cpus } of uses) {
    for (const key of nodesOf(claimant).map(nodeKey))
      cpusByNode.set(key, (cpusByNode.get(key) ?? 0) + cpus);
  }
  const cpusOf = (node: ShareNode): number => cpusByNode.get(nodeKey(node)) ?? 0;
  return {
    weight: () => 1,
    usage: cpusOf,
    runningCpus: cpusOf,
    maxRunningCpus: () => undefined,
    charge: ({ cpus }) => cpus,
  };
}
