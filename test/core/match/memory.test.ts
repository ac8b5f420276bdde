import { expect, test } from 'vitest';
import { dn } from '../../../core/ids.ts';
import type { Ask } from '../../../core/match/ask.ts';
import { openRoundMemory, recall, see } from '../../../core/match/memory.ts';
import type { SiteView } from '../../../core/match/site-view.ts';
import { openRules } from '../../../service/expression/rules.ts';
import { askFor, queueOf, siteOf } from '../../fakes/offers.ts';

const rules = openRules();
const memory = openRoundMemory();
const standing = (ask: Ask, site: SiteView) => {
  const [slot = -1] = see(memory, [site], rules);
  const found = recall(memory, ask, rules);
  return { suits: found.suits(slot), rank: found.rank(slot) };
};

test.each<[string, Partial<Ask>]>([
  ['requirements', { requirements: 'site.free_cpus >= 2' }],
  ['requirements in other words', { requirements: 'site["free_cpus"] >= 2' }],
])('%s that read what is free are asked again when it changes', (_what, details) => {
  const ask = askFor(details);
  expect(standing(ask, siteOf('aachen')).suits).toBe(true);
  expect(standing(ask, siteOf('aachen', { freeCpus: 1 })).suits).toBe(false);
});

test('a rank that reads the queue is asked again when another queue is the best', () => {
  const ask = askFor({ rank: 'queue.name == "day" ? 1 : 2' });
  const queues = (day: number) => [queueOf('day', { freeCpus: day }), queueOf('night')];
  expect(standing(ask, siteOf('aachen', { queues: queues(4) })).rank).toBe(1);
  expect(standing(ask, siteOf('aachen', { queues: queues(0) })).rank).toBe(2);
});

test('what reads whose job it is, is not shared between owners', () => {
  const requirements = 'caller.dn == "/CN=Ada"';
  const ada = askFor({ requirements, owner: dn('/CN=Ada') });
  const bob = askFor({ requirements, owner: dn('/CN=Bob') });
  expect(standing(ada, siteOf('aachen')).suits).toBe(true);
  expect(standing(bob, siteOf('aachen')).suits).toBe(false);
});
