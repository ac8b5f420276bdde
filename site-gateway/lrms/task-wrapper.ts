/**
 * The shell text that stands between the gateway and a task: `wrapper DIRECTORY STDIN GROUPS COMMAND...`, in a session of its
 * own, so that it outlives the gateway. POSIX sh, and nothing but builtins, because each program that it would start
 * costs a fifth of what a short task costs.
 *
 * - `started` is made with O_EXCL (noclobber): whoever comes second goes away. That fence, and not the journal, is what
 *   keeps a task from ever running twice. It holds /proc/self/stat: pid and start time, which no other process shares.
 * - A signal to the whole group must not end the wrapper before it has written `status`; caught signals are reset to
 *   their default for the task, ignored ones would not be.
 * - The task joins its control group, GROUPS being the files for that, but the wrapper does not: what ends or limits the
 *   group spares it. A task that cannot join does not run, and `unconfined` says so. Bubblewrap says in
 *   `confined` whether it began.
 * - The task runs by `exec` in a subshell, so that `exit` or `cd` as a command are looked up as programs.
 * - `status` counts only with its last line; a gateway that died meanwhile finds it there.
 * - Reports go to the gateway through standard output, if it still reads: `s ID STAT` once the task is about to run, `e ID` at
 *   the very end, whatever went wrong before. The files say the rest.
 */
export const TASK_WRAPPER = `trap : HUP INT TERM PIPE
_grid_dir=$1 _grid_in=$2 _grid_groups=$3
shift 3
trap 'echo "e \${_grid_dir##*/}"' EXIT
exec 3>>"$_grid_dir/stdout" 4>>"$_grid_dir/stderr" || exit 1
cd "$_grid_dir/work" || exit 1
read -r _grid_stat </proc/self/stat
set -C
echo "$_grid_stat" >"$_grid_dir/started" || exit 1
set +C
ulimit -c 0
echo "s \${_grid_dir##*/} $_grid_stat"
( set -f
for _grid_group in $_grid_groups; do
  echo 0 >"$_grid_group" || { : >"$_grid_dir/unconfined"; exit 125; }
done
case $1 in */bwrap) exec 5>"$_grid_dir/confined";; esac
exec "$@" <"$_grid_in" 1>&3 2>&4 3>&- 4>&- )
_grid_code=$?
exec 3>&- 4>&-
read -r _grid_up _grid_idle </proc/uptime
{ echo "$_grid_code $_grid_up"; times; echo end; } >"$_grid_dir/status"
`;
