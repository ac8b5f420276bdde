import { GridError } from '../../core/errors.ts';
import type { BrokerService, WhyJobResponse } from '../../proto/gen/grid/v1/broker.ts';
import type { RpcClient } from '../../service/rpc/rpc.ts';
import type { Context } from '../context.ts';

/** Says on stderr that a job which has just been submitted would wait for ever, and what would help. */
export async function noteIfNowhere(
  context: Context,
  broker: RpcClient<BrokerService>,
  jobId: string,
): Promise<void> {
  if (context.quiet || context.json) return;
  const { signal, terminal } = context;
  // The job is accepted whatever becomes of this question.
  const why = await broker.whyJob({ jobId }, { signal }).catch((error: unknown) => {
    if (error instanceof GridError && !signal.aborted) return undefined;
    throw error;
  });
  if (why !== undefined) for (const line of nowhereLines(jobId, why)) terminal.note(line);
}

/** Nothing where a site could take the job, be it later. */
export function nowhereLines(
  jobId: string,
  {
    answer,
    sites,
    advice,
    waitsFor,
  }: Pick<WhyJobResponse, 'answer' | 'sites' | 'advice' | 'waitsFor'>,
): readonly string[] {
  if (sites.length === 0 || sites.some(({ lasting }) => !lasting)) return [];
  // Where it waits for another job answer and advice are about that one.
  const isLater = waitsFor.length > 0;
  const help = isLater ? undefined : advice[0];
  return [
    `warning: ${isLater ? 'no site can take it as it is' : answer}`,
    `  -> ${help === undefined ? '' : `${help}; `}see \`grid why ${jobId}\``,
  ];
}
