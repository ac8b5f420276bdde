import type { JobState } from '../../core/job/state.ts';
import { formatDuration } from '../../core/units.ts';
import type { BrokerService } from '../../proto/gen/grid/v1/broker.ts';
import type { Connection } from '../../service/rpc/grpc-client.ts';
import type { Context } from '../context.ts';
import { followJob } from '../jobs/follow.ts';
import type { EventView } from '../jobs/job-view.ts';
import { BrokenLink, type Chain } from './probe-links.ts';

/** A probe that the broker has. */
export interface FollowedProbe {
  readonly context: Context;
  readonly chain: Chain;
  readonly broker: Connection<BrokerService>;
  readonly site: string;
  readonly jobId: string;
  readonly patienceMs: number;
}

interface Stage {
  /** The link that is being tried while the task is in this state. */
  readonly link: string;
  /** Words for a link that holds. */
  readonly words: string;
  readonly remedy: string;
}

/** What is under way in each state, in the order of a task's life. */
const STAGES = {
  queued: {
    link: 'placement',
    words: 'the broker has chosen the site',
    remedy: '`grid why` of the job says what it waits for',
  },
  matched: {
    link: 'gateway',
    words: 'has the task in its journal',
    remedy: "look at the gateway's log",
  },
  'staging-in': {
    link: 'staging in',
    words: 'the input is at the site',
    remedy: 'can the site reach nats-server (port 4222), and write its spool?',
  },
  submitted: {
    link: 'batch system',
    words: 'has started the task',
    remedy:
      'look at its queue (squeue, qstat): may this account submit, and do the compute nodes see the spool?',
  },
  running: {
    link: 'run',
    words: 'the program ended with 0',
    remedy: 'sh, cat, cp and hostname must work there: see `grid logs --stderr` of the job',
  },
  'staging-out': {
    link: 'staging out',
    words: 'the results are in the store',
    remedy: 'can the site reach nats-server (port 4222), and is there room in the store?',
  },
} as const satisfies Partial<Record<JobState, Stage>>;

const ORDER = Object.keys(STAGES) as (keyof typeof STAGES)[];

/** What a task that was staged in says of the link that failed, where its last state is an earlier one. */
const TELLING: Readonly<Record<string, keyof typeof STAGES>> = {
  SITE_REFUSED: 'submitted',
  START_FAILED: 'submitted',
  SANDBOX_FAILED: 'submitted',
  COMMAND_NOT_FOUND: 'running',
  EXIT_NONZERO: 'running',
  KILLED_BY_SIGNAL: 'running',
  OUTPUT_MISSING: 'staging-out',
};

/**
 * Notes each link as the task passes it, to its end. A task that is quick may skip states: the links between hold, too.
 * Throws BrokenLink where it fails, is given back, is held, or stands still for longer than `patienceMs`.
 */
export async function followProbe(probe: FollowedProbe): Promise<void> {
  const { context, chain, broker, jobId, patienceMs } = probe;
  const patience = AbortSignal.timeout(patienceMs);
  const signal = AbortSignal.any([context.signal, patience]);
  let at = 0;
  let sinceMs = performance.now();
  const pass = (upTo: number): void => {
    for (; at < upTo; at += 1) {
      const stage: Stage | undefined = STAGES[ORDER[at] ?? 'queued'];
      chain.holds(stage.link, sinceMs, stage.words);
      sinceMs = performance.now();
    }
    if (at < ORDER.length) chain.tries(STAGES[ORDER[at] ?? 'queued'].link);
  };
  const breakHere = (detail: string): BrokenLink => {
    const { link, remedy }: Stage = STAGES[ORDER[at] ?? 'queued'];
    chain.breaks(link, sinceMs, detail, remedy);
    return new BrokenLink(detail, remedy);
  };
  chain.tries(STAGES.queued.link);
  try {
    for await (const event of followJob({ broker: broker.call, jobId, signal })) {
      if (event.ordinal < 0) continue;
      if (event.state === 'done') {
        pass(ORDER.length);
        return;
      }
      const stage = ORDER.indexOf(event.state as keyof typeof STAGES);
      if (stage > at) pass(stage);
      const words = troubleOf(event, at);
      if (words === undefined) continue;
      const telling = TELLING[event.reason];
      if (telling !== undefined && at >= ORDER.indexOf('staging-in'))
        pass(Math.max(at, ORDER.indexOf(telling)));
      throw breakHere(words);
    }
  } catch (error) {
    if (!patience.aborted || context.signal.aborted) throw error;
    const why = await broker.call.whyJob({ jobId }, { signal: context.signal });
    const words = await siteWords(probe, at).catch(() => '');
    throw breakHere(
      `nothing happened within ${formatDuration(patienceMs)}: ${words === '' ? why.answer : words}`,
    );
  }
  throw breakHere('the job ended without a word');
}

/** What the site itself says of a probe that stands still: why the store or the batch system keeps it; '' for nothing. */
async function siteWords(probe: FollowedProbe, at: number): Promise<string> {
  const { broker, site, jobId, context } = probe;
  const answer = await broker.call.inspectSite({ id: site }, { signal: context.signal });
  const state = ORDER[at];
  if (state === 'staging-in' || state === 'staging-out')
    return answer.storeTrouble === '' ? '' : `the site waits for the store: ${answer.storeTrouble}`;
  const own = answer.attempts.find((one) => one.jobId === jobId);
  const reason = own?.batchReason || answer.site?.offer?.closedReason || '';
  return reason === '' ? '' : `the site says of it: ${reason}`;
}

/** Words for an event that no healthy task has: it ended badly, was held, or went back into the queue. */
function troubleOf({ state, reason, detail }: EventView, at: number): string | undefined {
  const back = state === 'queued' && at > 0;
  if (state !== 'failed' && state !== 'held' && state !== 'cancelled' && !back) return undefined;
  return [reason || state, detail].filter((text) => text !== '').join(': ');
}
