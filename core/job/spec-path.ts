/** What a path in a job came to. */
export type ParsedPath =
  | { readonly ok: true; readonly path: string }
  | { readonly ok: false; readonly message: string };

const refused = (message: string): ParsedPath => ({ ok: false, message });

/** What is wrong with the form of a path, wherever it leads; undefined if nothing is. */
export function formProblem(text: string): string | undefined {
  if (text === '') return 'the path is empty';
  if (text.length > 1_024) return `the path has ${text.length} characters, at most 1024`;
  return text.includes('\0') ? 'the path has a NUL in it' : undefined;
}

/** A relative path (or glob) below a directory, without `.` parts and doubled slashes. `.` is the directory itself. */
export function parsePath(text: string): ParsedPath {
  const problem = formProblem(text);
  if (problem !== undefined) return refused(problem);
  if (text.startsWith('/')) return refused(`'${text}' is absolute: write a relative path`);
  const parts = text.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) return refused(`'${text}' may leave the directory: write no '..'`);
  return { ok: true, path: parts.length === 0 ? '.' : parts.join('/') };
}

/** A path in the task's directory; `.grid` is the grid's own. */
export function parseTarget(text: string): ParsedPath {
  const parsed = parsePath(text);
  if (parsed.ok && (parsed.path === '.grid' || parsed.path.startsWith('.grid/')))
    return refused(`'${text}' is in .grid, which is the grid's own`);
  return parsed;
}

/** Whether a path of the inputs is a glob. */
export const isGlob = (path: string): boolean => /[*?[\]{}]/.test(path);
