import { sum } from '../../../core/sum.ts';
import { readPlainFiles } from '../../read-plain.ts';
import { TICKS_PER_SECOND } from '../task-files.ts';
import { BATCH_METER } from './batch-meter.ts';

/**
 * What a task starts through the launcher of its batch system (`srun`, `qrsh`, and `mpirun` by way of these) is no child of the
 * batch script, and mostly runs on another node. These scripts stand by there, named by variables that the launchers
 * read, and write `INDEX.steps/NODE.STEP`: lines as the meter's own. They are called by a path that leads through the
 * link INDEX of a submission, and so tells them whose step it is. POSIX sh.
 */
export const STEP_SCRIPTS = {
  /**
   * Task prolog of Slurm, a child of what becomes the task; that is a child of the step's daemon on this node, which counts
   * the CPU time of what has ended. A meter in a session of its own looks at the daemon's children until it has gone; Slurm
   * kills what else a prolog leaves. One task a node and step sees to it.
   */
  'step-begins': `#!/bin/sh
_grid_mark=\${0%%/../*}
if [ "$1" != meter ]; then
  [ "$SLURM_LOCALID" = 0 ] || exit 0
  read -r _grid_line <"/proc/$PPID/stat"
  set -- \${_grid_line##*)}
  # It comes back when the meter lets go of its output, in its own session then.
  : "$(setsid --fork "$0" meter "$2" </dev/null 2>/dev/null)"
  exit 0
fi
exec >/dev/null
mkdir -p "$_grid_mark.steps"
_grid_usage=$_grid_mark.steps/$SLURMD_NODENAME.$SLURM_STEP_ID
_grid_root=$2 _grid_eager=yes _grid_most= _grid_room= _grid_dir=
${BATCH_METER}
_grid_meter
`,
  /** Task epilog of Slurm, a child of the step's daemon, which has waited for the task by now. */
  'step-ends': `#!/bin/sh
_grid_mark=\${0%%/../*}
read -r _grid_line <"/proc/$PPID/stat"
set -- \${_grid_line##*)}
read -r _grid_up _grid_line </proc/uptime
mkdir -p "$_grid_mark.steps"
echo "0 $((\${14} + \${15})) $_grid_up" >>"$_grid_mark.steps/$SLURMD_NODENAME.$SLURM_STEP_ID"
exit 0
`,
  /** What Grid Engine's qrsh calls with the words of a command, which it would give to a shell as one text. */
  'step-runs': `#!/bin/sh
_grid_mark=\${0%%/../*}
_grid_dir=$(readlink "$_grid_mark")
_grid_limits() { . "$_grid_dir/order"; }
_grid_limits
_grid_room=
mkdir -p "$_grid_mark.steps"
_grid_usage=$_grid_mark.steps/$(uname -n).$$
_grid_root=$$ _grid_eager=yes
trap : HUP INT TERM PIPE USR1 USR2
${BATCH_METER}
_grid_meter </dev/null >/dev/null 2>&1 &
_grid_meter=$!
"$(getent passwd "$(id -u)" | cut -d: -f7)" -c "$*"
_grid_code=$?
if [ -e "$_grid_usage" ]; then kill -HUP "$_grid_meter"; else kill -KILL "$_grid_meter"; fi
wait "$_grid_meter" 2>/dev/null
read -r _grid_line </proc/$$/stat
set -- \${_grid_line##*)}
read -r _grid_up _grid_line </proc/uptime
echo "0 $((\${14} + \${15})) $_grid_up" >>"$_grid_usage"
# A command that a signal ended is to look like one: Grid Engine ends the whole job then.
trap - HUP INT TERM PIPE USR1 USR2
[ "$_grid_code" -le 128 ] || kill -"$((_grid_code - 128))" $$
exit "$_grid_code"
`,
} as const;

/** What the steps of a task have used. */
export interface StepUsage {
  readonly cpuMs: number;
  /** The most of any node: of its steps that ran at the same time together. */
  readonly peakMemoryBytes: number;
}

export const NO_STEPS: StepUsage = { cpuMs: 0, peakMemoryBytes: 0 };

/** Bytes of a file, many times more than it has, and steps. */
const MOST = { most: 64 * 2 ** 10, names: 10_000 } as const;

/** What was written of the steps of an element, by these accounts; `directory` is there only where it had some. */
export async function readSteps(
  directory: string,
  uids: readonly number[] | undefined,
): Promise<StepUsage> {
  const texts = await readPlainFiles(directory, { ...MOST, uids });
  const files = [...texts].map(([name, text]) => ({
    node: name.slice(0, name.lastIndexOf('.')),
    text,
  }));
  return stepUsage(files);
}

interface Step {
  readonly node: string;
  readonly ticks: number;
  readonly kib: number;
  /** Uptime of the node, seconds. */
  readonly from: number;
  readonly to: number;
}

export function stepUsage(
  files: readonly { readonly node: string; readonly text: string }[],
): StepUsage {
  const steps = files.flatMap(({ node, text }) => stepOf(node, text));
  const nodes = Map.groupBy(steps, ({ node }) => node);
  return {
    cpuMs: (sum(steps.map(({ ticks }) => ticks)) * 1_000) / TICKS_PER_SECOND,
    peakMemoryBytes: Math.max(0, ...[...nodes.values()].map(peakOf)) * 1_024,
  };
}

/** The most that steps of one node had at the same time, each its own most: KiB. */
function peakOf(steps: readonly Step[]): number {
  const changes = steps.flatMap(({ kib, from, to }) => [
    { at: from, kib },
    { at: to, kib: -kib },
  ]);
  let [now, most] = [0, 0];
  // At one instant, what begins before what ends.
  for (const { kib } of changes.toSorted((a, b) => a.at - b.at || b.kib - a.kib)) {
    now += kib;
    most = Math.max(most, now);
  }
  return most;
}

/** Lines `KIB TICKS UPTIME`; one that is cut short does not count. */
function stepOf(node: string, text: string): readonly Step[] {
  const looks = [...text.matchAll(/^(\d+) (\d+) (\d+(?:\.\d+)?)\n/gm)].map(
    ([, kib = '', ticks = '', uptime = '']) =>
      [Number(kib), Number(ticks), Number(uptime)] as const,
  );
  if (looks.length === 0) return [];
  const kib = Math.max(...looks.map(([one]) => one));
  const ticks = Math.max(...looks.map(([, one]) => one));
  const times = looks.map(([, , one]) => one);
  return [{ node, kib, ticks, from: Math.min(...times), to: Math.max(...times) }];
}
