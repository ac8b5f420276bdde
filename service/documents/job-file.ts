import { isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseAllDocuments } from 'yaml';
import { GridError, type Problem } from '../../core/errors.ts';
import type { Path } from '../../core/job/parse-value.ts';

/** A job as it was written, before anything is known to be right about it. */
export interface WrittenJob {
  readonly raw: unknown;
  /** Directory that its paths are relative to. */
  readonly base: string;
  /** What was found wrong in reading it, beside what its checks will find. */
  readonly problems?: readonly Problem[];
  /** The place of a value (or, with `key`, of its key) as `file:line:column`; `offset` counts into a text value. */
  readonly where: (path: Path, about?: 'key', offset?: number) => string;
}

/** A text with the name under which problems speak of it. */
export interface JobText {
  readonly name: string;
  readonly text: string;
  readonly base: string;
}

/**
 * The jobs of a YAML or JSON text, one per document; throws SPEC_INVALID for text that is neither. Values stay the texts
 * that were written (YAML's failsafe schema): `[true]` is the program `true` and `1.10` keeps its nought.
 */
export function readJobText(source: JobText): readonly WrittenJob[] {
  if (source.text.includes('\0'))
    throw invalidJobs([
      {
        where: source.name,
        message: 'it is no text: a program goes after `--`, a job file is YAML',
      },
    ]);
  const counter = new LineCounter();
  const documents = parseAllDocuments(source.text, {
    schema: 'failsafe',
    prettyErrors: false,
    lineCounter: counter,
  });
  const at = (offset: number): string => {
    const { line, col } = counter.linePos(offset);
    return `${source.name}:${line}:${col}`;
  };
  const list = 'empty' in documents ? [] : documents;
  const faults = list.flatMap((document) =>
    document.errors.map((error) => ({
      where: at(error.pos[0]),
      message: lowerFirst(shortened(error.message)),
    })),
  );
  if (faults.length > 0) throw invalidJobs(faults);
  const written = list.filter((document) => !isEmpty(document.contents));
  if (written.length === 0)
    throw invalidJobs([{ where: `${source.name}:1:1`, message: 'there is no job in it' }]);
  return written.map((document) => ({
    raw: document.toJS({ maxAliasCount: 100 }) as unknown,
    base: source.base,
    where: (path, about, offset = 0) =>
      at(placeOf(document.contents, path, { about, offset, text: source.text })),
  }));
}

/** SPEC_INVALID with its list. */
export function invalidJobs(problems: readonly Problem[]): GridError {
  const count = problems.length === 1 ? '1 thing is' : `${problems.length} things are`;
  return new GridError('SPEC_INVALID', `${count} wrong`, { problems });
}

const MOST_MESSAGE = 200;
/** What a parser says quotes the text, however long a line of it is. */
const shortened = (text: string): string =>
  text.length <= MOST_MESSAGE ? text : `${text.slice(0, MOST_MESSAGE - 1)}…`;

const lowerFirst = (text: string): string => `${text.charAt(0).toLowerCase()}${text.slice(1)}`;

const isEmpty = (node: Node | null): boolean =>
  node === null || (isScalar(node) && (node.value === '' || node.value === null));

interface Wanted {
  readonly about: 'key' | undefined;
  /** Offset into the value's own text. */
  readonly offset: number;
  readonly text: string;
}

/** Offset in the text of the deepest node on the path that was written. */
function placeOf(root: Node | null, path: Path, wanted: Wanted): number {
  let node: unknown = root;
  let place = startOf(root) ?? 0;
  for (const [depth, step] of path.entries()) {
    const last = depth === path.length - 1;
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && item.key.value === step);
      if (pair === undefined) return place;
      place = placeOfPair(pair, last && wanted.about === 'key') ?? place;
      node = pair.value;
    } else if (isSeq(node) && typeof step === 'number') {
      node = node.items[step];
      place = startOf(node) ?? place;
    } else {
      return place;
    }
  }
  return wanted.offset === 0 ? place : place + offsetInside(node, wanted);
}

const startOf = (node: unknown): number | undefined =>
  typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range)
    ? Number(node.range[0])
    : undefined;

function placeOfPair(pair: Pair, key: boolean): number | undefined {
  const empty = isScalar(pair.value) && pair.value.value === '';
  return key || empty || pair.value === null ? startOf(pair.key) : startOf(pair.value);
}

/** How far into the source the offset of a text value is; 0 where folding or escapes make that unclear. */
function offsetInside(node: unknown, { offset, text }: Wanted): number {
  const start = startOf(node);
  if (!isScalar(node) || typeof node.value !== 'string' || start === undefined) return 0;
  const source = text.slice(start, node.range?.[1]);
  const value = node.value.trimEnd();
  const found = source.indexOf(value);
  return found === -1 ? offsetInBlock(source, value, offset) : found + offset;
}

/** A block scalar (`|`) has the same lines, each with the same indent. */
function offsetInBlock(source: string, value: string, offset: number): number {
  const before = value.slice(0, offset).split('\n');
  const line = value.split('\n')[before.length - 1] ?? '';
  const found = line === '' ? -1 : source.indexOf(line);
  return found === -1 ? 0 : found + (before.at(-1) ?? '').length;
}
