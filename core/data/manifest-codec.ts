import { GridError } from '../errors.ts';
import { openLeaves } from './leaves.ts';
import { CHUNK_BYTES, type Manifest, type ManifestEntry, type Slice } from './manifest.ts';
import { TREE_LIMITS } from './manifest-index.ts';
import { byPath, linkProblem, pathProblem } from './paths.ts';

/**
 * The encoding is one line of JSON, and there is exactly one for each tree, because its digest names the tree:
 *
 *     {"manifest":1,"chunks":[hex...],"entries":[["d",path,mode],["l",path,target],["f",path,mode,size,hex,[n,offset,length]...]]}
 *
 * `n` is an index into `chunks`, which stand in the order of their first use. Whoever decodes, encodes each entry again and
 * compares: anything that is not canonical (order, spaces, unknown keys, repeated keys) is refused without a rule of its own. It is
 * decoded entry by entry: as JSON the whole of it takes ten times its length in memory, and lists of nothing (`{},{}`) twenty times.
 */
const [HEAD, MIDDLE, END] = ['{"manifest":1,"chunks":[', '],"entries":[', ']}'];

/** A chunk's digest in quotes, and a comma. */
const CHUNK_CHARS = 67;
/** What stands between two entries, and nowhere else in a manifest. */
const BETWEEN = '],["';
/** An entry without its slices; no path in it is longer than one of 4096 bytes, each of them escaped. */
const ENTRY =
  /\["[dlf]","(?:[^"\\]|\\.){1,8192}",(?:\d{1,16}|"(?:[^"\\]|\\.){1,8192}")(?:,\d{1,16},"[0-9a-f]{64}")?/y;
const SLICE = /,\[(\d{1,16}),(\d{1,16}),(\d{1,16})\]/y;
/** Entries between two pauses. */
const PAUSE_EVERY = 4_096;

/** One line of JSON in UTF-8. The entries may be in any order; throws MANIFEST_INVALID for a tree that cannot be. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const entries = manifest.entries.toSorted(byPath);
  const check = openCheck();
  const chunks = new Map<string, number>();
  const rows = entries.map((entry) => {
    check(entry);
    return rowOf(entry, chunks);
  });
  const list = listOf(chunks);
  return new TextEncoder().encode(`${HEAD}${list}${MIDDLE}${rows.join(',')}${END}`);
}

/** An entry as it is written; `chunks` are those so far, with their numbers. */
function rowOf(entry: ManifestEntry, chunks: Map<string, number>): string {
  if (entry.kind === 'directory') return JSON.stringify(['d', entry.path, entry.mode]);
  if (entry.kind === 'link') return JSON.stringify(['l', entry.path, entry.target]);
  const numbered = entry.slices.map(({ digest, offset, length }) => {
    const number = chunks.get(digest) ?? chunks.size;
    chunks.set(digest, number);
    return [number, offset, length];
  });
  const { path, mode, sizeBytes, digest } = entry;
  return JSON.stringify(['f', path, mode, sizeBytes, digest, ...numbered]);
}

function listOf(chunks: ReadonlyMap<string, number>): string {
  const digests = [...chunks.keys()];
  if (!digests.every(isDigest)) throw invalid('has a slice of no chunk');
  return digests.map((digest) => `"${digest}"`).join(',');
}

/** The tree of an encoding; throws MANIFEST_INVALID with what is wrong. Nothing in it leaves the tree. */
export function decodeManifest(bytes: Uint8Array): Manifest {
  const steps = decodeInSteps(bytes);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/** The same for a caller that must not be held up by a large tree: it does something else at each pause. */
export function* decodeInSteps(bytes: Uint8Array): Generator<undefined, Manifest, undefined> {
  const text = decodeText(bytes);
  if (!text.startsWith(HEAD)) throw invalid('is of another version');
  const middle = text.indexOf(MIDDLE);
  if (middle === -1 || !text.endsWith(END)) throw invalid('lacks its chunks or its entries');
  checkNumber(text, middle);
  const list = text.slice(HEAD.length, middle);
  const digests = chunksIn(list);
  const check = openCheck();
  const used = new Map<string, number>();
  const entries: ManifestEntry[] = [];
  const end = text.length - END.length;
  let at = middle + MIDDLE.length;
  while (at < end) {
    const entry = entryAt(text, at, digests);
    check(entry);
    const row = rowOf(entry, used);
    // Of text that is well-formed there is one encoding in UTF-8.
    const next = at + row.length;
    if (!text.startsWith(row, at) || (next < end && text[next] !== ','))
      throw invalid('is not in its canonical form');
    entries.push(entry);
    if (entries.length % PAUSE_EVERY === 0) yield;
    at = next + 1;
  }
  // Where there is no entry nothing stands between them, and else nothing behind the last one.
  if (at !== end + Math.min(1, entries.length)) throw invalid('is not in its canonical form');
  if (list !== listOf(used)) throw invalid('does not list its chunks as they are used');
  return { entries };
}

/** Before much is made of them. */
function checkNumber(text: string, from: number): void {
  let entries = 1;
  for (let at = text.indexOf(BETWEEN, from); at !== -1; at = text.indexOf(BETWEEN, at + 1)) {
    entries += 1;
    if (entries > TREE_LIMITS.entries) throw tooLarge();
  }
}

function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new GridError('MANIFEST_INVALID', 'manifest is not JSON in UTF-8', { cause: error });
  }
}

