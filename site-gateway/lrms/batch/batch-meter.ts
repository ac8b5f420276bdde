/**
 * Shell functions of the batch script that find out what a task uses, and whether anybody still wants it. POSIX sh, and of programs
 * nothing but `sleep` and `du`, and `ls` where the attempt is not seen.
 *
 * - `_grid_meter` runs beside the task and looks at the script's processes once a second, at many of them once in ten. A line
 *   `KIB TICKS UPTIME` of the file says the most memory that they had together at any look, and the CPU time that
 *   they and their children have had. It is written when it is a tenth older than the last, because the file may lie on a
 *   server, and at the end, which the script tells by HUP. Before the
 *   meter can hear that, it is killed instead: the file says `ready` once it can. What was killed together with its meter has the last line.
 * - It looks at the descendants of the process `_grid_root`, writes to the file `_grid_usage`, and ends with that process. With `_grid_eager`
 *   it writes at once when the memory has grown by a fiftieth.
 * - Where `_grid_room` says how many bytes the task's directory may hold, `du` looks at that, for a tenth of the time at most and
 *   beside all else; it is ended with the meter. What counts is what the files take on the disk, and not more than their
 *   lengths: a file system may set blocks aside for a file that grows. A task that has filled more is killed, as below.
 * - Of a task in a container (`_grid_boxed`) it looks at that alone, by its first process: what runs the container is not the task's.
 *   No container sees the file that names it. What is in no container is not looked at, and never killed.
 * - Where `_grid_most` says how many bytes the task may have, and nobody else sees to that, its processes are killed once they have
 *   more of them (what they share is counted once). A line `limit memory BYTES ALLOWED` then says so, unless the gateway itself was first.
 * - Where the gateway has told the end of the attempt (its `end` is there), or the attempt has gone, the processes are killed: the batch
 *   system has forgotten them, and the grid runs the task elsewhere. Every five seconds it looks. Gone is what the file system
 *   three times over says is not in a folder that is there; what it cannot say is not heeded.
 * - Where the gateway allows it (`_grid_mark`.kill is there) the processes are killed: batch systems kill in their own time, and that
 *   may be long. Where no TERM has come they get that a second before; one that has come only then has its second, too. It looks once a second, at a directory that it opens first,
 *   so that a file server says what it has: every five seconds, and each time once TERM has come (a step hears nothing of that: always).
 * - `_grid_kernel` adds `kernel KIB` where Slurm has put the job into a memory group of its own: the kernel has missed nothing; and
 *   `oom` where the kernel has ended one of its processes because the group was full, and not the machine. Version 1 of control
 *   groups counts that where the process was, so it looks at all groups from this shell's up to the job's.
 */
