import { GridError } from '../errors.ts';

const MAX_NAME_BYTES = 255;
const MAX_PATH_BYTES = 4_096;

/** C0, DEL and C1: they hide what a person sees, and NUL ends a path for the kernel. */
const CONTROL = /\p{Cc}/u;

/** Most paths: names that begin with no dot, of nothing that needs a closer look. */
const PLAIN = /^[\w+=@,~-][\w+=@,~.-]*(?:\/[\w+=@,~-][\w+=@,~.-]*)*$/;

/** What is wrong with `text` as a path inside a tree, as the end of a sentence; undefined if nothing is. */
export const pathProblem = (text: string): string | undefined =>
  text.length <= MAX_NAME_BYTES && PLAIN.test(text) ? undefined : problemOf(text);

function problemOf(text: string): string | undefined {
  if (text === '') return 'is empty';
  if (!text.isWellFormed()) return 'is not valid Unicode';
  if (CONTROL.test(text)) return 'has a control character';
  if (text.includes('\\')) return 'has a backslash';
  if (text.startsWith('/')) return 'is absolute';
  if (text.normalize('NFC') !== text) return 'is not in Unicode normal form C';
  const names = text.split('/');
  if (names.includes('')) return 'has an empty part';
  if (names.some((name) => name === '.' || name === '..')) return "has a part '.' or '..'";
  if (names.some((name) => isLonger(name, MAX_NAME_BYTES))) return 'has a name over 255 bytes';
  return isLonger(text, MAX_PATH_BYTES) ? 'is longer than 4096 bytes' : undefined;
}

/** `text` if it is a relative, normal path that stays inside its tree; else throws PATH_REFUSED. */
export function safePath(text: string): string {
  const problem = pathProblem(text);
  if (problem === undefined) return text;
  throw new GridError('PATH_REFUSED', `path ${JSON.stringify(text)} ${problem}`);
}

/**
 * What is wrong with the target of a symbolic link at `path`; undefined if it stays inside the tree whatever other
 * links the tree has. For that `..` may stand only at its beginning: after a name, which can itself be a link, it would
 * lead out (`a/up -> ..`, `x -> a/up/..`).
 */
export function linkProblem(path: string, target: string): string | undefined {
  const names = target.split('/');
  const down = names.findIndex((name) => name !== '..');
  const ups = down === -1 ? names.length : down;
  if (ups > path.split('/').length - 1) return 'leads out of the tree';
  return down === -1 ? undefined : pathProblem(names.slice(ups).join('/'));
}

/** Code unit order: the order of entries in a manifest. */
export const byPath = (a: { readonly path: string }, b: { readonly path: string }): number =>
  a.path < b.path ? -1 : Number(a.path > b.path);

/** Whether `path` is `folder` or lies below it. */
export const isWithin = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(`${folder}/`);

/** In UTF-8, where a code unit has three bytes at most. */
const isLonger = (text: string, bytes: number): boolean =>
  text.length * 3 > bytes && new TextEncoder().encode(text).byteLength > bytes;
