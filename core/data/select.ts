import { GridError } from '../errors.ts';
import type { InputFile } from '../job/spec.ts';
import { openLeaves } from './leaves.ts';
import type { Manifest, ManifestEntry } from './manifest.ts';
import { byPath, linkProblem, safePath } from './paths.ts';

export type FileEntry = Extract<ManifestEntry, { readonly kind: 'file' }>;

/**
 * The part of a tree that a task wants, under the paths where it wants it: `from` names an entry or a whole folder (`.` is
 * the root), `to` its new place (`.` puts the content of a folder at the top). Throws INPUT_MISSING for a `from` that
 * the tree has not, PATH_REFUSED for two inputs on one path, one below a file or link, or a link that would lead out of its new place.
 */
export function selectTree(manifest: Manifest, inputs: readonly InputFile[]): Manifest {
  const chosen = new Map<string, ManifestEntry>();
  const named = entriesBelow(manifest, new Set(inputs.map(({ from }) => from)));
  for (const { from, to } of inputs) {
    const found = from === '.' ? manifest.entries : (named.get(from) ?? []);
    if (found.length === 0 && from !== '.') {
      throw new GridError('INPUT_MISSING', `the input tree has no '${from}'`);
    }
    for (const entry of found) {
      const path = movedPath(entry.path, from, to);
      if (path !== undefined) add(chosen, { ...entry, path });
    }
  }
  const entries = [...chosen.values()].toSorted(byPath);
  const below = entries.find(openLeaves());
  if (below !== undefined)
    throw new GridError(
      'PATH_REFUSED',
      `'${below.path}' lands below an input that is no directory`,
    );
  return { entries };
}

/** The entries that have one of these paths, or are below it. As many inputs as files must not take their product in time. */
function entriesBelow(
  { entries }: Manifest,
  paths: ReadonlySet<string>,
): ReadonlyMap<string, readonly ManifestEntry[]> {
  const below = new Map<string, ManifestEntry[]>();
  for (const entry of entries)
    for (let end = entry.path.length; end > 0; end = entry.path.lastIndexOf('/', end - 1)) {
      const path = entry.path.slice(0, end);
      const there = below.get(path);
      if (there !== undefined) there.push(entry);
      else if (paths.has(path)) below.set(path, [entry]);
    }
  return below;
}

/** Entries whose path `wanted` is true of, at the places they have. */
export const filterTree = (manifest: Manifest, wanted: (path: string) => boolean): Manifest => ({
  entries: manifest.entries.filter((entry) => wanted(entry.path)),
});

/** The files of a tree. */
export const filesOf = (manifest: Manifest): readonly FileEntry[] =>
  manifest.entries.filter((entry) => entry.kind === 'file');

/** Every chunk that the tree needs, once each, in the order of first use. */
export const chunksOf = (manifest: Manifest): readonly string[] => [
  ...new Set(filesOf(manifest).flatMap(({ slices }) => slices.map(({ digest }) => digest))),
];

/** What of `wanted` is not in `present`, once each, in order. */
export const missingOf = (
  wanted: readonly string[],
  present: ReadonlySet<string>,
): readonly string[] => [...new Set(wanted)].filter((digest) => !present.has(digest));

/** Undefined for the root itself, which always exists. */
function movedPath(path: string, from: string, to: string): string | undefined {
  const rest = from === '.' ? path : path.slice(from.length + 1);
  const moved = to === '.' ? rest : [to, rest].filter((part) => part !== '').join('/');
  return moved === '' ? undefined : safePath(moved);
}

/** Notes what comes into one directory from several trees; throws PATH_REFUSED where two inputs on one path are not the same. */
export function openPlaces(): (entry: ManifestEntry) => void {
  const taken = new Map<string, ManifestEntry>();
  return (entry) => add(taken, entry);
}

function add(chosen: Map<string, ManifestEntry>, entry: ManifestEntry): void {
  const problem = entry.kind === 'link' ? linkProblem(entry.path, entry.target) : undefined;
  if (problem !== undefined) {
    throw new GridError('PATH_REFUSED', `link '${entry.path}' ${problem}`);
  }
  const there = chosen.get(entry.path);
  if (there !== undefined && !sameEntry(there, entry)) {
    throw new GridError('PATH_REFUSED', `two inputs land on '${entry.path}'`);
  }
  chosen.set(entry.path, entry);
}

function sameEntry(a: ManifestEntry, b: ManifestEntry): boolean {
  if (a.kind === 'file' && b.kind === 'file') return a.digest === b.digest && a.mode === b.mode;
  if (a.kind === 'link' && b.kind === 'link') return a.target === b.target;
  return a.kind === 'directory' && b.kind === 'directory';
}