/** A part of a string would keep all of it in memory: what JSON gives is a copy. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new GridError('MANIFEST_INVALID', 'manifest is not JSON in UTF-8', { cause: error });
  }
}

const chunksIn = (list: string): readonly unknown[] =>
  Array.from({ length: Math.ceil(list.length / CHUNK_CHARS) }, (_, n) =>
    parse(list.slice(n * CHUNK_CHARS, (n + 1) * CHUNK_CHARS - 1)),
  );

/** Types only: what the values may be is checked for all entries alike. */
function entryAt(text: string, at: number, chunks: readonly unknown[]): ManifestEntry {
  const head = headAt(text, at);
  const [kind, path, third, size, digest] = parse(`${head}]`) as readonly [
    string,
    string,
    unknown,
    unknown,
    unknown,
  ];
  if (kind === 'd' && isMode(third)) return { kind: 'directory', path, mode: third };
  if (kind === 'l' && typeof third === 'string') return { kind: 'link', path, target: third };
  if (kind === 'f' && isMode(third) && isCount(size) && typeof digest === 'string') {
    const slices = slicesAt(text, at + head.length, chunks);
    return { kind: 'file', path, mode: third, sizeBytes: size, digest, slices };
  }
  throw invalid(`has an entry ${JSON.stringify(path)} that is neither file, directory nor link`);
}

function headAt(text: string, at: number): string {
  ENTRY.lastIndex = at;
  const head = ENTRY.exec(text)?.[0];
  if (head === undefined) throw invalid('has an entry of another form');
  return head;
}

function slicesAt(text: string, at: number, chunks: readonly unknown[]): readonly Slice[] {
  const slices: Slice[] = [];
  SLICE.lastIndex = at;
  for (let found = SLICE.exec(text); found !== null; found = SLICE.exec(text)) {
    const [index, offset, length] = [Number(found[1]), Number(found[2]), Number(found[3])];
    const digest = chunks[index];
    if (typeof digest !== 'string') throw invalid('has a slice of no chunk');
    slices.push({ digest, offset, length });
    if (slices.length > TREE_LIMITS.slices) throw tooLarge();
  }
  return slices;
}

/** Is to be called with each entry, sorted by path; throws MANIFEST_INVALID. */
function openCheck(): (entry: ManifestEntry) => void {
  const isBelowLeaf = openLeaves();
  let last = '';
  const count = { entries: 0, slices: 0 };
  return (entry) => {
    count.entries += 1;
    if (entry.kind === 'file') count.slices += entry.slices.length;
    if (count.entries > TREE_LIMITS.entries || count.slices > TREE_LIMITS.slices) throw tooLarge();
    const problem = entryProblem(entry);
    if (problem !== undefined)
      throw invalid(`has a path ${JSON.stringify(entry.path)} that ${problem}`);
    if (entry.path <= last)
      throw invalid(`has ${JSON.stringify(entry.path)} twice or out of order`);
    if (isBelowLeaf(entry))
      throw invalid(`has ${JSON.stringify(entry.path)} below something that is no directory`);
    last = entry.path;
  };
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

const invalid = (what: string): GridError => new GridError('MANIFEST_INVALID', `manifest ${what}`);
const tooLarge = (): GridError => invalid('has more files, or pieces of them, than any tree');

const isDigest = (value: string): boolean => /^[0-9a-f]{64}$/.test(value);
const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const isMode = (value: unknown): value is number => isCount(value) && value <= 0o777;
