import { formatBytes, formatSeconds } from '../core/units.ts';
import type { TransferProgress } from '../service/staging/send-tree.ts';
import type { Context } from './context.ts';

/** Progress on stderr: nothing unless it is a terminal, and nothing for what is over in half a second. */
interface Bar {
  readonly update: (done: number, total: number) => void;
  readonly stop: () => void;
}

/** Where a bar is drawn. */
type Screen = NodeJS.WritableStream & { readonly columns?: number };

/** A transfer's progress. */
export interface ProgressLine {
  readonly update: (progress: TransferProgress) => void;
  readonly stop: () => void;
}

const QUIET_MS = 500;
/** What comes first is not measured: it may have been there already. */
const SETTLED_MS = 1_000;

/** So far back a pace looks: what was there already, or a line that stood still, is soon told no more. */
const BACK_MS = 10_000;
const SAMPLE_MS = 250;

/** How fast bytes went since `fromBytes`, and how long the others will take: `, 12 MiB/s, 3 s left`; '' for too early. */
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
  const left = leftMs <= 0 ? '' : `, ${formatSeconds(Math.ceil(leftMs / 1_000) * 1_000)} left`;
  return `, ${formatBytes(Math.round((bytes * 1_000) / elapsedMs))}/s${left}`;
}

/** Tells the pace of the last ten seconds, as `paceText` has it. */
export function openPace(
  nowMs: () => number = () => performance.now(),
): (doneBytes: number, totalBytes: number) => string {
  const samples: { readonly fromBytes: number; readonly atMs: number }[] = [];
  return (doneBytes, totalBytes) => {
    const atMs = nowMs();
    const lastMs = samples.at(-1)?.atMs ?? -Infinity;
    if (atMs - lastMs >= SAMPLE_MS) samples.push({ fromBytes: doneBytes, atMs });
    while (samples[1] !== undefined && atMs - samples[1].atMs >= BACK_MS) samples.shift();
    const [first = { fromBytes: doneBytes, atMs }] = samples;
    return paceText({ fromBytes: first.fromBytes, doneBytes, totalBytes }, atMs - first.atMs);
  };
}

/** Cells of the bar where a terminal has so many columns: what is done and how much there is comes before it. */
export const barWidth = (columns: number): number => Math.max(4, Math.min(24, columns - 56));

/** Opens a line for `what` (`sending`, `fetching`). Stop it before anything else is written. */
export async function openProgress(context: Context, what: string): Promise<ProgressLine> {
  const { update, stop } = await openBar(context, what, formatBytes, openPace());
  return { update: ({ doneBytes, totalBytes }) => update(doneBytes, totalBytes), stop };
}

/** The same for anything that is counted; `format` shows an amount. It makes way for remarks, and goes on below them. */
export async function openBar(
  context: Context,
  what: string,
  format: (amount: number) => string,
  more: (done: number, total: number) => string = () => '',
  stream: Screen = process.stderr,
): Promise<Bar> {
  if (!context.terminal.showsProgress) return { update: () => undefined, stop: () => undefined };
  const { SingleBar } = await import('cli-progress');
  const bar = new SingleBar({
    format: `${what} {bar} {percentage}% {done} of {all}{more}`,
    barsize: barWidth(stream.columns ?? 80),
    barCompleteChar: '█',
    barIncompleteChar: '─',
    clearOnComplete: true,
    hideCursor: true,
    stream,
  });
  const startedAtMs = performance.now();
  let shown = false;
  const hide = (): void => {
    bar.stop();
    shown = false;
  };
  const update = (done: number, total: number): void => {
    const payload = { done: format(done), all: format(total), more: more(done, total) };
    if (shown) {
      bar.setTotal(total);
      bar.update(done, payload);
    } else if (performance.now() - startedAtMs > QUIET_MS) {
      bar.start(total, done, payload);
      shown = true;
      context.terminal.drawn(hide);
    }
  };
  return { update, stop: hide };
}
