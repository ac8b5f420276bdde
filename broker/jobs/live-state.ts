import type { LiveOutputs } from '../../core/job/live-outputs.ts';
import type { ChangeSet } from './change-set.ts';
import type { AttemptRecord, TaskRecord } from './records.ts';

/**
 * What there is of the live outputs of a task: that of the last attempt that sent any, while no attempt has left results.
 * Each state takes the place of the one before, whose tree is let go.
 */

/** A live attempt sent its live outputs, or says why it could not. */
export function noteLive(set: ChangeSet, attempt: AttemptRecord, fresh: LiveOutputs): void {
  const { task, id, site } = attempt;
  const before = task.live;
  const hasTree = fresh.tree.digest !== '';
  if (!hasTree && before?.attempt === id) {
    // What was sent before is still the newest.
    task.live = { ...before, trouble: fresh.trouble };
  } else if (hasTree || before === undefined) {
    const { manifest: _manifest, ...tree } = fresh.tree;
    task.live = { attempt: id, site, tree, atMs: fresh.atMs, trouble: fresh.trouble };
    set.addTree(fresh.tree);
    if (before !== undefined && before.tree.digest !== tree.digest)
      set.dropTree(before.tree.digest);
  }
  set.touchTask(task);
}

/** Results are there: what was sent before them is nothing more. */
export function dropLive(set: ChangeSet, task: TaskRecord): void {
  if (task.live === undefined) return;
  set.dropTree(task.live.tree.digest);
  delete task.live;
  set.touchTask(task);
}
