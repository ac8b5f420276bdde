import type { TaskEnd } from '../lrms.ts';
import { fenceOff, readStarted, type TaskStart } from '../task-files.ts';
import { type ForkTask, siteFault } from './fork-task.ts';

/** A wrapper says that it started within this, even on a loaded machine; the fence makes a second order harmless. */
export const LAUNCH_PATIENCE_MS = 10_000;
const MAX_LAUNCHES = 3;

/** What has become of an order: the task has begun, is to be ordered again, can begin no more, or nobody knows yet. */
type LateLaunch =
  | { readonly kind: 'begun'; readonly start: TaskStart | undefined }
  | { readonly kind: 'again' | 'open' }
  | { readonly kind: 'failed'; readonly end: TaskEnd };

/** Looks after a task whose wrapper has not said in time that it began. */
export async function lookAfterLaunch(entry: ForkTask): Promise<LateLaunch> {
  const { directory } = entry.task;
  const started = await readStarted(directory);
  if (started !== undefined) return { kind: 'begun', start: started.start };
  // Whoever ends it sees to it that it never begins.
  if (entry.killing) return { kind: 'open' };
  if (entry.launches < MAX_LAUNCHES) return { kind: 'again' };
  if (!(await fenceOff(directory))) return { kind: 'open' };
  const detail = `its wrapper did not start in ${MAX_LAUNCHES} tries`;
  return { kind: 'failed', end: siteFault('START_FAILED', detail) };
}
