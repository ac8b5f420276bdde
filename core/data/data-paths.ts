import type { Dn, VoName } from '../ids.ts';
import type { Transfer } from '../job/transfer.ts';
import type { Caller } from '../vo/caller.ts';
import { isWithin } from './paths.ts';

/** A directory of a site that transfers may reach, and who may. */
export interface DataPath {
  /** Absolute. */
  readonly path: string;
  /** Empty for no VO. */
  readonly vos: readonly VoName[];
  readonly users: readonly Dn[];
  readonly access: 'read' | 'write';
}

/** The directory by which a site allows a transfer, or why it does not; the longest that fits counts. */
export function allowedPath(
  paths: readonly DataPath[],
  transfer: Exclude<Transfer, { kind: 'warm' }>,
  { dn }: Pick<Caller, 'dn'>,
  vo: VoName,
): { readonly ok: true; readonly path: DataPath } | { readonly ok: false; readonly why: string } {
  const refuse = (why: string) => ({ ok: false as const, why });
  const [path] = paths
    .filter((candidate) => isWithin(transfer.path, candidate.path))
    .toSorted((a, b) => b.path.length - a.path.length);
  if (path === undefined) return refuse(`the site opens nothing at ${transfer.path} to transfers`);
  if (!path.vos.includes(vo) && !path.users.includes(dn))
    return refuse(`the site opens ${path.path} neither to VO '${vo}' nor to ${dn}`);
  if (transfer.kind === 'write' && path.access === 'read')
    return refuse(`the site lets ${path.path} be read only`);
  return { ok: true, path };
}
