import { access, constants, readdir, stat } from 'node:fs/promises';
import { basename, dirname, posix, relative, resolve } from 'node:path';
import { glob } from 'tinyglobby';
import { isRemoteInput } from '../../core/data/remote-file.ts';
import { isOutside, placeOfOutside } from '../../core/job/outside.ts';
import type { CheckRef } from '../../core/job/parse-after.ts';
import { parseInputs, type WrittenInput } from '../../core/job/parse-inputs.ts';
import type { SpecProblem } from '../../core/job/parse-spec.ts';
import { isRecord } from '../../core/job/parse-value.ts';
import { type InputFile, isFileInput } from '../../core/job/spec.ts';
import { isGlob } from '../../core/job/spec-path.ts';
import { suggestion } from '../../core/nearest.ts';

/** Inputs as they will be sent, or what keeps them from it. */
export interface ExpandedInputs {
  readonly inputs: readonly InputFile[];
  readonly problems: readonly SpecProblem[];
}

/** An input with what it is: below a file there can be no other. */
interface FoundInput extends InputFile {
  readonly isFile: boolean;
}

/** Looks at the files: expands globs, and finds what is missing, unreadable, twice in one place or below a file. */
export async function expandInputs(
  raw: unknown,
  base: string,
  check: CheckRef,
): Promise<ExpandedInputs> {
  const fields = isRecord(raw) ? raw : {};
  // What is wrong with the writing itself is parseSpec's to say.
  const written = parseInputs(fields['inputs'], () => undefined, check);
  const problems: SpecProblem[] = [];
  const inputs: InputFile[] = [];
  const places = new Map<string, string>();
  const placed: (FoundInput & Pick<WrittenInput, 'path'>)[] = [];
  for (const input of written) {
    const found = await expand(input, base);
    if (typeof found === 'string') problems.push({ path: input.path, message: found });
    else {
      placed.push(...found.map((one) => ({ ...one, path: input.path })));
      for (const { from, to } of found) {
        const earlier = places.get(to);
        if (earlier === undefined || !isGlob(input.from)) inputs.push({ from, to });
        else if (earlier !== from)
          problems.push({
            path: input.path,
            message: `'${from}' and '${earlier}' would both be '${to}'`,
          });
        places.set(to, from);
      }
    }
  }
  problems.push(...misplaced(placed));
  const stdin = fields['stdin'];
  if (typeof stdin === 'string' && stdin !== '' && problems.length === 0 && !arrives(stdin, inputs))
    problems.push({
      path: ['stdin'],
      message: `'${stdin}' is not among the inputs${suggestion(stdin, [...places.keys()])}`,
    });
  return { inputs, problems };
}

/** Inputs that have their place below that of a file, and files that would be the directory of the job itself. */
function misplaced(
  placed: readonly (FoundInput & Pick<WrittenInput, 'path'>)[],
): readonly SpecProblem[] {
  const files = new Map(placed.filter(({ isFile }) => isFile).map(({ from, to }) => [to, from]));
  return placed.flatMap(({ from, to, path, isFile }) => {
    if (isFile && to === '.')
      return [
        { path, message: `'${from}' is a file, and '.' is a directory: name its place in it` },
      ];
    for (let end = to.lastIndexOf('/'); end > 0; end = to.lastIndexOf('/', end - 1)) {
      const at = to.slice(0, end);
      const file = files.get(at);
      if (file !== undefined)
        return [{ path, message: `'${from}' would be '${to}', and '${at}' is the file '${file}'` }];
    }
    return [];
  });
}

/** Whether a path of the task's directory comes with the inputs, or may. */
const arrives = (path: string, inputs: readonly InputFile[]): boolean => {
  const plain = path.replace(/^(?:\.\/)+/, '');
  return inputs.some(({ to }) => plain === to || plain.startsWith(`${to}/`) || to === '.');
};

async function expand(input: WrittenInput, base: string): Promise<readonly FoundInput[] | string> {
  const { from, to } = input;
  if (!isFileInput(from)) return [{ from, to, isFile: isRemoteInput(from) }];
  if (isGlob(from)) return expandGlob(input, base);
  const place = placeOf(from, base);
  if (place === '.') return expandGlob({ from: '*', to: to === '.' ? '*' : to }, base);
  const seen = await lookAt(from, base);
  return typeof seen === 'string' ? seen : [{ from: place, to, ...seen }];
}

/** The place in the tree of inputs of a path of this machine, seen from the submit directory; `.` is that directory. */
function placeOf(path: string, base: string): string {
  if (!isOutside(path)) return path;
  const full = resolve(base, path);
  const inside = relative(base, full) || '.';
  return isOutside(inside) ? placeOfOutside(full) : inside;
}

async function expandGlob(
  { from, to }: InputFile,
  base: string,
): Promise<readonly FoundInput[] | string> {
  // With `**` the files of every depth match by themselves; their directories would bring them a second time.
  const onlyFiles = from.includes('**');
  const isAway = isOutside(from);
  const options = { cwd: base, dot: false, onlyFiles, expandDirectories: false, absolute: isAway };
  const found = await glob(from, options);
  if (found.length === 0) return `'${from}' matches nothing${isAway ? '' : ` in ${base}`}`;
  const paths = found.map((path) => path.replace(/\/$/, '')).toSorted();
  const inputs: FoundInput[] = [];
  for (const path of paths) {
    const seen = await lookAt(path, base);
    if (typeof seen === 'string') return seen;
    const place = to === from ? path : posix.join(to, basename(path));
    inputs.push({ from: placeOf(path, base), to: place, ...seen });
  }
  return inputs;
}

/** What is there, or what is wrong with it. */
async function lookAt(path: string, base: string): Promise<Pick<FoundInput, 'isFile'> | string> {
  const full = resolve(base, path);
  try {
    const found = await stat(full);
    if (!found.isFile() && !found.isDirectory()) return `'${path}' is neither file nor directory`;
    await access(full, found.isDirectory() ? constants.R_OK | constants.X_OK : constants.R_OK);
    return { isFile: found.isFile() };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EACCES') return `'${path}' cannot be read: permission denied`;
    const names = await readdir(dirname(full)).catch((): string[] => []);
    if (names.includes(basename(full))) return `'${path}' is a link to nothing`;
    const where = isOutside(path) ? '' : ` in ${base}`;
    return `there is no file '${path}'${where}${suggestion(basename(path), names)}`;
  }
}
