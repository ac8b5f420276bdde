import { isDatasetInput, parseDataset } from '../data/dataset.ts';
import { pathProblem } from '../data/paths.ts';
import { isRemoteInput, joinRemote, parseRemote, type RemoteParts } from '../data/remote-file.ts';
import { suggestion } from '../nearest.ts';
import { isOutside, parseAnywhere } from './outside.ts';
import type { CheckRef } from './parse-after.ts';
import { type Collect, isRecord, type Path, scalarText } from './parse-value.ts';
import { type InputFile, isFileInput } from './spec.ts';
import { isGlob, parseTarget } from './spec-path.ts';

/** An input with the way to where it was written; `from` may be absolute or lead out of the submit directory. */
export interface WrittenInput extends InputFile {
  readonly path: Path;
}

/**
 * `path`, `{from, to}`, `job:ID=TO`, `grid:/VO/NAME=TO`, `https://...#sha256=HEX=TO`, or a list of them. `to` is `from` where it is
 * not given, of what lies outside the submit directory its last name; for a glob with a `to` of its own it is the directory that the
 * matches come into. Two inputs for one place are a problem.
 */
export function parseInputs(
  value: unknown,
  collect: Collect,
  check: CheckRef,
): readonly WrittenInput[] {
  if (value === undefined || value === null || value === '') return [];
  const items = Array.isArray(value) ? value : [value];
  const inputs = items.flatMap((item: unknown, index) => {
    const path = Array.isArray(value) ? ['inputs', index] : ['inputs'];
    const input = inputOf(item, path, collect, check);
    return input === undefined ? [] : [input];
  });
  const places = new Map<string, WrittenInput>();
  for (const input of inputs.filter(({ from }) => !isFileInput(from) || !isGlob(from))) {
    const earlier = places.get(input.to);
    if (earlier !== undefined)
      collect(input.path, `'${input.from}' and '${earlier.from}' would both be '${input.to}'`);
    places.set(input.to, input);
  }
  return inputs;
}

function inputOf(
  item: unknown,
  path: Path,
  collect: Collect,
  check: CheckRef,
): WrittenInput | undefined {
  const text = scalarText(item);
  if (text !== undefined) {
    const [from, to] = splitText(text);
    return checked(sourceOf(from, check), to, path, collect);
  }
  if (!isRecord(item)) {
    collect(path, "an input is a path, or a set of 'from' and 'to'");
    return undefined;
  }
  const from = fromOf(item, path, collect);
  if (from === undefined) return undefined;
  const to = item['to'];
  const toText = to === undefined || to === null ? undefined : scalarText(to);
  if (to !== undefined && to !== null && toText === undefined) {
    collect([...path, 'to'], "'to' must be a path");
    return undefined;
  }
  return checked(sourceOf(from, check), toText, path, collect);
}

/** `job:ID=TO`, `grid:/VO/NAME=TO` and `URL#sha256=HEX=TO`; of anything else it is all a path. */
function splitText(text: string): readonly [string, string?] {
  const cut = /^((?:job|grid):[^=]*|[^#]*:\/\/[^#]*#sha256=[^=]*)=(.*)$/s.exec(text);
  return cut === null ? [text] : [cut[1] ?? '', cut[2] ?? ''];
}

const KEYS = ['from', 'to'];
const REMOTE_KEYS = ['sha256', 'endpoint', 'region'] as const;

/** The source of an input that is written as a set; what a remote file has beside its address is put into it. */
function fromOf(
  item: Readonly<Record<string, unknown>>,
  path: Path,
  collect: Collect,
): string | undefined {
  const from = scalarText(item['from']);
  const known = [...KEYS, ...(from !== undefined && isRemoteInput(from) ? REMOTE_KEYS : [])];
  for (const key of Object.keys(item).filter((name) => !known.includes(name)))
    collect([...path, key], `an input has no key '${key}'${suggestion(key, known)}`, 'key');
  if (from === undefined) {
    collect(path, "an input needs 'from'");
    return undefined;
  }
  if (!isRemoteInput(from)) return from;
  const parts = REMOTE_KEYS.flatMap((key) => {
    const text = scalarText(item[key]);
    if (text === undefined && item[key] !== undefined)
      collect([...path, key], `'${key}' must be a text`);
    return text === undefined ? [] : [[key, text] as const];
  });
  return joinRemote(from, Object.fromEntries(parts) as RemoteParts);
}

function checked(
  source: Source,
  to: string | undefined,
  path: Path,
  collect: Collect,
): WrittenInput | undefined {
  if (!source.ok) {
    collect(to === undefined ? path : [...path, 'from'], source.message);
    return undefined;
  }
  const name = to ?? source.name;
  if (name === undefined) {
    collect(path, `'${source.from}' ${WITHOUT_NAME}`);
    return undefined;
  }
  const place = parseTarget(name);
  const problem = place.ok ? unsafe(place.path, source.from) : place.message;
  if (!place.ok || problem !== undefined) {
    const own = to === undefined && source.from === source.name;
    collect(own ? path : [...path, 'to'], problem ?? '');
    return undefined;
  }
  return { from: source.from, to: place.path, path };
}

const WITHOUT_NAME =
  "has no name in the job's directory: write {from: DIR, to: NAME}, or `-i DIR=NAME`";

/** What no site would make in the job's directory; the places of a glob's matches are known later. */
function unsafe(place: string, from: string): string | undefined {
  if (place === '.' || (isFileInput(from) && isGlob(from))) return undefined;
  const problem = pathProblem(place);
  return problem === undefined ? undefined : `'${place}' ${problem}`;
}

/** Where an input comes from, and the name that it has at the task when it is given no other, if it has one. */
type Source =
  | { readonly ok: true; readonly from: string; readonly name: string | undefined }
  | { readonly ok: false; readonly message: string };

function sourceOf(from: string, check: CheckRef): Source {
  if (from.startsWith('job:')) {
    const id = from.slice('job:'.length);
    const problem = check(id);
    return problem === undefined ? { ok: true, from, name: id } : { ok: false, message: problem };
  }
  if (isDatasetInput(from)) {
    const dataset = parseDataset(from);
    if (!dataset.ok) return dataset;
    return { ok: true, from, name: dataset.ref.name.split('/').at(-1) ?? '' };
  }
  if (isRemoteInput(from)) {
    const remote = parseRemote(from);
    if (!remote.ok) return remote;
    return { ok: true, from, name: remote.file.name === '' ? 'download' : remote.file.name };
  }
  const file = parseAnywhere(from);
  if (!file.ok) return file;
  return {
    ok: true,
    from: file.path,
    name: isOutside(file.path) ? lastName(file.path) : file.path,
  };
}

/** What comes from outside the directory has the last name of its path; matches of a glob each have their own. */
function lastName(path: string): string | undefined {
  if (isGlob(path)) return '.';
  const name = path.split('/').at(-1);
  return name === '..' ? undefined : name;
}
