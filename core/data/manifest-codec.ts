import { GridError } from '../errors.ts';
import { CHUNK_BYTES, type Manifest, type ManifestEntry, type Slice } from './manifest.ts';
import { byPath, linkProblem, pathProblem } from './paths.ts';

/**
 * The encoding is one line of JSON, and there is exactly one for each tree, because its digest names the tree:
 *
 *     {"manifest":1,"chunks":[hex...],"entries":[["d",path,mode],["l",path,target],["f",path,mode,size,hex,[n,offset,length]...]]}
 *
 * `n` is an index into `chunks`, which stand in the order of their first use. Whoever decodes, encodes again and compares:
 * anything that is not canonical (order, spaces, unknown keys, repeated keys) is refused without a rule of its own.
 */
type EncodedSlice = readonly [number, number, number];

/** One line of JSON in UTF-8. The entries may be in any order; throws MANIFEST_INVALID for a tree that cannot be. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const entries = manifest.entries.toSorted(byPath);
  checkEntries(entries);
  return new TextEncoder().encode(textOf(entries));
}

/** The one line; `entries` have been checked, and are sorted by path. */
function textOf(entries: readonly ManifestEntry[]): string {
  const chunks = new Map<string, number>();
  const slice = ({ digest, offset, length }: Slice): EncodedSlice => {
    const index = chunks.get(digest) ?? chunks.size;
    chunks.set(digest, index);
    return [index, offset, length];
  };
  const rows = entries.map((entry) => {
    if (entry.kind === 'directory') return ['d', entry.path, entry.mode];
    if (entry.kind === 'link') return ['l', entry.path, entry.target];
    const { path, mode, sizeBytes, digest, slices } = entry;
    return ['f', path, mode, sizeBytes, digest, ...slices.map(slice)];
  });
  const digests = [...chunks.keys()];
  if (!digests.every(isDigest)) throw invalid('has a slice of no chunk');
  return JSON.stringify({ manifest: 1, chunks: digests, entries: rows });
}

/** The tree of an encoding; throws MANIFEST_INVALID with what is wrong. Nothing in it leaves the tree. */
export function decodeManifest(bytes: Uint8Array): Manifest {
  const text = decodeText(bytes);
  const root = parseJson(text);
  if (!isRecord(root) || root['manifest'] !== 1) throw invalid('is of another version');
  const { chunks, entries: rows } = root;
  if (!isList(chunks) || !isList(rows)) throw invalid('lacks its chunks or its entries');
  const entries = rows.map((row) => decodeEntry(row, chunks));
  checkEntries(entries);
  // Of text that is well-formed there is one encoding in UTF-8.
  if (textOf(entries) !== text) throw invalid('is not in its canonical form');
  return { entries };
}

function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw notJson(error);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw notJson(error);
  }
}

const notJson = (cause: unknown): GridError =>
  new GridError('MANIFEST_INVALID', 'manifest is not JSON in UTF-8', { cause });

/** Types only: what the values may be is checked for all entries alike. */
function decodeEntry(row: unknown, chunks: readonly unknown[]): ManifestEntry {
  if (!isList(row)) throw invalid('has an entry that is no list');
  const [kind, path, third, size, digest, ...slices] = row;
  if (typeof path !== 'string') throw invalid('has an entry without a path');
  if (kind === 'd' && isMode(third)) return { kind: 'directory', path, mode: third };
  if (kind === 'l' && typeof third === 'string') return { kind: 'link', path, target: third };
  if (kind === 'f' && isMode(third) && isCount(size) && typeof digest === 'string') {
    return {
      kind: 'file',
      path,
      mode: third,
      sizeBytes: size,
      digest,
      slices: slices.map((slice) => decodeSlice(slice, chunks)),
    };
  }
  throw invalid(`has an entry ${JSON.stringify(path)} that is neither file, directory nor link`);
}

function decodeSlice(row: unknown, chunks: readonly unknown[]): Slice {
  if (!isList(row)) throw invalid('has a slice that is no list');
  const [index, offset, length] = row;
  const digest = isCount(index) ? chunks[index] : undefined;
  if (typeof digest !== 'string' || !isCount(offset) || !isCount(length)) {
    throw invalid('has a slice of no chunk');
  }
  return { digest, offset, length };
}

/** `entries` are sorted by path. */
function checkEntries(entries: readonly ManifestEntry[]): void {
  // Names that cannot be folders; a path below one of them would be written through it.
  const leaves = new Set<string>();
  let last = '';
  /** Checked last: what is a leaf would have come before what is below it. */
  let lastFolder = '';
  for (const entry of entries) {
    const problem = entryProblem(entry);
    if (problem !== undefined)
      throw invalid(`has a path ${JSON.stringify(entry.path)} that ${problem}`);
    if (entry.path <= last)
      throw invalid(`has ${JSON.stringify(entry.path)} twice or out of order`);
    const folder = entry.path.slice(0, Math.max(0, entry.path.lastIndexOf('/')));
    if (folder !== lastFolder && parentsOf(entry.path).some((parent) => leaves.has(parent))) {
      throw invalid(`has ${JSON.stringify(entry.path)} below something that is no directory`);
    }
    lastFolder = folder;
    if (entry.kind !== 'directory') leaves.add(entry.path);
    last = entry.path;
  }
}

function entryProblem(entry: ManifestEntry): string | undefined {
  const problem = pathProblem(entry.path);
  if (problem !== undefined) return problem;
  if (entry.kind === 'link') return linkProblem(entry.path, entry.target);
  if (!isMode(entry.mode)) return 'has a mode beyond 0777';
  return entry.kind === 'file' ? slicesProblem(entry) : undefined;
}

function slicesProblem(entry: {
  readonly sizeBytes: number;
  readonly digest: string;
  readonly slices: readonly Slice[];
}): string | undefined {
  if (!isDigest(entry.digest)) return 'has no digest';
  let sum = 0;
  for (const { offset, length } of entry.slices) {
    const inside =
      isCount(offset) && isCount(length) && length > 0 && offset + length <= CHUNK_BYTES;
    if (!inside) return 'has a slice outside its chunk';
    sum += length;
  }
  return sum === entry.sizeBytes ? undefined : 'has slices that do not add up to its size';
}

/** `a/b/c` -> `a`, `a/b`. */
function parentsOf(path: string): readonly string[] {
  const parents: string[] = [];
  for (let end = path.indexOf('/'); end !== -1; end = path.indexOf('/', end + 1)) {
    parents.push(path.slice(0, end));
  }
  return parents;
}

const invalid = (what: string): GridError => new GridError('MANIFEST_INVALID', `manifest ${what}`);

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value);
const isDigest = (value: string): boolean => /^[0-9a-f]{64}$/.test(value);
const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const isMode = (value: unknown): value is number => isCount(value) && value <= 0o777;
