import { GridError } from '../errors.ts';
import { openLeaves } from './leaves.ts';
import { CHUNK_BYTES, type Manifest, type ManifestEntry, type Slice } from './manifest.ts';
import { TREE_LIMITS } from './manifest-index.ts';
import { byPath, linkProblem, pathProblem } from './paths.ts';
import { openTextReader, type TextReader } from './text-reader.ts';

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

const CHUNK = /"[0-9a-f]{64}"/y;
/** An entry without its slices; no path in it is longer than one of 4096 bytes, each of them escaped. */
const ENTRY =
  /\["[dlf]","(?:[^"\\]|\\.){1,8192}",(?:\d{1,16}|"(?:[^"\\]|\\.){1,8192}")(?:,\d{1,16},"[0-9a-f]{64}")?/y;
const SLICE = /,\[(\d{1,16}),(\d{1,16}),(\d{1,16})\]/y;
/** Entries and slices of a part. */
const PART = 256;
/** A part in which there is nothing, while what takes long is read. */
const NOTHING: Manifest = { entries: [] };

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
  if (entry.kind !== 'file') return `${headOf(entry)}]`;
  const numbered = entry.slices.map(({ digest, offset, length }) => {
    const number = chunks.get(digest) ?? chunks.size;
    chunks.set(digest, number);
    return sliceText(number, offset, length);
  });
  return `${headOf(entry)}${numbered.join('')}]`;
}

/** What comes before its slices. */
function headOf(entry: ManifestEntry): string {
  const { kind, path } = entry;
  if (kind === 'directory') return `["d",${JSON.stringify(path)},${entry.mode}`;
  if (kind === 'link') return `["l",${JSON.stringify(path)},${JSON.stringify(entry.target)}`;
  return `["f",${JSON.stringify(path)},${entry.mode},${entry.sizeBytes},"${entry.digest}"`;
}

const sliceText = (number: number, offset: number, length: number): string =>
  `,[${number},${offset},${length}]`;

function listOf(chunks: ReadonlyMap<string, number>): string {
  const digests = [...chunks.keys()];
  if (!digests.every(isDigest)) throw invalid('has a slice of no chunk');
  return digests.map((digest) => `"${digest}"`).join(',');
}

/**
 * The tree of an encoding in parts, some of them empty, none of which takes long; throws MANIFEST_INVALID with what is wrong, and
 * until it has come to its end nothing is sure. Nothing in it leaves the tree.
 */
export function* decodeInParts(bytes: Uint8Array): Generator<Manifest, void, undefined> {
  const text = openTextReader(bytes, noJson);
  if (!text.skip(HEAD)) throw invalid('is of another version');
  const chunks = openChunks(yield* chunksIn(text));
  const check = openCheck();
  let [entries, size]: [ManifestEntry[], number] = [[], 0];
  for (let isFirst = true; !text.skip(END); isFirst = false) {
    if (!isFirst && !text.skip(',')) throw notCanonical();
    const entry = yield* entryIn(text, chunks);
    check(entry);
    entries.push(entry);
    size += entry.kind === 'file' ? entry.slices.length + 1 : 1;
    if (size < PART) continue;
    yield { entries };
    [entries, size] = [[], 0];
  }
  if (!text.isAtEnd()) throw notCanonical();
  chunks.finish();
  yield { entries };
}

/** The list of chunks, and what begins the one of entries. */
function* chunksIn(text: TextReader): Generator<Manifest, readonly string[], undefined> {
  const digests = new Set<string>();
  for (let isFirst = true; !text.skip(MIDDLE); isFirst = false) {
    if (!isFirst && !text.skip(',')) throw invalid('lacks its chunks or its entries');
    const found = text.match(CHUNK)?.[0];
    if (found === undefined) throw invalid('lacks its chunks or its entries');
    const digest = parse(found) as string;
    if (digests.has(digest)) throw invalid('lists a chunk twice');
    digests.add(digest);
    if (digests.size % PART === 0) yield NOTHING;
  }
  return [...digests];
}

interface Chunks {
  /** The chunk of this number; throws where another one should have been used before. */
  use(number: number): string;
  /** Throws where some were not used. */
  finish(): void;
}

function openChunks(digests: readonly string[]): Chunks {
  let used = 0;
  const isOrdered = (is: boolean): void => {
    if (!is) throw invalid('does not list its chunks as they are used');
  };
  return {
    use: (number) => {
      const digest = digests[number];
      if (digest === undefined) throw invalid('has a slice of no chunk');
      isOrdered(number <= used);
      used = Math.max(used, number + 1);
      return digest;
    },
    finish: () => isOrdered(used === digests.length),
  };
}

/** A part of a string would keep all of it in memory: what JSON gives is a copy. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw noJson(error);
  }
}

/** Types only: what the values may be is checked for all entries alike. */
function* entryIn(text: TextReader, chunks: Chunks): Generator<Manifest, ManifestEntry, undefined> {
  const head = text.match(ENTRY)?.[0];
  if (head === undefined) throw invalid('has an entry of another form');
  const entry = entryOf(parse(`${head}]`) as Row);
  if (headOf(entry) !== head) throw notCanonical();
  const slices = entry.kind === 'file' ? yield* slicesIn(text, chunks) : [];
  if (!text.skip(']')) throw notCanonical();
  return entry.kind === 'file' ? { ...entry, slices } : entry;
}

type Row = readonly [kind: string, path: string, third: unknown, size: unknown, digest: unknown];

function entryOf([kind, path, third, size, digest]: Row): ManifestEntry {
  if (kind === 'd' && isMode(third)) return { kind: 'directory', path, mode: third };
  if (kind === 'l' && typeof third === 'string') return { kind: 'link', path, target: third };
  if (kind === 'f' && isMode(third) && isCount(size) && typeof digest === 'string')
    return { kind: 'file', path, mode: third, sizeBytes: size, digest, slices: [] };
  throw invalid(`has an entry ${JSON.stringify(path)} that is neither file, directory nor link`);
}

function* slicesIn(
  text: TextReader,
  chunks: Chunks,
): Generator<Manifest, readonly Slice[], undefined> {
  const slices: Slice[] = [];
  for (let found = text.match(SLICE); found !== undefined; found = text.match(SLICE)) {
    const [number, offset, length] = [Number(found[1]), Number(found[2]), Number(found[3])];
    if (sliceText(number, offset, length) !== found[0]) throw notCanonical();
    slices.push({ digest: chunks.use(number), offset, length });
    if (slices.length > TREE_LIMITS.slices) throw tooLarge();
    if (slices.length % PART === 0) yield NOTHING;
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
const noJson = (cause: unknown): GridError =>
  new GridError('MANIFEST_INVALID', 'manifest is not JSON in UTF-8', { cause });
const notCanonical = (): GridError => invalid('is not in its canonical form');
const tooLarge = (): GridError => invalid('has more files, or pieces of them, than any tree');

const isDigest = (value: string): boolean => /^[0-9a-f]{64}$/.test(value);
const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const isMode = (value: unknown): value is number => isCount(value) && value <= 0o777;
