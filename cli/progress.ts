import { formatBytes } from '../core/units.ts';
import type { TransferProgress } from '../service/staging/send-tree.ts';
import type { Context } from './context.ts';

/** Progress on stderr: nothing unless it is a terminal, and nothing for what is over in half a second. */
interface Bar {
  readonly update: (done: number, total: number) => void;
  readonly stop: () => void;
}

/** A transfer's progress. */
export interface ProgressLine {
  readonly update: (progress: TransferProgress) => void;
  readonly stop: () => void;
}

const QUIET_MS = 500;

/** Opens a line for `what` (`sending`, `fetching`). Stop it before anything else is written. */
export async function openProgress(context: Context, what: string): Promise<ProgressLine> {
  const { update, stop } = await openBar(context, what, formatBytes);
  return { update: ({ doneBytes, totalBytes }) => update(doneBytes, totalBytes), stop };
}

/** The same for anything that is counted; `format` shows an amount. */
export async function openBar(
  context: Context,
  what: string,
  format: (amount: number) => string,
): Promise<Bar> {
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
  const update = (done: number, total: number): void => {
    const payload = { done: format(done), all: format(total) };
    if (shown) {
      bar.update(done, payload);
    } else if (performance.now() - startedAtMs > QUIET_MS) {
      bar.start(total, done, payload);
      shown = true;
    }
  };
  return { update, stop: () => bar.stop() };
}
