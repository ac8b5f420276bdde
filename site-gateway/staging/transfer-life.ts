import type { Outcome } from '../../core/job/outcome.ts';
import type { Transfer } from '../../core/job/transfer.ts';
import { needOf } from '../../core/match/need.ts';
import type { Attempt } from '../attempts/attempt.ts';
import { endedEarly } from '../attempts/ending.ts';
import type { Stock } from '../attempts/stock.ts';
import { openProgressWords } from './transfer-progress.ts';
import type { TransferQueue } from './transfer-turns.ts';
import type { RunTransfer } from './transfers.ts';

export interface TransferParts {
  readonly stock: Stock;
  readonly transfers: TransferQueue;
  readonly runTransfer: RunTransfer;
  /** Removes what an earlier run left of a transfer that has come to nothing. */
  readonly clearTransfer: (attempt: Attempt, transfer: Transfer) => Promise<void>;
}

interface Around extends TransferParts {
  /** Tells that it has its turn. */
  readonly begun: () => Promise<void>;
  readonly isStopping: () => boolean;
}

/**
 * What the gateway does itself; done again from the beginning after a restart. What an earlier run had begun and this one does
 * not bring to its end is cleared, for it may never come to where that would be done.
 */
export async function carryTransfer(
  attempt: Attempt,
  transfer: Transfer,
  around: Around,
): Promise<Outcome> {
  let isWhole = !attempt.startedBefore;
  try {
    const outcome = await carry(attempt, transfer, around);
    isWhole ||= outcome.failure === undefined && attempt.ending === '';
    return outcome;
  } finally {
    if (!isWhole && !around.isStopping()) await around.clearTransfer(attempt, transfer);
  }
}

async function carry(
  attempt: Attempt,
  transfer: Transfer,
  { stock, transfers, runTransfer, begun, isStopping }: Around,
): Promise<Outcome> {
  if (attempt.ending !== '') return endedEarly(attempt);
  attempt.giveBack = await stock.take(needOf(attempt.spec.resources), attempt.abort.signal);
  return transfers.run(attempt, 'background', attempt.abort.signal, async () => {
    if (attempt.ending !== '') return endedEarly(attempt);
    await begun();
    const { signal } = attempt.abort;
    const progress = openProgressWords();
    attempt.progress = progress;
    const how = { signal, isStopping, onProgress: progress.update };
    const outcome = await runTransfer(attempt, transfer, how);
    return attempt.ending === '' ? outcome : endedEarly(attempt);
  });
}
