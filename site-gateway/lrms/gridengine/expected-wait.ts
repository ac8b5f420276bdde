import type { Clock } from '../../../service/clock.ts';
import { BatchSilence } from '../batch/batch-command.ts';
import type { Needs } from '../batch/batch-system.ts';
import type { Capacity } from '../lrms.ts';
import type { Layout } from './capacity.ts';
import { slotsFor } from './parallel.ts';
import { countTasks, type QueueInstance } from './qstat.ts';
import { parseTime } from './units.ts';
import { childrenOf, parseXml, textOf, unreadable, type XmlElement } from './xml.ts';

/**
 * How long a task that came now would wait at most, by what Grid Engine tells of all jobs: those that run keep their slots as
 * long as they may, and those that wait go first, in the order in which it lists them. It has no answer of its own. Slots and
 * times are all that counts; where some job may run for ever, nothing can be said.
 */

/** A job of anybody. */
interface Held {
  readonly slots: number;
  /** For how long, ms; infinity where there is no limit. */
  readonly forMs: number;
}

interface Crowd {
  readonly running: readonly Held[];
  /** The next first. */
  readonly waiting: readonly Held[];
}

/** Beyond so many that wait nothing is said. */
const MOST_WAITING = 5_000;

/** Until so many slots are free for a task that came last; undefined where nothing can be said. */
export function waitFor(slots: number, total: number, { running, waiting }: Crowd) {
  if (waiting.length > MOST_WAITING) return undefined;
  const ends = running
    .map((one) => ({ atMs: one.forMs, slots: one.slots }))
    // Two that never end are alike.
    .toSorted((a, b) => (a.atMs === b.atMs ? 0 : a.atMs - b.atMs));
  let free = total - running.reduce((sum, one) => sum + one.slots, 0);
  let nowMs = 0;
  const take = (wanted: number): void => {
    while (free < wanted) {
      const next = ends.shift();
      // Not all of it is up: what it holds never comes free.
      if (next === undefined) nowMs = Number.POSITIVE_INFINITY;
      if (next === undefined) return;
      nowMs = next.atMs;
      free += next.slots;
    }
    free -= wanted;
  };
  for (const one of waiting) {
    if (one.slots > total) continue;
    take(one.slots);
    const atMs = nowMs + one.forMs;
    const after = ends.findIndex((end) => end.atMs > atMs);
    ends.splice(after < 0 ? ends.length : after, 0, { atMs, slots: one.slots });
  }
  take(slots);
  return Number.isFinite(nowMs) ? nowMs : undefined;
}

interface Around {
  readonly instances: readonly QueueInstance[];
  readonly layout: Pick<Layout, 'queues'>;
  /** By a clock of UTC, in which qstat was asked. */
  readonly nowMs: number;
}

/** Of `qstat -u '*' -r -xml`: what is in the queues of the site, or may come there. */
export function parseCrowd(text: string, { instances, layout, nowMs }: Around): Crowd {
  const root = parseXml(text, 'job_info', 'qstat');
  const [running] = childrenOf(root, 'queue_info');
  const [pending] = childrenOf(root, 'job_info');
  if (running === undefined || pending === undefined) throw unreadable('qstat', text);
  const ours = new Set(layout.queues.map(({ name }) => name));
  const limits = new Map(
    instances.map(({ queue, host, resources }) => [
      `${queue}@${host}`,
      parseTime(resources['h_rt']?.value ?? ''),
    ]),
  );
  const longest = Math.max(
    0,
    ...[...limits].filter(([name]) => ours.has(queueOf(name))).map(([, limit]) => limit),
  );
  const isOurs = (job: XmlElement): boolean => {
    const wanted = childrenOf(job, 'hard_req_queue').map((one) => queueOf(one.text));
    return wanted.length === 0 || wanted.some((name) => ours.has(name));
  };
  return {
    running: childrenOf(running, 'job_list')
      .filter((job) => ours.has(queueOf(textOf(job, 'queue_name'))))
      .map((job) => {
        const may = Math.min(timeOf(job), limits.get(textOf(job, 'queue_name')) ?? Infinity);
        const sinceMs = Date.parse(`${textOf(job, 'JAT_start_time')}Z`);
        return { slots: slotsOf(job), forMs: Math.max(0, may - Math.max(0, nowMs - sinceMs)) };
      }),
    waiting: expand(
      childrenOf(pending, 'job_list')
        .filter((job) => !/[hE]/.test(textOf(job, 'state')) && isOurs(job))
        .map((job) => ({
          one: { slots: slotsOf(job), forMs: Math.min(timeOf(job), longest) },
          tasks: tasksOf(textOf(job, 'tasks')),
        })),
    ),
  };
}

