import { join } from 'node:path';
import { containerFolderOf } from '../lrms/task-files.ts';
import { SOFTWARE_EXIT_CODE } from './exit-code.ts';
import { bindOf, type ImageTask, imageName, type Runtime } from './image-task.ts';

/** What podman says went wrong, in lines of its standard error; it may go on with where to read more. */
export const complaintIn = (lines: readonly string[]): string =>
  lines.findLast((line) => line.startsWith('Error:')) ?? lines.at(-1) ?? '';

/** The store of a rootless podman lies in the home of the account, which is not that of the task. */
export const AT_HOME = `HOME=$(getent passwd "$(id -u)" | cut -d: -f6)
export HOME
`;

/**
 * Without root podman keeps namespaces of an account by a process of its own. Where that was killed together with a container,
 * as batch systems do with all of a job, it runs nothing more for the account until it is told to begin anew; by one at a
 * time and only where it says so itself, because that ends what runs. What podman leaves running does not keep the lock.
 */
const MENDED = `[ "$(id -u)" -eq 0 ] || "$_grid_podman" ps </dev/null >/dev/null 2>&1 ||
  flock -o "$HOME" /bin/sh -c '! _grid_said=$("$0" ps 2>&1 >/dev/null) || exit
    case $_grid_said in
      *"invalid internal status"* | *"system migrate"*) "$0" system migrate ;;
    esac' "$_grid_podman" </dev/null >/dev/null 2>&1
`;

/** Ends and removes `$_grid_name` by `$_grid_podman`, which fails where the container ends at that very moment. */
const REMOVE = `for _grid_try in 1 2 3; do
  "$_grid_podman" rm -f -t 0 -i "$_grid_name" && break
  sleep 0.3
done
`;

/**
 * Stands beside the shell `$_grid_shell` that runs podman, in a session of its own and without the mark of the attempt. It removes
 * the container once that shell was killed, or two seconds after it was asked to end: podman itself may be killed without
 * its container, whose processes are no children of it. In the folder `$_grid_state`, which no container sees, lie `watch` with its pid,
 * `term` once that shell was asked to end, and `rm` while it removes. Where all went well that shell has removed the folder.
 */
const WATCH = `trap : HUP
trap "" INT TERM
echo "$$" >"$_grid_state/watch"
_grid_asked=0
while kill -0 "$_grid_shell" 2>/dev/null && [ "$_grid_asked" -lt 4 ]; do
  sleep 0.5
  [ ! -e "$_grid_state/term" ] || _grid_asked=$((_grid_asked + 1))
done
[ -d "$_grid_state" ] || exit 0
echo >"$_grid_state/rm"
${REMOVE}rm -f "$_grid_state/rm"
kill -0 "$_grid_shell" 2>/dev/null || rm -rf "$_grid_state"
`;

/**
 * `sh -c TEXT NAME PROGRAM CONTAINER FOLDER IMAGE ARGUMENT...`: runs a container with the streams of the task, and ends as
 * its program does. FOLDER is `containerFolderOf` the attempt and lives as long: the task cannot write there, because what is read
 * or written outside must not be of its choosing, and nothing there is cleaned away while it runs, as in /tmp. podman makes
 * `pid` in it once the container was started; without it the codes 125, 126 and 127 are podman's own,
 * and the last line of standard error says what they mean here. The first process of a container hears no TERM unless it
 * listens for it, so an init stands before the program where the node has one. Its monitor, conmon, removes the container, which is waited for.
 */
