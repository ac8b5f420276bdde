import { BATCH_METER } from './batch-meter.ts';
import type { BatchSystem } from './batch-system.ts';

/**
 * Slurm and others hold tasks to their memory; Grid Engine does where h_vmem is asked for, HTCondor where it has control groups.
 * A container may be out of their sight.
 */
const HELD = '[ -n "$SGE_ROOT$_CONDOR_SCRATCH_DIR$_grid_boxed" ] || _grid_most=\n';

/**
 * The script that a batch system is given: always this text, `SCRIPT SUBMISSION [INDEX]`; INDEX may be the name of the
 * variable in which the batch system says it, and both may stand in GRID_SUBMISSION and GRID_ELEMENT where a script can
 * have no arguments. What a task is stands in files, so no name, argument or variable of a job is ever read by the batch
 * system or interpreted by a shell. POSIX sh.
 *
 * - Where it runs as an account that is not the gateway's it can write to that directory, but of the attempt's only to `work/`,
 *   `tmp/`, and files that are there already: the streams, `status`, `usage` and `disk`.
 * - In the submission's directory the link INDEX leads to the attempt; INDEX.started is made with O_EXCL (noclobber) before
 *   anything of the task happens. Whoever comes second goes away: a job that the batch system runs twice by itself, one
 *   that was submitted twice, and one that the gateway has given up (it makes the file itself, then).
 * - The batch system may start the same job again while its first run still goes on, because it lost sight of that. Then
 *   the second waits for the first, as far as it can see it, so that the job stays in the queue as long as its task runs.
 * - A signal to all of the job must not end this shell before it has written `status`; the task gets the default back.
 *   GRID_FORWARD is for systems that signal their own child alone, and with TERM only: all of the task gets it, and KILL
 *   a second later once there is INDEX.kill.
 *   GRID_NOTIFY is for systems that can only announce a kill by SIGUSR2: the task does not see it and gets TERM in its place,
 *   and KILL a second later once INDEX.kill is there. Nor does it see SIGUSR1, by which such a system announces that it suspends the job. INDEX.noticed tells the gateway that the system has announced one.
 * - The host file names each node once for each of its cores, as the batch system gave them, the first node first.
 * - `order` sets the words to run. It is read before the fence: a task that cannot be read has not begun.
 * - Whoever kills all of a job may kill the task a moment before this shell. An end by KILL counts as the task's own only if
 *   this shell outlives it by a second: else what a job was killed for would be told as a fault of its task.
 * - A task that a signal ended may leave others that are ending what is not in its process group, as `mpirun` does below a shell that is gone
 *   already. They would be killed with this shell: so it waits for its session to be empty, five seconds at most and until INDEX.kill is
 *   there, and kills what is left. Only where the session is its own.
 * - An exit code of 99 or 100 is a wish to Grid Engine (start again, leave in error), so it gets another one.
 * - `status` counts only with its last line. INDEX.ended tells the gateway that it is there.
 */
