import { GridError } from '../../core/errors.ts';
import { isModuleName } from '../../core/job/software.ts';
import { openCommandRunner } from '../lrms/batch/batch-command.ts';

/** How a site gets at its modules, as its configuration says. */
interface ModuleSettings {
  /** What sh sources to get `module`. */
  readonly init: string;
  /** In place of what `module avail` lists; the machine of the gateway need not have them then. */
  readonly offer?: readonly string[] | undefined;
}

const LISTING = `fault() { echo "$1" >&2; exit 1; }
[ -r "$1" ] || fault 'that file cannot be read'
. "$1" >/dev/null
command -v module >/dev/null || fault "it defines no 'module' for sh"
module -t avail 2>&1
exit 0`;
const TIMEOUT_MS = 30_000;
/** More would make every offer large. */
const MOST = 10_000;

/**
 * The modules that a site offers, sorted: those of its configuration, else all that `module avail` lists. Throws
 * CONFIG_INVALID where these cannot be had.
 */
export async function findModules(
  settings: ModuleSettings | undefined,
  path: string,
): Promise<readonly string[]> {
  if (settings === undefined) return [];
  const found = settings.offer ?? (await availableModules(settings.init, path));
  if (found.length > MOST)
    throw wrong(`${found.length} modules are too many: name at most ${MOST}`, 'modules.offer');
  return [...new Set(found)].toSorted();
}

async function availableModules(init: string, path: string): Promise<readonly string[]> {
  const run = openCommandRunner({ PATH: path, HOME: '/' });
  const about = (words: string): GridError => wrong(`${init}: ${words}`, 'modules.init');
  const { ok, stdout, stderr } = await run(
    '/bin/sh',
    ['-c', LISTING, 'sh', init],
    TIMEOUT_MS,
  ).catch((error: unknown) => {
    throw about(error instanceof Error ? error.message : String(error));
  });
  if (!ok) throw about(stderr.slice(-500));
  return parseModuleList(stdout);
}

const wrong = (message: string, where: string): GridError =>
  new GridError('CONFIG_INVALID', 'the modules of the site cannot be had', {
    problems: [{ where, message }],
  });

/**
 * Names in the terse listing of Environment Modules or Lmod. Headings end with a colon, directories of Lmod with a slash;
 * marks such as `(default)` or `(@)` follow a name; what is no name that a job could write is left out.
 */
export const parseModuleList = (text: string): readonly string[] =>
  text
    .split('\n')
    .map((line) => line.trim().replace(/\([^()]*\)$/, ''))
    .filter((line) => isModuleName(line));
