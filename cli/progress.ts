import { formatBytes, formatDuration } from '../core/units.ts';
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
/** What comes first is not measured: it may have been there already. */
const SETTLED_MS = 1_000;

/** How fast bytes went since `fromBytes`, and how long the others will take: `, 12 MiB/s, 3.0 s left`; '' for too early. */
export function paceText(
  {
    fromBytes,
    doneBytes,
    totalBytes,
  }: Readonly<Record<'fromBytes' | 'doneBytes' | 'totalBytes', number>>,
  elapsedMs: number,
): string {
  const bytes = doneBytes - fromBytes;
  if (bytes <= 0 || elapsedMs < SETTLED_MS) return '';
  const leftMs = ((totalBytes - doneBytes) * elapsedMs) / bytes;
  const left = formatDuration(Math.ceil(leftMs / 1_000) * 1_000);
  return `, ${formatBytes(Math.round((bytes * 1_000) / elapsedMs))}/s, ${left} left`;
}

/** Cells of the bar where a terminal has so many columns: what is done and how much there is comes before it. */
export const barWidth = (columns: number): number => Math.max(4, Math.min(24, columns - 56));

/** Opens a line for `what` (`sending`, `fetching`). Stop it before anything else is written. */
export async function openProgress(context: Context, what: string): Promise<ProgressLine> {
  let first: { readonly fromBytes: number; readonly atMs: number } | undefined;
  const pace = (doneBytes: number, totalBytes: number): string => {
    const nowMs = performance.now();
    first ??= { fromBytes: doneBytes, atMs: nowMs };
    return paceText({ fromBytes: first.fromBytes, doneBytes, totalBytes }, nowMs - first.atMs);
  };
  const { update, stop } = await openBar(context, what, formatBytes, pace);
  return { update: ({ doneBytes, totalBytes }) => update(doneBytes, totalBytes), stop };
}

/** The same for anything that is counted; `format` shows an amount. */
export async function openBar(
  context: Context,
  what: string,
  format: (amount: number) => string,
  more: (done: number, total: number) => string = () => '',
): Promise<Bar> {
  if (!context.terminal.showsProgress) return { update: () => undefined, stop: () => undefined };
  const { SingleBar } = await import('cli-progress');
  const bar = new SingleBar({
    format: `${what} {bar} {percentage}% {done} of {all}{more}`,
    barsize: barWidth(process.stderr.columns ?? 80),
    barCompleteChar: '█',
    barIncompleteChar: '─',
    clearOnComplete: true,
    hideCursor: true,
    stream: process.stderr,
  });
  const startedAtMs = performance.now();
  let shown = false;
  const update = (done: number, total: number): void => {
    const payload = { done: format(done), all: format(total), more: more(done, total) };
    if (shown) {
      bar.update(done, payload);
    } else if (performance.now() - startedAtMs > QUIET_MS) {
      bar.start(total, done, payload);
      shown = true;
    }
  };
  return { update, stop: () => bar.stop() };
}
