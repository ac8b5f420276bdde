import { GridError } from '../errors.ts';
import type { VoName } from '../ids.ts';
import type { Caller } from './caller.ts';
import { type Fqan, formatFqan, parseFqan } from './fqan.ts';

/** Whoever holds it may add and remove members of the VO. */
export const managerFqan = (vo: VoName): string => formatFqan({ vo, groups: [], role: 'manager' });

/** Whether a caller manages the VO. */
export const isManager = (caller: Caller, vo: VoName): boolean =>
  caller.fqans.some((fqan) => formatFqan(fqan) === managerFqan(vo));

/**
 * What a member gets on record for `wanted`: plain membership first, then each FQAN with the group that its role is in,
 * once each. Throws REQUEST_INVALID for what is no FQAN of this VO.
 */
export function memberFqans(vo: VoName, wanted: readonly string[]): readonly string[] {
  const all = wanted.flatMap((text) => {
    const fqan = fqanOf(vo, text);
    return [formatFqan({ vo, groups: fqan.groups }), formatFqan(fqan)];
  });
  return [...new Set([formatFqan({ vo, groups: [] }), ...all])];
}

/**
 * What is signed for a member that holds `held`: the wanted ones in order and plain membership, or all without a role
 * when none are wanted. Throws VO_DENIED naming what the member lacks.
 */
export function fqansToSign(
  vo: VoName,
  held: readonly string[],
  wanted: readonly string[],
): readonly string[] {
  if (wanted.length === 0) return held.filter((text) => parseFqan(text)?.role === undefined);
  const texts = wanted.map((text) => formatFqan(fqanOf(vo, text)));
  const lacking = texts.filter((text) => !held.includes(text));
  if (lacking.length > 0) {
    const yours = held.join(', ');
    throw new GridError(
      'VO_DENIED',
      `not yours in '${vo}': ${lacking.join(', ')} (yours: ${yours})`,
    );
  }
  return [...new Set([...texts, formatFqan({ vo, groups: [] })])];
}

function fqanOf(vo: VoName, text: string): Fqan {
  const fqan = parseFqan(text);
  if (fqan?.vo === vo) return fqan;
  const shown = JSON.stringify(text.slice(0, 120));
  throw new GridError(
    'REQUEST_INVALID',
    `${shown} is no FQAN of '${vo}': write /${vo}/group/Role=role`,
  );
}
