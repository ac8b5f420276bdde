import { formatBytes } from '../../core/units.ts';
import type { TransferProgress } from '../../service/staging/send-tree.ts';

/** How far a transfer is, for whoever looks at its job. */
export interface ProgressWords {
  readonly update: (progress: TransferProgress) => void;
  /** `1.2 GiB of 4 GiB, 85 MiB/s`, new every few seconds; '' before anything has moved. `nowMs` never goes back. */
  words(nowMs: number): string;
}

/** Each telling is written down at the site and at the broker. */
const EVERY_MS = 3_000;

export function openProgressWords(): ProgressWords {
  let latest: TransferProgress | undefined;
  let told: { readonly doneBytes: number; readonly atMs: number } | undefined;
  let words = '';
  return {
    update: (progress) => {
      latest = progress;
    },
    words: (nowMs) => {
      if (latest === undefined) return '';
      const { doneBytes, totalBytes } = latest;
      // The first look is the one from which the rate is reckoned.
      const before = (told ??= { doneBytes, atMs: nowMs });
      const sinceMs = nowMs - before.atMs;
      if (sinceMs < EVERY_MS) return words;
      const rate = Math.max(0, Math.round(((doneBytes - before.doneBytes) * 1_000) / sinceMs));
      told = { doneBytes, atMs: nowMs };
      words = `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}, ${formatBytes(rate)}/s`;
      return words;
    },
  };
}
