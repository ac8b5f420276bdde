import type { JobState } from '../../core/job/state.ts';
import { formatDuration } from '../../core/units.ts';
import type { BrokerService } from '../../proto/gen/grid/v1/broker.ts';
import { timeLimit } from '../../service/long-timer.ts';
import type { Connection } from '../../service/rpc/grpc-client.ts';
import type { Context } from '../context.ts';
import { followJob } from '../jobs/follow.ts';
import type { EventView } from '../jobs/job-view.ts';
import { failureRemedy } from './link-remedy.ts';
import { BrokenLink, type Chain } from './probe-links.ts';
import { type Trouble, untilTrouble } from './probe-watch.ts';

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

/** Where the probe is on its way through the stages. */
interface Walk {
  readonly at: () => number;
  readonly state: () => JobState | undefined;
  /** Notes the stages before this one, which hold. */
  readonly pass: (upTo: number) => void;
  /** Notes that the present one does not. */
  readonly breakHere: (detail: string, remedy?: string) => BrokenLink;
}

function openWalk(chain: Chain): Walk {
  let at = 0;
  let sinceMs = performance.now();
  const stage = (): Stage => STAGES[ORDER[at] ?? 'queued'];
  chain.tries(stage().link);
  return {
    at: () => at,
    state: () => ORDER[at],
    pass: (upTo) => {
      for (; at < upTo; at += 1) {
        chain.holds(stage().link, sinceMs, stage().words);
        sinceMs = performance.now();
      }
      if (at < ORDER.length) chain.tries(stage().link);
    },
    breakHere: (detail, remedy = stage().remedy) => {
      chain.breaks(stage().link, sinceMs, detail, remedy);
      return new BrokenLink(detail, remedy);
    },
  };
}

/**
 * Notes each link as the task passes it, to its end. A task that is quick may skip states: the links between hold, too.
 * Throws BrokenLink where it fails, is given back, is held, or stands still for longer than `patienceMs`.
 */
export async function followProbe(probe: FollowedProbe): Promise<void> {
  const { context, chain, broker, jobId, patienceMs } = probe;
  const patience = timeLimit(patienceMs);
  const over = new AbortController();
  const signal = AbortSignal.any([context.signal, patience, over.signal]);
  const walk = openWalk(chain);
  let stuck: Trouble | undefined;
  const watching = untilTrouble(probe, () => walk.state(), signal).then((trouble) => {
    stuck = trouble;
    over.abort();
  });
  try {
    for await (const event of followJob({ broker: broker.call, jobId, signal })) {
      if (event.ordinal < 0) continue;
      if (event.state === 'done') {
        walk.pass(ORDER.length);
        return;
      }
      goTo(walk, event);
    }
  } catch (error) {
    if (error instanceof BrokenLink || context.signal.aborted) throw error;
    if (!patience.aborted && !over.signal.aborted) throw error;
    if (stuck !== undefined) throw walk.breakHere(stuck.words, stuck.remedy);
    const why = await broker.call.whyJob({ jobId }, { signal: context.signal });
    const words = (await batchReason(probe).catch(() => '')) || why.answer;
    throw walk.breakHere(`nothing happened within ${formatDuration(patienceMs)}: ${words}`);
  } finally {
    over.abort();
    await watching;
  }
  throw walk.breakHere('the job ended without a word');
}

/** Passes the links that an event has left behind; throws BrokenLink where it tells that one does not hold. */
function goTo(walk: Walk, event: EventView): void {
  const stage = ORDER.indexOf(event.state as keyof typeof STAGES);
  if (stage > walk.at()) walk.pass(stage);
  const words = troubleOf(event, walk.at());
  if (words === undefined) return;
  const telling = TELLING[event.reason];
  if (telling !== undefined && walk.at() >= ORDER.indexOf('staging-in'))
    walk.pass(Math.max(walk.at(), ORDER.indexOf(telling)));
  throw walk.breakHere(words, failureRemedy(words));
}

/** What keeps the task of the probe in the queue of the batch system, which may be that others are before it; '' for nothing. */
async function batchReason({ broker, site, jobId, context }: FollowedProbe): Promise<string> {
  const { attempts } = await broker.call.inspectSite({ id: site }, { signal: context.signal });
  const reason = attempts.find((one) => one.jobId === jobId)?.batchReason ?? '';
  return reason === '' ? '' : `the batch system says of it: ${reason}`;
}

/** Words for an event that no healthy task has: it ended badly, was held, or went back into the queue. */
function troubleOf({ state, reason, detail }: EventView, at: number): string | undefined {
  const back = state === 'queued' && at > 0;
  if (state !== 'failed' && state !== 'held' && state !== 'cancelled' && !back) return undefined;
  return [reason || state, detail].filter((text) => text !== '').join(': ');
}
