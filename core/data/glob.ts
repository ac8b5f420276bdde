/** A pattern for paths. However it is written, looking at a path takes no longer than the product of their lengths. */
export interface Glob {
  /** It has no wildcard. */
  readonly isLiteral: boolean;
  /** Whether it stands for the path, or for a folder that the path is in. */
  matches(path: string): boolean;
  /** Whether it may stand for something in the folder. */
  reaches(folder: string): boolean;
}

/** Says of a character, and of whether a name begins with it. */
type Takes = (character: string, isFirst: boolean) => boolean;

/** A place in a pattern. Without `takes` what comes next is looked at without a step. */
interface Place {
  readonly takes?: Takes;
  readonly to: Place[];
}

const END: Place = { to: [] };
const SLASH: Takes = (character) => character === '/';
/** A dot that begins a name is met by nothing but a dot that begins a name in the pattern. */
const ANY: Takes = (character, isFirst) => !(isFirst && character === '.');
const IN_NAME: Takes = (character, isFirst) => character !== '/' && ANY(character, isFirst);

/**
 * Reads `*`, `?`, `[a-z]`, `[!a-z]`, `{a,b}` and, as a whole name, `**`; a backslash takes the meaning from what follows. Expressions
 * are not used: whoever submits writes the pattern, and some take a regular expression years.
 */
export function compileGlob(pattern: string): Glob {
  const reader: Reader = {
    text: Array.from(pattern),
    at: 0,
    isLiteral: true,
    loose: new Set(),
    depth: 0,
    begins: true,
  };
  const parts = partsOf(reader, true, false);
  const below: Place = { takes: SLASH, to: [many(ANY, END)] };
  const start = chain(parts, { to: [END, below] });
  return {
    isLiteral: reader.isLiteral,
    matches: (path) => placesBehind(start, path).has(END),
    reaches: (folder) => placesBehind(start, `${folder}/`).size > 0,
  };
}

/** Where a pattern may be when it has taken a text; nowhere if it cannot take it. */
function placesBehind(start: Place, path: string): ReadonlySet<Place> {
  let here = new Set<Place>();
  enter(start, here);
  let isFirst = true;
  for (const character of path) {
    const next = new Set<Place>();
    for (const { takes, to } of here)
      if (takes?.(character, isFirst) === true) for (const place of to) enter(place, next);
    here = next;
    if (next.size === 0) break;
    isFirst = character === '/';
  }
  return here;
}

function enter(place: Place, places: Set<Place>): void {
  if (places.has(place)) return;
  places.add(place);
  if (place.takes === undefined) for (const next of place.to) enter(next, places);
}

/** A part of a pattern, which is given the place behind it. */
type Part = (next: Place) => Place;

const chain = (parts: readonly Part[], end: Place): Place =>
  parts.reduceRight((next, part) => part(next), end);

const one =
  (takes: Takes): Part =>
  (next) => ({ takes, to: [next] });

/** None or more. */
function many(takes: Takes, next: Place): Place {
  const place: Place = { to: [next] };
  place.to.push({ takes, to: [place] });
  return place;
}

interface Reader {
  readonly text: readonly string[];
  at: number;
  isLiteral: boolean;
  /** Where braces open that are none: each is read once. */
  readonly loose: Set<number>;
  /** Braces around the place. */
  depth: number;
  /** A name may begin behind what was read last. */
  begins: boolean;
}

/** Up to the end, or in braces up to what ends one of their choices. `isFirst` where a name may begin. */
function partsOf(reader: Reader, isFirst: boolean, inBraces: boolean): readonly Part[] {
  const parts: Part[] = [];
  let begins = isFirst;
  while (reader.at < reader.text.length) {
    const character = reader.text[reader.at] ?? '';
    if (inBraces && (character === ',' || character === '}')) break;
    parts.push(partOf(reader, begins));
    begins = reader.begins || reader.text[reader.at - 1] === '/';
  }
  reader.begins = begins;
  return parts;
}

function partOf(reader: Reader, isFirst: boolean): Part {
  const { text, at } = reader;
  const character = text[at] ?? '';
  reader.begins = false;
  const special =
    character === '*'
      ? starsOf(reader, isFirst)
      : character === '['
        ? setOf(reader)
        : character === '{'
          ? choicesOf(reader, isFirst)
          : undefined;
  if (special !== undefined || character === '?') reader.isLiteral = false;
  if (special !== undefined) return special;
  reader.at += 1;
  if (character === '?') return one(IN_NAME);
  if (character !== '\\' || at + 1 >= text.length) return literal(character, isFirst);
  reader.at += 1;
  return literal(text[at + 1] ?? '', isFirst);
}

const literal = (wanted: string, begins: boolean): Part =>
  one((character, isFirst) => character === wanted && (begins || ANY(character, isFirst)));

function starsOf(reader: Reader, isFirst: boolean): Part {
  const { text } = reader;
  const from = reader.at;
  while (text[reader.at] === '*') reader.at += 1;
  const after = text[reader.at];
  const isDeep = reader.at - from > 1 && isFirst && (after === undefined || after === '/');
  if (!isDeep) return (next) => many(IN_NAME, next);
  if (after === undefined) return (next) => many(ANY, next);
  reader.at += 1;
  return (next) => ({ to: [next, many(ANY, { takes: SLASH, to: [next] })] });
}

/** `[a-z]`, `[!a-z]`; undefined where it has no end. */
function setOf(reader: Reader): Part | undefined {
  const { text } = reader;
  const isNot = text[reader.at + 1] === '!' || text[reader.at + 1] === '^';
  let at = reader.at + (isNot ? 2 : 1);
  const ranges: (readonly [number, number])[] = [];
  const next = (): number => {
    if (text[at] === '\\') at += 1;
    return (text[at++] ?? '').codePointAt(0) ?? 0;
  };
  do {
    const first = next();
    const isRange = text[at] === '-' && text[at + 1] !== ']' && at + 1 < text.length;
    if (isRange) at += 1;
    ranges.push([first, isRange ? next() : first]);
  } while (at < text.length && text[at] !== ']');
  if (at >= text.length) return undefined;
  reader.at = at + 1;
  return one((character, isFirst) => {
    const code = character.codePointAt(0) ?? 0;
    const isIn = ranges.some(([first, last]) => first <= code && code <= last);
    return isIn !== isNot && IN_NAME(character, isFirst);
  });
}

/** Braces deeper than this are taken as they are. */
const MOST_DEPTH = 64;

/** `{a,b}`; undefined where it has no end or no choice. */
function choicesOf(reader: Reader, isFirst: boolean): Part | undefined {
  const { at, isLiteral, loose } = reader;
  if (loose.has(at) || reader.depth === MOST_DEPTH) return undefined;
  const choices: (readonly Part[])[] = [];
  let begins = false;
  reader.depth += 1;
  do {
    reader.at += 1;
    choices.push(partsOf(reader, isFirst, true));
    begins ||= reader.begins;
  } while (reader.text[reader.at] === ',');
  reader.depth -= 1;
  reader.begins = begins;
  if (reader.text[reader.at] === '}' && choices.length > 1) {
    reader.at += 1;
    return (next) => ({ to: choices.map((parts) => chain(parts, next)) });
  }
  loose.add(at);
  reader.begins = false;
  reader.at = at;
  reader.isLiteral = isLiteral;
  return undefined;
}
