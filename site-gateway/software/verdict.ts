import { join } from 'node:path';
import type { Attempt } from '../attempts/attempt.ts';
import { type Verdict, verdictOf } from '../attempts/outcome.ts';
import type { TaskEnd } from '../lrms/lrms.ts';
import { readPlain } from '../read-plain.ts';
import { SOFTWARE_EXIT_CODE } from './exit-code.ts';
import { complaintIn } from './podman.ts';

const TAIL_BYTES = 4_096;
const WORDS_LENGTH = 600;

/** How a task ended, in the words of the grid. `path` is where the site looks for its program. */
export async function verdictOfTask(
  { directory, spec }: Pick<Attempt, 'directory' | 'spec'>,
  end: TaskEnd,
  path: string,
): Promise<Verdict> {
  const { image, modules, command, env } = spec;
  if (end.kind === 'exited' && end.exitCode !== 0 && (image ?? modules) !== undefined) {
    const said = await readPlain(join(directory, 'stderr'), { most: TAIL_BYTES });
    const about = image === undefined ? aboutModules : aboutImage;
    const found = about(end.exitCode, linesOf(said ?? ''), command[0] ?? '');
    if (found !== undefined) return { exitCode: end.exitCode, signal: 0, ...found };
  }
  if (image !== undefined) return verdictOf(end);
  const cwd = join(directory, 'work');
  return verdictOf(end, { program: command[0] ?? '', path: env['PATH'] ?? path, cwd });
}

type Found = Pick<Verdict, 'failure' | 'reason' | 'detail'>;

const linesOf = (text: string): readonly string[] =>
  text.split('\n').filter((line) => line.trim() !== '');

const PREFIX = 'grid: ';

/** What stood before the program says in the last line of standard error that it did not come to that; it names the node. */
export function aboutModules(exitCode: number, lines: readonly string[]): Found | undefined {
  const last = lines.at(-1) ?? '';
  if (exitCode !== SOFTWARE_EXIT_CODE || !/^grid: (?:module '|no modules: )/.test(last))
    return undefined;
  return { failure: 'site', reason: 'MODULE_FAILED', detail: last.slice(PREFIX.length) };
}

/** The same for an image, with what its runtime said of it. */
export function aboutImage(
  exitCode: number,
  lines: readonly string[],
  program: string,
): Found | undefined {
  const last = lines.at(-1) ?? '';
  if (exitCode === APPTAINER_CODE && last.startsWith('FATAL:'))
    return aboutApptainer(last, program);
  const init = INIT.exec(last)?.[1];
  if (init !== undefined)
    return /permission/i.test(init) ? notExecutable(program) : notThere(program);
  if (!last.startsWith(`${PREFIX}image '`)) return undefined;
  const said = last.slice(PREFIX.length);
  return aboutPodman(exitCode, said, complaintIn(lines.slice(0, -1)), program);
}

function aboutPodman(
  exitCode: number,
  said: string,
  before: string,
  program: string,
): Found | undefined {
  const words = before.slice(0, WORDS_LENGTH);
  if (exitCode === 127) return notThere(program);
  if (exitCode === 126 && /\bexec|not executable/i.test(words)) return notExecutable(program);
  if (exitCode !== SOFTWARE_EXIT_CODE && exitCode !== 126) return undefined;
  const detail = words === '' ? said : `${said}: ${words}`;
  return said.includes("' could not be fetched")
    ? { failure: 'data', reason: 'IMAGE_UNAVAILABLE', detail }
    : { failure: 'site', reason: 'IMAGE_FAILED', detail };
}

const APPTAINER_CODE = 255;
/** The init before a program of podman's, where it could not start that. */
const INIT = /^ERROR \(catatonit:\d+\): failed to exec pid1: (.*)/;

/** Apptainer has one exit code for all that goes wrong before the program. */
function aboutApptainer(last: string, program: string): Found {
  const words = last.slice('FATAL:'.length).trim().slice(0, WORDS_LENGTH);
  if (/executable file not found|no such file or directory.*exec/i.test(words))
    return notThere(program);
  if (/permission denied$/i.test(words) && !/image|\.sif/.test(words))
    return notExecutable(program);
  const detail = `the image could not be run: ${words}`;
  return /pull|registry|manifest|could not open image|docker:\/\//i.test(words)
    ? { failure: 'data', reason: 'IMAGE_UNAVAILABLE', detail }
    : { failure: 'site', reason: 'IMAGE_FAILED', detail };
}

const notThere = (program: string): Found => ({
  failure: 'job',
  reason: 'COMMAND_NOT_FOUND',
  detail: `'${program}' was not found in the image`,
});

const notExecutable = (program: string): Found => ({
  failure: 'job',
  reason: 'COMMAND_NOT_EXECUTABLE',
  detail: `'${program}' is there in the image but cannot be executed`,
});
