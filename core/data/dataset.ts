import { type Dn, isVoName, type VoName, voName } from '../ids.ts';
import { type Caller, vosOf } from '../vo/caller.ts';
import { isManager } from '../vo/membership.ts';
import { type Access, isAdmin } from '../vo/policy.ts';

/** Names a dataset, or one version of it: `/biomed/hg38`, `/biomed/hg38@v3`. */
export interface DatasetRef {
  readonly vo: VoName;
  /** One to four parts, joined by `/`. */
  readonly name: string;
  /** From 1; absent for the newest. */
  readonly version?: number;
}

/** One version of a dataset: a name for a tree that is in the chunk store. */
export interface Dataset {
  readonly vo: VoName;
  readonly name: string;
  readonly version: number;
  /** Digest of the tree's manifest. */
  readonly digest: string;
  readonly totalBytes: number;
  readonly files: number;
  readonly owner: Dn;
  /** Whether all members of the VO may see and use it, or its owner only. */
  readonly shared: boolean;
  /** When it goes by itself; absent for never. */
  readonly expiresAtMs?: number;
  readonly createdAtMs: number;
  /** When somebody removed it: it has no name any more, and lives only for jobs that still need it. */
  readonly removedAtMs?: number;
}

/** What a text came to as the name of a dataset. */
export type ParsedDataset =
  | { readonly ok: true; readonly ref: DatasetRef }
  | { readonly ok: false; readonly message: string };

const PART = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const LONGEST_PART = 64;
const MAX_PARTS = 4;
/** How an input of a job says that it is a dataset. */
const SCHEME = 'grid:';

/** Whether an input comes from a dataset. */
export const isDatasetInput = (from: string): boolean => from.startsWith(SCHEME);

/**
 * `/biomed/hg38`, `/biomed/hg38@v3`, with or without `grid:` in front. A name without a leading slash is one of `vo`, where
 * that is given.
 */
export function parseDataset(text: string, vo = ''): ParsedDataset {
  const plain = text.startsWith(SCHEME) ? text.slice(SCHEME.length) : text;
  const [path = '', label] = plain.split(/@(.*)/s);
  const [first = '', ...parts] = path.startsWith('/')
    ? path.slice(1).split('/')
    : [vo, ...path.split('/')];
  const version = label === undefined ? 0 : versionOf(label);
  const fault = version === undefined ? `has no version '${label}'` : nameFault(first, parts);
  if (fault !== undefined || version === undefined) {
    const message = `'${text.slice(0, 80)}' ${fault}: write /VO/NAME or /VO/NAME@v3`;
    return { ok: false, message };
  }
  const ref = { vo: voName(first), name: parts.join('/') };
  return { ok: true, ref: version === 0 ? ref : { ...ref, version } };
}

function nameFault(vo: string, parts: readonly string[]): string | undefined {
  if (!isVoName(vo)) return vo === '' ? 'names no VO' : `has no VO '${vo}'`;
  if (parts.length === 0 || parts.length > MAX_PARTS)
    return `has ${parts.length} parts after the VO, not 1 to ${MAX_PARTS}`;
  if (!parts.every((part) => PART.test(part)))
    return 'has a part that is not letters, digits, dots, hyphens and underscores';
  return parts.every((part) => part.length <= LONGEST_PART)
    ? undefined
    : `has a part of more than ${LONGEST_PART} characters`;
}

/** `v3` -> 3. */
function versionOf(label: string): number | undefined {
  const digits = /^v([1-9]\d{0,8})$/.exec(label)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** `/biomed/hg38@v3`. */
export const formatDataset = ({ vo, name, version }: DatasetRef): string =>
  `/${vo}/${name}${version === undefined ? '' : `@v${version}`}`;

/** The same as an input of a job: `grid:/biomed/hg38@v3`. */
export const datasetInput = (ref: DatasetRef): string => `${SCHEME}${formatDataset(ref)}`;

/** Whether it can be found by its name now. */
export const isLive = ({ removedAtMs, expiresAtMs }: Dataset, nowMs: number): boolean =>
  removedAtMs === undefined && (expiresAtMs === undefined || nowMs < expiresAtMs);

/** The version that a reference means, among the versions of one dataset that are live; undefined if there is none. */
export function chooseVersion(
  versions: readonly Dataset[],
  wanted: number | undefined,
  nowMs: number,
): Dataset | undefined {
  const live = versions.filter((dataset) => isLive(dataset, nowMs));
  if (wanted !== undefined) return live.find(({ version }) => version === wanted);
  return live.toSorted((a, b) => b.version - a.version)[0];
}

/** Who may use a dataset: its owner, members of the VO where it is shared, managers of the VO, administrators. */
export const mayUse = (caller: Caller, dataset: Dataset, access: Access): boolean =>
  mayChange(caller, dataset, access) || (dataset.shared && vosOf(caller).includes(dataset.vo));

/** Who may share, pin and remove it, and put new versions: its owner, managers of the VO, administrators. */
export const mayChange = (
  caller: Caller,
  { owner, vo }: Pick<Dataset, 'owner' | 'vo'>,
  access: Access,
): boolean =>
  (owner === caller.dn && vosOf(caller).includes(vo)) ||
  isManager(caller, vo) ||
  isAdmin(caller, access);
