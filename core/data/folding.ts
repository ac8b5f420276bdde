/** Two paths with one parent that a file system may take for one, because it folds names. */
export interface Twins {
  readonly first: string;
  readonly second: string;
}

/** Names of nothing but these fold to themselves. */
const PLAIN = /^[a-z0-9/._+~#@%=,:;!()[\]{} -]*$/;
const ASCII = /^\p{ASCII}*$/u;
const IGNORED = /\p{Default_Ignorable_Code_Point}/gu;

/** As coarse as any file system: case, ways to write a letter, and what cannot be seen do not count. */
const fold = (name: string): string => (ASCII.test(name) ? name.toLowerCase() : foldAll(name));

const foldAll = (name: string): string =>
  name.normalize('NFKD').replaceAll(IGNORED, '').toUpperCase().toLowerCase().normalize('NFKD');

/**
 * Paths (`/`-separated) that differ in nothing that every file system tells apart; of folders the uppermost that do, and
 * nothing below them. Whether they are one somewhere is for that place to say.
 */
export function foldedTwins(paths: readonly string[]): readonly Twins[] {
  if (paths.every((path) => PLAIN.test(path))) return [];
  const twins: Twins[] = [];
  /** The first path with a folded form. */
  const byFolded = new Map<string, string>();
  /** Whether a path is a first one and not the twin of another. */
  const known = new Map<string, boolean>();
  const enter = (path: string): boolean => {
    const before = known.get(path);
    if (before !== undefined) return before;
    const cut = path.lastIndexOf('/');
    const parent = cut <= 0 ? '' : path.slice(0, cut);
    const isAlone =
      (parent === '' || enter(parent)) && enterHere(path, parent, path.slice(cut + 1));
    known.set(path, isAlone);
    return isAlone;
  };
  const enterHere = (path: string, parent: string, name: string): boolean => {
    const folded = `${parent}/${fold(name)}`;
    const first = byFolded.get(folded);
    if (first === undefined) byFolded.set(folded, path);
    else twins.push({ first, second: path });
    return first === undefined;
  };
  for (const path of paths) enter(path);
  return twins;
}
