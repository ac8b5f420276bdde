import type { Ask, Rules } from '../match/ask.ts';
import { lastingRefusal } from '../match/refusal.ts';
import { counted } from '../units.ts';
import type { World } from './world.ts';

const MOST_LINES = 5;

/** A line for each kind of task that no site will ever take, with what the first site says to it. */
export function misfits({ sites, jobs }: World, rules: Rules): readonly string[] {
  const tasks = new Map<Ask, number>();
  for (const { ask, runtimesMs } of jobs) tasks.set(ask, (tasks.get(ask) ?? 0) + runtimesMs.length);
  const lines = [...tasks].flatMap(([ask, count]) => {
    const refusals = sites.map(({ offer }) => lastingRefusal(ask, offer, rules));
    const [first] = refusals;
    if (first === undefined || refusals.includes(undefined)) return [];
    const site = sites[0]?.offer.site ?? '';
    return [
      `${counted(count, 'task')} of ${ask.owner} ${count === 1 ? 'fits' : 'fit'} no site; ${site}: ${first.detail} (${first.code})`,
    ];
  });
  const more = lines.length - MOST_LINES;
  return more > 0
    ? [...lines.slice(0, MOST_LINES), `and ${counted(more, 'more kind')} of tasks`]
    : lines;
}