/** One for each task of them, and no more than tell that nothing can be said. */
function expand(jobs: readonly { readonly one: Held; readonly tasks: number }[]): readonly Held[] {
  const all: Held[] = [];
  for (const { one, tasks } of jobs) {
    const room = MOST_WAITING + 1 - all.length;
    for (let left = Math.min(tasks, room); left > 0; left -= 1) all.push(one);
  }
  return all;
}

/** `main.q` of `main.q@n1`. */
const queueOf = (instance: string): string => instance.split('@')[0] ?? '';

function slotsOf(job: XmlElement): number {
  const text = textOf(job, 'slots');
  if (!/^\d+$/.test(text)) throw unreadable('qstat', `slots ${text}`);
  return Number(text);
}

function timeOf(job: XmlElement): number {
  const asked = childrenOf(job, 'hard_request').find(
    ({ attributes }) => attributes['name'] === 'h_rt',
  );
  return parseTime(asked?.text ?? '');
}

/** How many tasks of it wait. */
const tasksOf = (text: string): number => (text === '' ? 1 : countTasks(text));

/** Looks between two questions: all jobs of the cell are more to tell than our own. */
const LOOKS = 6;
/** A cell that takes long to answer is asked less often: for a hundredth of the time at most. */
const REST = 100;

/** What is asked for before a task has come. */
const SMALL: Needs = { cpus: 1, memoryBytes: 2 ** 20, gpus: 0, nodes: 1, walltimeMs: 0 };

interface ExpectedWait {
  /** A task came that wants this; the next one is taken to want the same. */
  sees(needs: Needs): void;
  /** The capacity with what is expected by now. */
  with(capacity: Capacity, instances: readonly QueueInstance[], layout: Layout): Promise<Capacity>;
}

/** Asks now and then; `qstat` is run in UTC. No answer says nothing of how Grid Engine is. */
export function openExpectedWait(
  qstat: (args: readonly string[]) => Promise<string>,
  clock: Clock,
): ExpectedWait {
  let looks = 0;
  let nextMs = 0;
  let typical = SMALL;
  let waitMs: number | undefined;
  const look = async (total: number, around: Omit<Around, 'nowMs'>, slots: number) => {
    const fromMs = clock.monotonicMs();
    const text = await qstat(['-u', '*', '-r', '-xml']);
    nextMs = clock.monotonicMs() + REST * (clock.monotonicMs() - fromMs);
    return waitFor(slots, total, parseCrowd(text, { ...around, nowMs: clock.nowMs() }));
  };
  return {
    sees: (needs) => {
      typical = needs;
    },
    with: async (capacity, instances, layout) => {
      const isDue = looks++ % LOOKS === 0 && clock.monotonicMs() >= nextMs;
      const slots = slotsFor(typical, layout.environments);
      if (isDue && slots !== undefined)
        waitMs = await look(
          capacity.cpus,
          { instances, layout },
          slots.perHost * typical.nodes,
        ).catch(silently);
      return waitMs === undefined ? capacity : { ...capacity, expectedWaitMs: waitMs };
    },
  };
}

function silently(error: unknown): undefined {
  if (!(error instanceof BatchSilence)) throw error;
}
