/**
 * What a shell of the launcher knows: it stands between the gateway and one task at a time, in a session of its own, so that
 * it outlives the gateway. POSIX sh, and nothing but builtins, because each program that it would start costs a fifth of
 * what a short task costs.
 *
 * An order (launcher.ts) calls `_grid_open DIRECTORY CPU`, in a subshell `_grid_enter DIRECTORY STDIN GROUPS` and then the
 * program by `exec`, and at last `_grid_close DIRECTORY`.
 *
 * - Whoever wants to begin a task appends a line to `started` (O_APPEND, in one piece), and runs it only if that line is the
 *   first: whoever comes second goes away. That fence, and not the journal, is what keeps a task from ever running twice. The
 *   line holds pid and start time of the shell, which no other process shares, the uptime of the machine, and the CPU time
 *   (ms) of the tasks that the shell had before; another line says which start of the machine the uptime counts from.
 * - A signal to the whole group must not end the shell before it has written `status`; caught signals are reset to
 *   their default for the task, ignored ones would not be.
 * - The task joins its control group, GROUPS being the files for that, but the shell does not: what ends or limits the
 *   group spares it. A task that cannot join does not run, and `unconfined` says so.
 * - The task runs in a subshell, so that `exit` or `cd` as a command are looked up as programs.
 * - `status` counts only with its last line, which names the attempt; a gateway that died meanwhile finds it there. To append
 *   costs less than to write anew: ext4 sends a file that was emptied and written to the disk when it is closed.
 * - The shell is in `work` from before the fence to the end: so a later gateway sees whether it may still begin a task.
 * - At its end a shell ends all that has become its child (subreaper.ts), in case that no gateway is there to do it: until it
 * sees the same zombies twice, because one that ends leaves its own children to the shell, and for so many rounds at most,
 * because some processes cannot be ended.
 * - Reports go to the gateway through standard output, if it still reads: `s ID` with that line once the task is about to run,
 *   `e ID` at the very end, whatever went wrong before; `e ID CODE UPTIME` with the lines of `times` before it says what is in
 *   `status`. The files say the rest.
 */
export const TASK_WRAPPER = `trap : HUP INT TERM PIPE
ulimit -c 0
read -r _grid_boot </proc/sys/kernel/random/boot_id
read -r _grid_stat </proc/self/stat
set -- \${_grid_stat##*) }
_grid_key="$$ \${20}"
_grid_open() {
  cd "$1/work" || return
  read -r _grid_up _grid_idle </proc/uptime
  _grid_own="$_grid_key $_grid_up $2"
  { echo "$_grid_own
$_grid_boot"; } >>"$1/started" || return
  read -r _grid_first <"$1/started"
  [ "$_grid_first" = "$_grid_own" ] && echo "s \${1##*/} $_grid_own"
}
_grid_enter() {
  set -f
  for _grid_group in $3; do
    echo 0 >"$_grid_group" || { : >"$1/unconfined"; exit 125; }
  done
  exec 1>&3 2>&4 3>&- 4>&- <"$2"
}
_grid_close() {
  if [ -n "$_grid_code" ]; then
    read -r _grid_up _grid_idle </proc/uptime
    { echo "$_grid_code $_grid_up"; times; echo "end \${1##*/}"; } >>"$1/status"
    times
    _grid_code=" $_grid_code $_grid_up"
  fi
  cd /
  echo "e \${1##*/}$_grid_code"
  _grid_code=
}
_grid_reap() {
  _grid_round=0 _grid_dead=
  while [ "$_grid_round" -lt 1000 ]; do
    _grid_round=$((_grid_round + 1)) _grid_kids=
    read -r _grid_kids <"/proc/$$/task/$$/children"
    [ "$_grid_kids" != "$_grid_dead" ] || return
    _grid_dead=$_grid_kids
    for _grid_kid in $_grid_kids; do
      read -r _grid_stat <"/proc/$_grid_kid/stat" || continue
      case \${_grid_stat##*) } in Z*) ;; *) kill -KILL "$_grid_kid"; _grid_dead=- ;; esac
    done
  done
}
trap _grid_reap EXIT
_grid_code=
`;
