import { existsSync, writeFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { errnoOf } from '../../../service/staging/file-errors.ts';

const LOWEST = constants.priority.PRIORITY_LOW;
/** The kernel takes one such order in a tenth of a second from all that are not root. */
const AGAIN_MS = 110;

/**
 * Gives a process that leads a session the lowest priority; what it starts inherits it. A desktop gives each session its share
 * of the machine, whatever the priorities within it (sched(7), autogroup): that share becomes the least, too.
 */
export async function setLowest(pid: number): Promise<void> {
  const file = `/proc/${pid}/autogroup`;
  try {
    setPriority(pid, LOWEST);
    // Nobody waits for it, not even a gateway that stops.
    while (existsSync(file) && !isTaken(file)) await pause(AGAIN_MS, undefined, { ref: false });
  } catch (error) {
    // It has ended meanwhile.
    if (!['ESRCH', 'ENOENT'].includes(orderErrno(error))) throw error;
  }
}

/** That of a priority is in `info`: its `code` is ERR_SYSTEM_ERROR. */
function orderErrno(error: unknown): string {
  const info = error instanceof Error && 'info' in error ? error.info : undefined;
  return typeof info === 'object' && info !== null && 'code' in info
    ? String(info.code)
    : errnoOf(error);
}

function isTaken(autogroup: string): boolean {
  try {
    writeFileSync(autogroup, String(LOWEST));
    return true;
  } catch (error) {
    if (errnoOf(error) !== 'EAGAIN') throw error;
    return false;
  }
}
