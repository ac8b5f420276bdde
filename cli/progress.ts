import { formatBytes } from '../core/units.ts';
import type { TransferProgress } from '../service/staging/send-tree.ts';
import type { Context } from './context.ts';

/** A transfer's progress on stderr: nothing unless it is a terminal, and nothing for what is over in half a second. */
export interface ProgressLine {
  readonly update: (progress: TransferProgress) => void;
  readonly stop: () => void;
}

const QUIET_MS = 500;

/** Opens a line for `what` (`sending`, `fetching`). Stop it before anything else is written. */
export async function openProgress(context: Context, what: string): Promise<ProgressLine> {
  if (!context.terminal.showsProgress) return { update: () => undefined, stop: () => undefined };
  const { SingleBar } = await import('cli-progress');
  const bar = new SingleBar({
    format: `${what} {bar} {percentage}% {done} of {all}`,
    barsize: 24,
    barCompleteChar: '█',
    barIncompleteChar: '─',
    clearOnComplete: true,
    hideCursor: true,
    stream: process.stderr,
  });
  const startedAtMs = performance.now();
  let shown = false;
  const update = ({ doneBytes, totalBytes }: TransferProgress): void => {
    const payload = { done: formatBytes(doneBytes), all: formatBytes(totalBytes) };
    if (shown) {
      bar.update(doneBytes, payload);
    } else if (performance.now() - startedAtMs > QUIET_MS) {
      bar.start(totalBytes, doneBytes, payload);
      shown = true;
    }
  };
  return { update, stop: () => bar.stop() };
}