const RUN = `${AT_HOME}_grid_podman=$1 _grid_name=$2 _grid_pid=$3/pid _grid_state=$3/state _grid_image=$4
shift 4
${MENDED}rm -rf "$_grid_pid" "$_grid_state"
for _grid_init in /usr/libexec/podman/catatonit /usr/bin/catatonit; do
  [ ! -x "$_grid_init" ] || { set -- --init "--init-path=$_grid_init" "$@"; break; }
done
_grid_say() { echo "grid: image '$_grid_image' $1 on node $(uname -n)" >&2; exit "$2"; }
mkdir "$_grid_state" || _grid_say 'could not be run' ${SOFTWARE_EXIT_CODE}
trap 'rm -rf "$_grid_state"' EXIT
set -- "--conmon-pidfile=$_grid_state/conmon" "$@"
( unset GRID_ATTEMPT_DIR; cd /
  export _grid_podman _grid_name _grid_state _grid_shell="$$"
  setsid /bin/sh -c "$_grid_watch" </dev/null >/dev/null 2>&1 & )
_grid_until_gone() {
  _grid_left=$1
  shift
  for _grid_one; do
    while [ "$_grid_left" -gt 0 ] && read -r _grid_stat 2>/dev/null <"/proc/$_grid_one/stat"; do
      case \${_grid_stat##*) } in [ZX]*) break ;; esac
      sleep 0.02
      _grid_left=$((_grid_left - 1))
    done
  done
}
exec 6<&0
trap : HUP INT
trap '{ echo >"$_grid_state/term"; } 2>/dev/null' TERM
( trap - INT QUIT; exec "$_grid_podman" run "$@" <&6 6<&- ) &
_grid_child=$!
exec 6<&-
while wait "$_grid_child"; _grid_code=$?; kill -0 "$_grid_child" 2>/dev/null; do :; done
read -r _grid_conmon 2>/dev/null <"$_grid_state/conmon"
_grid_until_gone 100 $_grid_conmon
read -r _grid_watcher 2>/dev/null <"$_grid_state/watch" || _grid_watcher=
if [ -e "$_grid_state/rm" ]; then
  _grid_until_gone 500 $_grid_watcher
else
  rm -rf "$_grid_state"
  read -r _grid_nap 2>/dev/null <"/proc/$_grid_watcher/task/$_grid_watcher/children"
  [ -z "$_grid_watcher" ] || kill -KILL "-$_grid_watcher"
  _grid_until_gone 100 $_grid_watcher $_grid_nap
fi
[ ! -e "$_grid_pid" ] || exit "$_grid_code"
case $_grid_code in
  125)
    "$_grid_podman" image exists "$_grid_image" </dev/null >/dev/null 2>&1 ||
      _grid_say 'could not be fetched' ${SOFTWARE_EXIT_CODE}
    _grid_say 'could not be run' ${SOFTWARE_EXIT_CODE} ;;
  126) _grid_say 'could not start the program' 126 ;;
  127) _grid_say 'has no such program' 127 ;;
esac
exit "$_grid_code"
`;

const containerOf = (id: string): string => `grid-${id}`;

/**
 * Confined as a task in namespaces of its own: its two directories are all that it can write but a /tmp of its own, and root in it
 * is the account outside, without any privilege. It stays in the control group of whoever starts it, so that limits
 * and kills of the batch system hold for it, and has the network of the machine or none.
 */
const CONFINED = [
  '--rm',
  '--quiet',
  '--pull=missing',
  '--log-driver=passthrough',
  '--interactive',
  '--cgroups=disabled',
  '--read-only',
  '--cap-drop=all',
  '--security-opt=no-new-privileges',
  '--security-opt=label=disable',
  '--annotation=run.oci.keep_original_groups=1',
  '--user=0:0',
  '--entrypoint=',
];

/** What tells a program which GPUs are its own; the batch system sets them, where it has any. */
const OF_GPUS = [
  'CUDA_VISIBLE_DEVICES',
  'ROCR_VISIBLE_DEVICES',
  'GPU_DEVICE_ORDINAL',
  'ZE_AFFINITY_MASK',
];

export function podmanWords(
  runtime: Runtime,
  task: ImageTask,
  { shared, own }: Readonly<Record<'shared' | 'own', ImageTask['env']>>,
): readonly string[] {
  const { directory, network, command } = task;
  const name = containerOf(task.id);
  const image = imageName(task);
  const folder = containerFolderOf(directory);
  const variables = [
    ...Object.keys(shared),
    'GRID_ATTEMPT_DIR',
    ...OF_GPUS,
    ...Object.entries(own).map(([key, value]) => `${key}=${value}`),
  ];
  return [
    '/bin/sh',
    '-c',
    RUN_WITH_WATCH,
    'grid-image',
    runtime.program,
    name,
    folder,
    image,
    ...CONFINED,
    `--name=${name}`,
    `--pidfile=${join(folder, 'pid')}`,
    `--network=${network === 'none' ? 'none' : 'host'}`,
    `--mount=${bindOf(directory, 'work')}`,
    `--mount=${bindOf(directory, 'tmp')}`,
    `--workdir=${join(directory, 'work')}`,
    ...variables.map((variable) => `--env=${variable}`),
    ...runtime.args,
    image,
    ...command,
  ];
}

const RUN_WITH_WATCH = `_grid_watch='${WATCH}'
${RUN}`;

/** Makes a container as one of a task, out of an empty directory and so without an image: it ends with 127 where podman works. */
export const podmanTrial = ({ program, args }: Runtime, root: string): readonly string[] => [
  program,
  'run',
  ...CONFINED,
  '--network=host',
  ...args,
  '--rootfs',
  root,
  '/no-program',
];

/** The watcher may just be writing there. */
const CLEARED = `for _grid_try in 1 2 3; do
  rm -rf "$3/state" 2>/dev/null && break
  sleep 0.1
done
`;

/** Ends a container and removes it, and what was killed beside it has left; nothing happens where there is none. */
export const podmanRemoval = (
  { program }: Runtime,
  { id, directory }: Pick<ImageTask, 'id' | 'directory'>,
): readonly string[] => [
  '/bin/sh',
  '-c',
  `${AT_HOME}_grid_podman=$1 _grid_name=$2\n${REMOVE}${CLEARED}`,
  'grid-image',
  program,
  containerOf(id),
  containerFolderOf(directory),
];
