import { formProblem, type ParsedPath, parsePath } from './spec-path.ts';

/** Where inputs that lie outside the submit directory stand in the tree of inputs, each by its whole path. */
const FOLDER = '.grid/outside';

/** The place in the tree of inputs of an absolute, normal path outside the submit directory. */
export const placeOfOutside = (path: string): string => `${FOLDER}${path}`;

/** The absolute path that a place in the tree of inputs stands for; undefined for a place of the submit directory. */
export const outsidePath = (place: string): string | undefined =>
  place.startsWith(`${FOLDER}/`) ? place.slice(FOLDER.length) : undefined;

/** Whether a path leads, or may lead, out of the directory it is seen from. */
export const isOutside = (path: string): boolean =>
  path.startsWith('/') || path.split('/').includes('..');

/** `path` without `.`, doubled slashes and every `..` that takes back a name; `.` is the directory itself. */
export function normalPath(path: string): string {
  const parts: string[] = [];
  const root = path.startsWith('/') ? '/' : '';
  for (const part of path.split('/').filter((text) => text !== '' && text !== '.')) {
    if (part !== '..') parts.push(part);
    else if (parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else if (root === '') parts.push(part);
  }
  return `${root}${parts.join('/')}` || '.';
}

/** A path of the submitter's machine, from anywhere on it; one that does not leave the directory comes as `parsePath` gives it. */
export function parseAnywhere(text: string): ParsedPath {
  const path = normalPath(text);
  if (path === '/') return refused("'/' is the whole machine: name what the job needs of it");
  if (outsidePath(path) !== undefined)
    return refused(`'${text}' is in ${FOLDER}, which is the grid's own`);
  if (!isOutside(path)) return parsePath(text === '' ? '' : path);
  const problem = formProblem(path);
  return problem === undefined ? { ok: true, path } : refused(problem);
}

const refused = (message: string): ParsedPath => ({ ok: false, message });
