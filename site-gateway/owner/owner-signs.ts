import type { OwnerSigns } from '../../core/owner/owner-policy.ts';
import { background } from '../../service/background.ts';
import type { Clock } from '../../service/clock.ts';
import type { Log } from '../../service/log.ts';
import { openProcessTable, type ProcessInfo } from '../lrms/process-tree.ts';
import { groupedProcesses } from '../lrms/sandbox/kept-groups.ts';
import { isOnBattery } from './battery.ts';
import { gridProcesses } from './grid-cpu.ts';
import { watchInput } from './input-devices.ts';
import { openOthersLoad } from './others-load.ts';
import { watchSessions } from './sessions.ts';
import { type Terminal, terminalsOfTasks, watchTerminals } from './terminals.ts';

/** Looks at what tells whether the machine's owner uses it. */
export interface SignReader extends Disposable {
  look(): OwnerSigns;
}

/** `root` is where /dev, /proc and /sys of the machine are: `/`, but for a gateway in a container. */
export function openSignReader(
  { root, spool }: { readonly root: string; readonly spool: string },
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): SignReader {
  const input = watchInput(root);
  const terminals = watchTerminals(root);
  const scan = openProcessTable();
  const othersLoad = openOthersLoad(root, spool, () => clock.monotonicMs());
  const stop = new AbortController();
  let beganAtMs = clock.nowMs();
  let usedAtMs = 0;
  // What is ahead of a clock, because that was set back, would last until that time comes again.
  const note = (atMs: number): void => {
    const nowMs = clock.nowMs();
    beganAtMs = Math.min(beganAtMs, nowMs);
    usedAtMs = Math.min(Math.max(usedAtMs, atMs), nowMs);
  };
  if (root === '/')
    background(
      'ask logind',
      watchSessions(note, () => clock.nowMs(), stop.signal),
      log,
    );
  return {
    look: () => {
      const nowMs = clock.nowMs();
      const used = terminals();
      const processes = scan();
      const typed = ofPeople(used, processes, spool).map((one) => one.usedAtMs);
      note(input.look() ? nowMs : Math.max(0, ...typed));
      return {
        nowMs,
        zoneMs: -new Date(nowMs).getTimezoneOffset() * 60_000,
        usedAtMs: usedAtMs === 0 ? undefined : usedAtMs,
        watchedSinceMs: input.isWatching() ? beganAtMs : undefined,
        load: othersLoad(processes),
        onBattery: isOnBattery(root),
      };
    },
    [Symbol.dispose]: () => {
      stop.abort();
      input[Symbol.dispose]();
    },
  };
}

/** Without the terminals that tasks have opened for themselves. */
function ofPeople(
  terminals: readonly Terminal[],
  processes: readonly ProcessInfo[],
  spool: string,
): readonly Terminal[] {
  if (terminals.length === 0) return [];
  const tasks = gridProcesses(processes, spool, groupedProcesses(spool));
  const isOfTasks = terminalsOfTasks(processes, tasks);
  return terminals.filter((one) => !isOfTasks(one));
}
