import { expect, test } from 'vitest';
import { whyText } from '../../../cli/jobs/why.ts';
import { palette } from '../../../cli/palette.ts';
import { wrap } from '../../../cli/render.ts';
import type { SiteVerdict, WhyJobResponse } from '../../../proto/gen/grid/v1/broker.ts';

const NOW_MS = new Date(2026, 10, 25, 14, 0, 0).getTime();
const PLAIN = { colours: palette(false), columns: 80, nowMs: NOW_MS };

const verdict = (site: string, details: Partial<SiteVerdict> = {}): SiteVerdict => ({
  site,
  matches: false,
  refusal: 'no-free-slots',
  detail: 'needs 4 cpus, 0 are free',
  lastHeardAtMs: NOW_MS - 1_200,
  expectedWaitMs: 0,
  lasting: false,
  ...details,
});
const why = (details: Partial<WhyJobResponse> = {}): WhyJobResponse => ({
  summary: undefined,
  answer: 'it waits: 2 sites could take it and are full; nothing is ahead of it',
  sites: [verdict('aachen')],
  tasksAhead: 0,
  waitsFor: [],
  advice: [],
  changes: [],
  turns: [],
  ownTasksAhead: 0,
  expectedStart: undefined,
  notBeforeMs: 0,
  ...details,
});

test('lines break between words', () => {
  expect(wrap('one two three', 7)).toBe('one two\nthree');
  expect(wrap('one', 2)).toBe('one');
});

test('all that is known of a waiting job fits on a terminal', () => {
  const text = whyText(
    why({
      sites: [
        verdict('aachen'),
        verdict('bremen', {
          refusal: 'site-reserved',
          detail:
            'what is free is kept for a larger task in 8.0 s, this one may run for 1h 00m and would be in its way',
          lastHeardAtMs: NOW_MS - 4_000,
        }),
      ],
      turns: [
        { node: '/demo', place: 1, waiting: 1, usedPart: 1, targetPart: 1 },
        { node: '/demo/', place: 2, waiting: 2, usedPart: 0.75, targetPart: 0.5 },
        { node: '/demo:/DC=org/DC=test/CN=Ada', place: 1, waiting: 3, usedPart: 0, targetPart: 1 },
      ],
      tasksAhead: 12,
      ownTasksAhead: 3,
      expectedStart: { site: 'aachen', byMs: NOW_MS + 750_000, reserved: false },
      advice: [
        'with `cpus: 2` and without `("cuda" in site.features || site.arch == "aarch64")`, it could start now at 1 site: aachen',
      ],
    }),
    PLAIN,
  );
  expect(text).toMatchInlineSnapshot(`
    "it waits: 2 sites could take it and are full; nothing is ahead of it

    SITE    VERDICT        WHY
    aachen  no-free-slots  needs 4 cpus, 0 are free
    bremen  site-reserved  what is free is kept for a larger task in 8.0 s, this one
                           may run for 1h 00m and would be in its way

    WHOSE TURN                  PLACE   USED     TARGET
    /demo                       1 of 1  100.0 %  100.0 %
      /demo/                    2 of 2  75.0 %   50.0 %
        /DC=org/DC=test/CN=Ada  1 of 3  0.0 %    100.0 %

    ahead  12 tasks have their turn first, 3 of the same owner
    start  by 2026-11-25 14:12:30 (in 12m 30s) at aachen,
           if what is ahead of it leaves room
    heard  all sites within the last 4.0 s

    -> with \`cpus: 2\` and without \`("cuda" in site.features || site.arch ==
       "aarch64")\`, it could start now at 1 site: aachen"
  `);
  expect(text.split('\n').every(({ length }) => length <= 80)).toBe(true);
});

test.each([
  [why(), 'start  not known: nothing that the grid runs there gives back enough'],
  [
    why({ expectedStart: { site: 'aachen', byMs: NOW_MS + 5_000, reserved: true } }),
    'start  by 2026-11-25 14:00:05 (in 5.0 s) at aachen,\n       where room is kept for it',
  ],
  [
    why({ expectedStart: { site: 'aachen', byMs: NOW_MS + 5_000, reserved: false } }),
    'if nothing comes before it',
  ],
  [why({ notBeforeMs: NOW_MS + 2_000 }), 'next try  2026-11-25 14:00:02 (in 2.0 s)'],
  [why(), 'heard  aachen 1.2 s ago'],
])('a line says %#', (said, line) => {
  expect(whyText(said, PLAIN)).toContain(line);
});

test('of many sites the first are shown and the others counted', () => {
  const sites = Array.from({ length: 23 }, (_, index) =>
    verdict(`site-${index}`, index === 22 ? { refusal: 'site-lost' } : {}),
  );
  const lines = whyText(why({ sites }), PLAIN).split('\n');
  expect(lines).toContain('and 3 more: 2 no-free-slots, 1 site-lost (--json for all)');
  expect(lines.filter((line) => line.startsWith('site-'))).toHaveLength(20);
});
