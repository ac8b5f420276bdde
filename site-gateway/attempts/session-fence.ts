import { GridError } from '../../core/errors.ts';

/** A session of the broker with this gateway; it is later than those of lower epochs, and those of its own with lower numbers. */
interface BrokerSession {
  readonly epoch: number;
  readonly session: number;
}

/**
 * The last session that has compared the lists. A call of an earlier one that was held up, on its way or by the disk, must
 * not take effect after that: the broker has let go of what it was told is not here.
 */
export interface SessionFence {
  /** This session compares the lists now. Throws INTERRUPTED where a later one has. */
  enter(by: BrokerSession): void;
  /** Throws INTERRUPTED where a later one has compared them. */
  check(by: BrokerSession): void;
}

export function openSessionFence(): SessionFence {
  let last: BrokerSession = { epoch: 0, session: 0 };
  const check = ({ epoch, session }: BrokerSession): void => {
    if (epoch > last.epoch || (epoch === last.epoch && session >= last.session)) return;
    throw new GridError(
      'INTERRUPTED',
      `session ${session} of the broker is over: session ${last.session} has compared the lists`,
    );
  };
  return {
    check,
    enter: ({ epoch, session }) => {
      check({ epoch, session });
      last = { epoch, session };
    },
  };
}
