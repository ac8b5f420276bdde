import { dn } from '../ids.ts';
import { isDnText } from '../pki/name.ts';
import { groupOf, parseFqan } from '../vo/fqan.ts';
import type { ShareNode } from './shares.ts';

/**
 * A node as people write it: `/biomed` is the VO, `/biomed/imaging` a group of it, `/biomed/` what is charged to no
 * group, and `/biomed/imaging:/DC=org/CN=Ada` (or `/biomed:/DC=org/CN=Ada`) one owner in it.
 */
export function formatNode([vo, group, owner]: ShareNode): string {
  if (group === undefined) return `/${vo}`;
  if (owner !== undefined) return `${group}:${owner}`;
  return group === `/${vo}` ? `${group}/` : group;
}

/** Text -> node; undefined if it is none. */
export function parseNode(text: string): ShareNode | undefined {
  const [path = '', ...rest] = text.split(':');
  const plain = path.endsWith('/') ? path.slice(0, -1) : path;
  const fqan = parseFqan(plain);
  if (fqan === undefined || fqan.role !== undefined) return undefined;
  const { vo, groups } = fqan;
  const group = groupOf(fqan);
  if (plain !== path && groups.length > 0) return undefined;
  if (rest.length > 0) {
    const owner = rest.join(':');
    return isDnText(owner) ? [vo, group, dn(owner)] : undefined;
  }
  return plain !== path || groups.length > 0 ? [vo, group] : [vo];
}

const WEIGHTS = { least: 0.001, most: 1_000_000 };

/** What is wrong with a weight; undefined if nothing is. */
export const weightFault = (weight: number): string | undefined =>
  weight >= WEIGHTS.least && weight <= WEIGHTS.most
    ? undefined
    : `the weight ${weight} is out of range: a number from ${WEIGHTS.least} to ${WEIGHTS.most}`;

/** What is wrong with a cap of a quota; undefined if nothing is. */
export const capFault = (what: string, cap: number): string | undefined =>
  Number.isSafeInteger(cap) && cap >= 0
    ? undefined
    : `${cap} ${what} is out of range: a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`;
