import { accountFault, commandAs } from '../../accounts/account.ts';
import type { CommandRunner } from './batch-command.ts';
import type { BatchOrder, SubmitAnswer } from './batch-system.ts';

type Submitter = Pick<BatchOrder, 'account'>;

/** Runs commands with the rights of the account that an order is for. */
export const runnerAs =
  (run: CommandRunner, { account }: Submitter): CommandRunner =>
  (program, args, timeoutMs) => {
    const [first = program, ...words] = commandAs(account, [program, ...args]);
    return run(first, words, timeoutMs);
  };

/** The answer to an order whose account cannot be had any more; undefined where it could. */
export function unsubmittable({ account }: Submitter, stderr: string): SubmitAnswer | undefined {
  const fault = account === undefined ? undefined : accountFault(stderr);
  if (fault === undefined) return undefined;
  return { kind: 'refused', words: `nothing can be submitted as '${account?.name}': ${fault}` };
}
