/**
 * What a gateway does itself with the data of a task, instead of starting a program. A transfer is a job like any other: it
 * is placed at its site, tried again, explained and cancelled in the same way.
 */
export type Transfer =
  /** Puts the input into a directory of the site's own. */
  | { readonly kind: 'write'; readonly path: string; readonly force: boolean }
  /** Takes a file or directory of the site's own as the result. */
  | { readonly kind: 'read'; readonly path: string }
  /** Puts the input into the site's cache. */
  | { readonly kind: 'warm' };

/** No program has such a name. */
const PREFIX = 'grid:';

/** The command of a job that carries out a transfer. */
export function transferCommand(transfer: Transfer): readonly string[] {
  const words = [PREFIX + transfer.kind];
  if (transfer.kind === 'warm') return words;
  const force = transfer.kind === 'write' && transfer.force;
  return [...words, transfer.path, ...(force ? ['force'] : [])];
}

/** The transfer that a command stands for; undefined for a program. */
export function transferOf(command: readonly string[]): Transfer | undefined {
  const [word = '', path = '', force] = command;
  const [wanted] = [
    { kind: 'warm' } as const,
    { kind: 'read', path } as const,
    { kind: 'write', path, force: force !== undefined } as const,
  ].filter(({ kind }) => PREFIX + kind === word);
  if (wanted === undefined) return undefined;
  // Whatever says it in other words is none.
  const words = transferCommand(wanted);
  const isSame = words.length === command.length && words.every((each, at) => each === command[at]);
  const isSound = wanted.kind === 'warm' || sitePathProblem(path) === undefined;
  return isSame && isSound ? wanted : undefined;
}

/** What is wrong with `path` as one of a site's own, as the end of a sentence; undefined if nothing is. */
export function sitePathProblem(path: string): string | undefined {
  if (/\p{Cc}/u.test(path)) return 'has a control character';
  if (!path.startsWith('/')) return 'is not absolute';
  const names = path === '/' ? [] : path.slice(1).split('/');
  if (names.includes('')) return 'has an empty part';
  return names.some((name) => name === '.' || name === '..') ? "has a part '.' or '..'" : undefined;
}
