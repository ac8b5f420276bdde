import { SOFTWARE_EXIT_CODE } from './exit-code.ts';

/**
 * `sh -c TEXT NAME INIT COUNT MODULE... COMMAND...`: loads the modules and becomes the command. Everything comes as an
 * argument and is never read by the shell. What `module` says goes to standard error: standard output is the command's,
 * and so is standard input. A `.` that finds no file would end the shell without a word, so it is looked at first.
 */
const LOADER = `_grid_init=$1 _grid_left=$2
shift 2
_grid_fail() { echo "grid: $1 on node $(uname -n)" >&2; exit ${SOFTWARE_EXIT_CODE}; }
[ -r "$_grid_init" ] || _grid_fail "no modules: there is no file $_grid_init"
. "$_grid_init" >&2 </dev/null
command -v module >/dev/null || _grid_fail "no modules: $_grid_init has not defined 'module'"
while [ "$_grid_left" -gt 0 ]; do
  module load "$1" >&2 </dev/null || _grid_fail "module '$1' could not be loaded"
  shift
  _grid_left=$((_grid_left - 1))
done
exec "$@"
`;

/** Words that go before the command of a task; none where it loads no modules. */
export function wordsForModules(
  init: string | undefined,
  modules: readonly string[] = [],
): readonly string[] {
  if (modules.length === 0) return [];
  return ['/bin/sh', '-c', LOADER, 'grid-modules', init ?? '', String(modules.length), ...modules];
}
