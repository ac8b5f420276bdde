import { type VoName, voName } from '../ids.ts';

/** A fully qualified attribute name: `/vo[/group...][/Role=role]` (GFD.182). */
export interface Fqan {
  readonly vo: VoName;
  /** Groups below the VO, outermost first. */
  readonly groups: readonly string[];
  readonly role?: string;
}

const PART = /^[A-Za-z0-9._-]{1,64}$/;

/** Text -> Fqan; undefined if it is none. `/Role=NULL` and `/Capability=...` are dropped, as VOMS itself does. */
export function parseFqan(text: string): Fqan | undefined {
  const plain = text.replace(/\/Capability=[^/]*$/, '').replace(/\/Role=NULL$/, '');
  const parts = plain.split('/');
  if (parts.shift() !== '') return undefined;
  const last = parts.at(-1);
  const role = last?.startsWith('Role=') ? parts.pop()?.slice('Role='.length) : undefined;
  const vo = parts.shift();
  if (
    vo === undefined ||
    ![vo, ...parts, ...(role === undefined ? [] : [role])].every((part) => PART.test(part))
  ) {
    return undefined;
  }
  return { vo: voName(vo), groups: parts, ...(role === undefined ? {} : { role }) };
}

/** Path of the group that an FQAN is of: `/biomed/imaging`. */
export const groupOf = ({ vo, groups }: Fqan): string => ['', vo, ...groups].join('/');

/** Fqan -> text, without NULL parts. */
export function formatFqan(fqan: Fqan): string {
  const path = groupOf(fqan);
  return fqan.role === undefined ? path : `${path}/Role=${fqan.role}`;
}
