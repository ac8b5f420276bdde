import fc from 'fast-check';
import { expect, test } from 'vitest';
import { jobId, siteId } from '../../core/ids.ts';
import type { Ask } from '../../core/match/ask.ts';
import { round } from '../../core/match/match.ts';
import { add, needOf } from '../../core/match/need.ts';
import { freeAt } from '../../core/match/refusal.ts';
import { type SiteView } from '../../core/match/site-view.ts';
import { verdicts } from '../../core/match/verdicts.ts';
import { sharesFromUse } from '../../core/share/shares.ts';
import { openRules } from '../../service/expression/rules.ts';
import { askFor, siteOf } from '../fakes/offers.ts';

const RULES = openRules();
/** So many that a class may pass over more than it has the patience for. */
const SITES = 160;

const siteAt = (index: number) =>
  fc
    .record({
      totalCpus: fc.integer({ min: 1, max: 4 }),
      freeCpus: fc.integer({ min: 0, max: 4 }),
      machine: fc.integer({ min: 0, max: 9 }),
      price: fc.integer({ min: 0, max: 2 }),
      expectedWaitMs: fc.constantFrom(0, 0, 5_000),
      seenMs: fc.constantFrom(undefined, { plain: 0, gang: 5_000 }, { plain: 5_000, gang: 0 }),
      policy: fc.constantFrom('', 'job.cpus < 3'),
    })
    .map(({ freeCpus, machine, seenMs, ...offer }): SiteView => {
      const view = siteOf(siteId(`site-${10 + index}`), {
        ...offer,
        arch: machine === 9 ? 'aarch64' : 'x86_64',
        freeCpus: Math.min(freeCpus, offer.totalCpus),
        maxNodes: 2,
        backlog: 0,
      });
      if (seenMs === undefined) return view;
      return { ...view, waitMs: (kind) => seenMs[kind === 'gang' ? 'gang' : 'plain'] };
    });
const sites = fc.tuple(...Array.from({ length: SITES }, (_, index) => siteAt(index)));

const asks = fc.array(
  fc
    .record({
      cpus: fc.integer({ min: 1, max: 4 }),
      nodes: fc.constantFrom(1, 1, 2),
      requirements: fc.constantFrom('', 'site.arch == "aarch64"', 'site.cpus > job.cpus'),
      rank: fc.constantFrom('', '', 'site.cpus', '-site.price', 'site.cpus % (job.cpus + 1)'),
    })
    .map(({ cpus, nodes, ...expressions }) => askFor(expressions, { cpus, nodes })),
  { minLength: 1, maxLength: 40 },
);

/** What decides between sites that would take a task, in this order: the higher the better. */
function meritsOf(ask: Ask, view: SiteView): readonly number[] {
  const { offer } = view;
  if (offer === undefined) return [];
  const rank = RULES.rank(ask, offer);
  const seenMs = view.waitMs?.(ask.resources.nodes > 1 ? 'gang' : 'plain', 'start');
  const wait = (seenMs ?? offer.expectedWaitMs) === 0 ? 0 : 1;
  return [rank, -wait, -offer.price, freeAt(view).cpus / offer.totalCpus];
}

function isBetter(ask: Ask, a: SiteView, b: SiteView): boolean {
  const mine = meritsOf(ask, a);
  const others = meritsOf(ask, b);
  const at = mine.findIndex((merit, index) => merit !== others[index]);
  return at === -1 ? a.id < b.id : (mine[at] ?? 0) > (others[at] ?? 0);
}

/** Where each ask goes, one after the other, each after a look at every site. */
function tryAll(wanted: readonly Ask[], views: readonly SiteView[]): readonly string[] {
  let now = views;
  return wanted.flatMap((ask, index) => {
    const said = verdicts(ask, now, RULES);
    const best = now
      .filter(({ id }) => said.get(id) === undefined)
      .reduce<SiteView | undefined>(
        (first, view) => (first && !isBetter(ask, view, first) ? first : view),
        undefined,
      );
    const need = needOf(ask.resources);
    now = now.map((view) =>
      view === best ? { ...view, reserved: add(view.reserved, need) } : view,
    );
    return best === undefined ? [] : [`j${index} ${best.id}`];
  });
}

test('every task gets the best site that suits it, however its class shares an order with others', () => {
  fc.assert(
    fc.property(sites, asks, (views, wanted) => {
      const { placements } = round({
        nowMs: 0,
        sites: views,
        queues: wanted.map((ask, index) => ({
          key: `${index}`,
          ask,
          items: [
            {
              job: jobId(`j${index}`),
              seq: index,
              firstOrdinal: 0,
              tasks: 1,
              avoid: [],
              notBeforeMs: 0,
              inputs: '',
            },
          ],
        })),
        shares: sharesFromUse([]),
        rules: RULES,
        limit: 1_000,
      });
      expect(placements.map(({ job, site }) => `${job} ${site}`)).toEqual(tryAll(wanted, views));
    }),
  );
});