export const BATCH_METER = `_grid_meter() {
  _grid_ends=$_grid_eager
  trap '' INT PIPE USR1 USR2
  trap ': "\${_grid_ends:=heard}"' TERM
  trap '_grid_tell; kill "$_grid_nap" $_grid_du; exit 0' HUP
  echo ready >>"$_grid_usage"
  read -r _grid_own _grid_line </proc/self/stat
  { read -r _grid_line; read -r _grid_line; read -r _grid_line _grid_page _grid_line; } </proc/self/smaps
  _grid_peak=0 _grid_ticks=0 _grid_next=0 _grid_pause=0.1 _grid_skip=0 _grid_du= _grid_how=
  read -r _grid_from _grid_line </proc/uptime
  [ -z "$_grid_eager" ] || _grid_tell
  _grid_due=$((\${_grid_from%.*} + 1)) _grid_asks=$_grid_due _grid_unseen=0
  while :; do
    # It has its second from now on.
    [ "$_grid_ends" != heard ] || _grid_ends=yes _grid_pause=1
    sleep "$_grid_pause" & _grid_nap=$!
    wait "$_grid_nap"
    _grid_pause=1 _grid_skip=$((_grid_skip - 1)) _grid_dooms=
    [ -z "$_grid_ends" ] || true <"\${_grid_mark%/*}"
    [ ! -e "$_grid_mark.kill" ] || _grid_dooms=yes
    [ "$_grid_skip" -lt 0 ] || [ -n "$_grid_dooms" ] || continue
    _grid_look
    [ -z "$_grid_dooms" ] || _grid_doom
    read -r _grid_up _grid_line </proc/uptime
    [ "\${_grid_up%.*}" -lt "$_grid_next" ] && [ "$_grid_peak" -le "\${_grid_told:-$_grid_peak}" ] || _grid_tell
    [ -e "/proc/$_grid_root" ] || { _grid_tell; exit 0; }
    [ -z "$_grid_room" ] || _grid_measure "\${_grid_up%.*}"
    [ -z "$_grid_dir" ] || [ "\${_grid_up%.*}" -lt "$_grid_asks" ] || _grid_heed "\${_grid_up%.*}"
  done
}
_grid_doom() {
  case $_grid_ends in
    '') _grid_ends=yes; kill -TERM $_grid_all ;;
    yes) kill -KILL $_grid_all ;;
  esac
}
_grid_tell() {
  read -r _grid_up _grid_line </proc/uptime
  echo "$_grid_peak $_grid_ticks $_grid_up" >>"$_grid_usage"
  [ -z "$_grid_eager" ] || _grid_told=$((_grid_peak + _grid_peak / 50))
  _grid_next=$((\${_grid_up%.*} + (\${_grid_up%.*} - \${_grid_from%.*}) / 10 + 1))
}
_grid_look() {
  _grid_kib=0 _grid_cpu=0 _grid_seen=0 _grid_all= _grid_first=
  [ -z "$_grid_boxed" ] || [ ! -f "$_grid_dir/container/pid" ] ||
    read -r _grid_first 2>/dev/null <"$_grid_dir/container/pid"
  case $_grid_first in *[!0-9]*) _grid_first= ;; esac
  [ ! "/proc/$_grid_first/ns/pid" -ef /proc/self/ns/pid ] || _grid_first=
  if [ -n "$_grid_boxed" ]; then set -- $_grid_first; else set -- "$_grid_root"; fi
  while [ "$#" -gt 0 ]; do
    if [ "$1" != "$_grid_own" ] && [ "$1" != "$_grid_watch" ]; then
      for _grid_kids in /proc/"$1"/task/*/children; do
        _grid_line=
        read -r _grid_line 2>/dev/null <"$_grid_kids"
        set -- "$@" $_grid_line
      done
      _grid_line=
      read -r _grid_line 2>/dev/null <"/proc/$1/stat"
      if [ "$1" = "$_grid_root" ]; then
        _grid_root_add \${_grid_line##*) }
      else
        _grid_all="$_grid_all $1"
        _grid_add \${_grid_line##*) }
      fi
    fi
    shift
  done
  [ "$_grid_kib" -le "$_grid_peak" ] || _grid_peak=$_grid_kib
  [ "$_grid_cpu" -le "$_grid_ticks" ] || _grid_ticks=$_grid_cpu
  [ "$_grid_seen" -le 200 ] || _grid_skip=9
  [ -z "$_grid_most" ] || [ "$((_grid_kib * 1024))" -le "$_grid_most" ] || _grid_weigh
}
_grid_weigh() {
  _grid_pss=0
  for _grid_pid in $_grid_all; do
    while read -r _grid_kind _grid_line _grid_unit; do
      [ "$_grid_kind" != Pss: ] || { _grid_pss=$((_grid_pss + _grid_line)); break; }
    done 2>/dev/null <"/proc/$_grid_pid/smaps_rollup"
  done
  [ "$((_grid_pss * 1024))" -gt "$_grid_most" ] || return
  _grid_exceed memory "$((_grid_pss * 1024))" "$_grid_most"
}
_grid_measure() {
  if [ -n "$_grid_du" ]; then
    # The sum is what it says last.
    _grid_used=
    while read -r _grid_line _grid_unit; do
      [ "$_grid_unit" != total ] || _grid_used=$_grid_line
    done <"$_grid_dir/disk"
    [ -n "$_grid_used" ] || { kill -0 "$_grid_du" 2>/dev/null || _grid_du=; return; }
    _grid_du= _grid_due=$(($1 + 9 * ($1 - _grid_began)))
    if [ "$((_grid_used * 1024))" -le "$_grid_room" ]; then
      _grid_how=
    elif [ -z "$_grid_how" ]; then
      _grid_how=--apparent-size _grid_due=$1 _grid_blocks=$_grid_used
    else
      [ "$_grid_used" -le "$_grid_blocks" ] || _grid_used=$_grid_blocks
      _grid_exceed disk "$((_grid_used * 1024))" "$_grid_room"
    fi
  fi
  [ "$1" -ge "$_grid_due" ] || return
  _grid_began=$1
  # By name: an account cannot list the directory in which they are.
  LC_ALL=C du -skxc $_grid_how "$_grid_dir/work" "$_grid_dir/tmp" "$_grid_dir/stdout" "$_grid_dir/stderr" \\
    >"$_grid_dir/disk" 2>/dev/null &
  _grid_du=$!
}
_grid_heed() {
  _grid_asks=$(($1 + 5))
  true <"\${_grid_mark%/*}"
  if [ -e "$_grid_dir/end" ]; then
    _grid_unseen=3
  elif [ -e "$_grid_dir" ] || [ ! -e "\${_grid_dir%/*}" ]; then
    _grid_unseen=0
  else
    case $(LC_ALL=C ls -d "$_grid_dir" 2>&1) in
      *': No such file or directory') _grid_unseen=$((_grid_unseen + 1)) ;;
      *) _grid_unseen=0 ;;
    esac
  fi
  [ "$_grid_unseen" -lt 3 ] || kill -KILL $_grid_all
}
_grid_exceed() {
  [ -e "$_grid_dir/limit" ] || echo "limit $1 $2 $3" >>"$_grid_dir/usage"
  kill -KILL $_grid_all
}
_grid_add() {
  _grid_kib=$((_grid_kib + \${22:-0} * \${_grid_page:-4}))
  _grid_cpu=$((_grid_cpu + \${12:-0} + \${13:-0} + \${14:-0} + \${15:-0}))
  _grid_seen=$((_grid_seen + 1))
}
_grid_root_add() {
  _grid_cpu=$((_grid_cpu + \${14:-0} + \${15:-0}))
}
_grid_kernel() {
  while IFS=: read -r _grid_line _grid_kind _grid_group; do
    case $_grid_group in */job_"$SLURM_JOB_ID"/*) ;; *) continue ;; esac
    case $_grid_kind in
      '') _grid_files='memory.peak memory.max memory.events' ;;
      memory)
        _grid_group=/memory$_grid_group
        _grid_files='memory.max_usage_in_bytes memory.limit_in_bytes memory.oom_control' ;;
      *) continue ;;
    esac
    _grid_full= _grid_killed=
    while :; do
      _grid_count "/sys/fs/cgroup$_grid_group" $_grid_files
      case $_grid_group in */job_"$SLURM_JOB_ID") break ;; esac
      _grid_group=\${_grid_group%/*}
    done
    [ -z "$_grid_used" ] || echo "kernel $((_grid_used / 1024))" >>"$_grid_usage"
    [ -z "$_grid_full" ] || [ -z "$_grid_killed" ] || echo oom >>"$_grid_usage"
  done </proc/self/cgroup
}
_grid_count() {
  _grid_used= _grid_held=
  read -r _grid_used <"$1/$2"
  read -r _grid_held <"$1/$3"
  case $3:$_grid_used:$_grid_held in
    memory.max:* | *::* | *:) ;;
    *) [ "$((_grid_used + 1048576))" -lt "$_grid_held" ] || _grid_full=yes ;;
  esac
  while read -r _grid_line _grid_unit; do
    case $_grid_line:$_grid_unit in
      *:0) ;;
      oom:*) _grid_full=yes ;;
      oom_kill:*) _grid_killed=yes ;;
    esac
  done <"$1/$4"
} 2>/dev/null
`;
