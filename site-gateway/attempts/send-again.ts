import type { TreeRef } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';
import { transferOf } from '../../core/job/transfer.ts';
import type { Journal } from '../journal/journal.ts';
import type { AttemptStaging } from '../staging/staging.ts';
import type { TransferQueue } from '../staging/transfer-turns.ts';
import { attemptOf } from './attempt.ts';

/** Sends the outputs of an attempt that has ended once more; see `openSendAgain`. */
export type SendAgain = (id: string, signal: AbortSignal) => Promise<TreeRef>;

interface Parts {
  readonly spool: string;
  readonly journal: Pick<Journal, 'ended'>;
  readonly staging: Pick<AttemptStaging, 'stageOut'>;
  readonly transfers: Pick<TransferQueue, 'run'>;
}

/**
 * For a store that has lost chunks of outputs which it had when they were sent: what is missing goes again, as long as the
 * files are there. Throws ATTEMPT_NOT_FOUND where they are not, and for what the gateway copied itself. An attempt is sent
 * by one call at a time: who gave up asks anew before the gateway has heard of it.
 */
export function openSendAgain({ spool, journal, staging, transfers }: Parts): SendAgain {
  const last = new Map<string, Promise<TreeRef>>();
  const send: SendAgain = async (id, signal) => {
    await last.get(id)?.catch(() => undefined);
    const accepted = journal.ended(id);
    const attempt = accepted === undefined ? undefined : attemptOf(spool, accepted);
    if (attempt === undefined || transferOf(attempt.spec.command) !== undefined)
      throw new GridError(
        'ATTEMPT_NOT_FOUND',
        `the files of attempt '${id}' are not here any more`,
      );
    const { outputs } = await transfers.run(attempt, 'foreground', signal, () =>
      staging.stageOut(attempt, false, signal),
    );
    return outputs;
  };
  return async (id, signal) => {
    const sending = send(id, signal);
    last.set(id, sending);
    try {
      return await sending;
    } finally {
      if (last.get(id) === sending) last.delete(id);
    }
  };
}