const BATCH_SCRIPT = `#!/bin/sh
_grid_index=\${2:-\${GRID_ELEMENT:-\${SLURM_ARRAY_TASK_ID:-$SGE_TASK_ID}}}
case $_grid_index in *[!0-9]*) _grid_index=$(printenv "$_grid_index") ;; esac
_grid_submission=\${1:-$GRID_SUBMISSION}
_grid_mark=$_grid_submission/$_grid_index
_grid_node=$(uname -n)
_grid_job=\${SLURM_JOB_ID:-\${JOB_ID:-\${PBS_JOBID:-$LSB_JOBID}}}@$_grid_node
_grid_notify=$GRID_NOTIFY
if [ "$GRID_FORWARD" = yes ]; then
  unset GRID_FORWARD
  setsid "$0" "$@" &
  _grid_child=$!
  trap '_grid_ends=yes; kill -TERM "-$_grid_child"' TERM
  while kill -0 "$_grid_child" 2>/dev/null; do
    [ -z "$_grid_ends" ] && { wait "$_grid_child"; _grid_code=$?; continue; }
    [ "$((_grid_rounds += 1))" -gt 5 ] && [ -e "$_grid_mark.kill" ] && kill -KILL "-$_grid_child"
    sleep 0.2
  done
  [ -z "$_grid_ends" ] || { wait "$_grid_child"; _grid_code=$?; }
  exit "$_grid_code"
fi
[ -d "$_grid_submission" ] && exec 2>>"$_grid_mark.log" || exit 0
unset LC_ALL GRID_NOTIFY GRID_SUBMISSION GRID_ELEMENT
trap : HUP INT TERM PIPE USR1 USR2
_grid_dir=$(readlink "$_grid_mark") || exit 0
cd "$_grid_dir/work" || exit 1
exec 3>>"$_grid_dir/stdout" 4>>"$_grid_dir/stderr" || exit 1
_grid_in=
. "$_grid_dir/order" && [ -n "$_grid_in" ] || exit 1
read -r _grid_stat </proc/self/stat
set -C
[ ! -e "$_grid_mark.started" ] && { echo "$_grid_stat"; echo "$_grid_job"; } >"$_grid_mark.started" || {
  { read -r _grid_first; read -r _grid_other; } <"$_grid_mark.started"
  [ "$_grid_other" = "$_grid_job" ] || exit 0
  _grid_birth() { set -- \${1##*)}; echo "\${20}"; }
  while read -r _grid_now 2>/dev/null <"/proc/\${_grid_first%% *}/stat" &&
    [ "$(_grid_birth "$_grid_now")" = "$(_grid_birth "$_grid_first")" ]; do sleep 1; done
  exit 0
}
set +C
ulimit -c 0
_grid_nodes() {
  [ "$_grid_gang" -gt 1 ] || { echo "\${SLURMD_NODENAME:-$_grid_node}"; return; }
  [ -z "$SLURM_JOB_NODELIST" ] || { scontrol show hostnames "$SLURM_JOB_NODELIST"; return; }
  for _grid_list in "$PE_HOSTFILE" "$PBS_NODEFILE" "$LSB_DJOB_HOSTFILE"; do
    [ ! -r "$_grid_list" ] || { cut -d' ' -f1 "$_grid_list" | uniq; return; }
  done
}
_grid_nodes | while read -r _grid_host; do
  _grid_core=0
  while [ "$((_grid_core += 1))" -le "$_grid_cores" ]; do echo "$_grid_host"; done
done >"$_grid_dir/tmp/grid-hosts"
# Found there by what the launchers start; see STEP_SCRIPTS. An attempt's directory is two below the spool.
[ -z "$SLURM_JOB_ID" ] ||
  export SLURM_TASK_PROLOG="$_grid_mark/../../step-begins" SLURM_TASK_EPILOG="$_grid_mark/../../step-ends"
[ -z "$PE_HOSTFILE" ] || export QRSH_WRAPPER="$_grid_mark/../../step-runs"
_grid_left() {
  _grid_all=
  for _grid_of in /proc/[0-9]*/stat; do
    _grid_line=
    read -r _grid_line 2>/dev/null <"$_grid_of"
    set -- \${_grid_line%% *} \${_grid_line##*) }
    case "$5 $2 $1 $3" in
      "$$ Z "* | "$$ "?" $$ "* | "$$ "?" $_grid_watch "* | "$$ "?" "*" $_grid_watch") ;;
      "$$ "*) _grid_all="$_grid_all $1" ;;
    esac
  done
  [ -n "$_grid_all" ]
}
_grid_clear() {
  _grid_round=0
  while _grid_left; do
    true <"$_grid_submission"
    [ "$_grid_round" -lt 25 ] && [ ! -e "$_grid_mark.kill" ] || { kill -KILL $_grid_all; break; }
    _grid_round=$((_grid_round + 1))
    sleep 0.2
  done 2>/dev/null
}
if [ "$_grid_notify" = yes ]; then
  mkfifo "$_grid_mark.fifo"
  (
    trap '' HUP INT TERM PIPE USR1
    trap '_grid_noticed=yes; : >"$_grid_mark.noticed"; kill -TERM 0' USR2
    while [ -z "$_grid_noticed" ]; do
      # Nobody writes there: it waits without a process of its own.
      read -r _grid_never <>"$_grid_mark.fifo" || [ -n "$_grid_noticed" ] || sleep 5
    done
    sleep 1
    until [ -e "$_grid_mark.kill" ]; do sleep 1; done
    read -r _grid_watch _grid_line </proc/self/stat
    _grid_left && kill -KILL $_grid_all
    kill -KILL 0
  ) </dev/null >/dev/null 2>&1 3>&- 4>&- &
  _grid_watch=$!
  trap '' USR1 USR2
fi
${BATCH_METER}
_grid_root=$$ _grid_usage=$_grid_dir/usage
${HELD}_grid_meter </dev/null >/dev/null 2>&1 3>&- 4>&- &
_grid_meter=$!
# The log is for what is wrong: this shell would write there how each of its children was killed.
{ ( exec "$@" <"$_grid_in" 1>&3 2>&4 3>&- 4>&- ); _grid_code=$?; } 2>/dev/null
exec 3>&- 4>&-
read -r _grid_up _grid_line </proc/uptime
[ "$_grid_code" != 137 ] || sleep 1
if [ -s "$_grid_dir/usage" ]; then kill -HUP "$_grid_meter"; else kill -KILL "$_grid_meter"; fi 2>/dev/null
wait "$_grid_meter" 2>/dev/null
_grid_kernel
[ "$_grid_code" -le 128 ] || _grid_clear
{ echo "$_grid_code $_grid_up"; times; echo end; } >"$_grid_dir/status"
# What the gateway has forgotten may have no place for it, where \`:\` would end this shell.
true >"$_grid_mark.ended"
if [ -n "$_grid_watch" ]; then kill -KILL "$_grid_watch"; wait "$_grid_watch"; fi 2>/dev/null
case $_grid_code in 99 | 100) [ -z "$SGE_ROOT" ] || exit 1 ;; esac
exit "$_grid_code"
`;

/** The script for a batch system; where that leaves memory to it, it watches that of all tasks. */
export const batchScript = ({ leavesMemory }: Pick<BatchSystem, 'leavesMemory'>): string =>
  leavesMemory === true ? BATCH_SCRIPT.replace(HELD, '') : BATCH_SCRIPT;
