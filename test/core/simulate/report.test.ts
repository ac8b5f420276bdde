import { describe, expect, test } from 'vitest';
import { linearAxis, logAxis, logTimeAxis, timeAxis } from '../../../core/simulate/axes.ts';
import { measure } from '../../../core/simulate/measure.ts';
import { drawSvg, type Plot } from '../../../core/simulate/plot.ts';
import { plotsOf, type Result } from '../../../core/simulate/plots.ts';
import {
  figuresTable,
  reportData,
  reportPage,
  sharesTable,
  worldLine,
} from '../../../core/simulate/report.ts';
import type { World } from '../../../core/simulate/world.ts';
import { draftsOf, HOUR_MS, historyOf, simSite, streamOf, worldOf } from '../../fakes/sim-world.ts';

const DAY_MS = 24 * HOUR_MS;

const world = (seed = 1): World =>
  worldOf(
    [simSite('hub', 4)],
    draftsOf(
      ['ada', 'bob'].map((user) =>
        streamOf({
          user,
          arrival: { kind: 'poisson', perMs: 2 / HOUR_MS },
          count: 60,
          runtime: { kind: 'lognormal', medianMs: HOUR_MS / 2, sigma: 1 },
        }),
      ),
      seed,
    ),
    { seed },
  );

const resultOf = (made: World, name: string, backlog: number): Result => {
  const history = historyOf(made, { backlog });
  return { history, measures: measure(name, made, history) };
};

/** All that a report consists of. */
const everything = (made: World): string => {
  const results = [resultOf(made, 'plain', 0), resultOf(made, 'deep <&>', 5)];
  const all = results.map(({ measures }) => measures);
  return [
    reportPage('x.yaml', made, all, { remarks: [], plots: ['waits.svg'] }),
    JSON.stringify(reportData(made, all)),
    ...[...plotsOf(made, results).values()].map(drawSvg),
  ].join('\n');
};

describe('a report', () => {
  test('has the same bytes for the same seed, and others for another', () => {
    expect(everything(world())).toBe(everything(world()));
    expect(everything(world(2))).not.toBe(everything(world()));
  });

  test('leaves out lines that say nothing', () => {
    const { measures } = resultOf(world(), 'plain', 0);
    const lines = (some: typeof measures): readonly (string | undefined)[] =>
      figuresTable([measures, some]).rows.map(([what]) => what);
    expect(lines(measures)).not.toContain('killed');
    expect(lines({ ...measures, killed: 1 })).toContain('killed');
  });

  test('names who received what, VOs first and users by what they received', () => {
    const results = [resultOf(world(), 'plain', 0)];
    const { headings, rows } = sharesTable(
      results.map(({ measures }) => measures),
      1,
    );
    expect(headings).toEqual(['received of target, mean wait', 'plain']);
    expect(rows.map(([name]) => name?.replace(/ada|bob/, 'X'))).toEqual(['demo', 'demo X']);
    expect(rows[0]?.[1]).toMatch(/^100\.0 % of 100\.0 %, \d+m \d\ds$/);
  });

  test('says what was simulated', () => {
    expect(worldLine(world())).toBe('120 jobs with 120 tasks, 1 site with 4 cpus, seed 1');
  });

  test('has four plots, each well-formed with a name for every line', () => {
    const made = world();
    const results = [resultOf(made, 'plain', 0), resultOf(made, 'deep <&>', 5)];
    const plots = plotsOf(made, results);
    expect([...plots.keys()]).toEqual([
      'waits.svg',
      'utilisation.svg',
      'shares.svg',
      'slowdown.svg',
    ]);
    for (const svg of [...plots.values()].map(drawSvg)) {
      expect(svg).toContain('deep &lt;&amp;&gt;');
      expect(svg).not.toMatch(/NaN|Infinity|undefined/);
      expect(svg.match(/<text/g)?.length).toBe(svg.match(/<\/text>/g)?.length);
    }
  });

  test('of a world in which nothing ended has plots too', () => {
    const made = { ...world(), untilMs: 1 };
    const svgs = [...plotsOf(made, [resultOf(made, 'plain', 0)]).values()].map(drawSvg);
    for (const svg of svgs) expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  });
});

describe('axes', () => {
  const texts = ({ ticks }: { ticks: readonly { text: string }[] }): readonly string[] =>
    ticks.map(({ text }) => text);

  test.each([
    [1, ['0', '0.2', '0.4', '0.6', '0.8', '1']],
    [7, ['0', '2', '4', '6', '8']],
    [0, ['0', '1']],
    [1_234, ['0', '500', '1000', '1500']],
  ])('from 0 to %f have round steps', (most, expected) => {
    expect(texts(linearAxis('', most, (value) => String(Number(value.toFixed(6)))))).toEqual(
      expected,
    );
  });

  test('of time choose their unit', () => {
    expect(timeAxis('time', 3 * DAY_MS)).toMatchObject({ label: 'time (days)', to: 3 * DAY_MS });
    expect(texts(timeAxis('time', 3 * DAY_MS))).toEqual(['0', '0.5', '1', '1.5', '2', '2.5', '3']);
    expect(timeAxis('time', 5 * HOUR_MS).label).toBe('time (hours)');
    expect(timeAxis('time', 500).label).toBe('time (seconds)');
  });

  test('of powers end above what they show', () => {
    expect(logAxis('', 250)).toMatchObject({ from: 1, to: 1_000 });
    expect(logAxis('', 1)).toMatchObject({ from: 1, to: 10 });
    expect(logTimeAxis('', 5_000, 7_000_000)).toMatchObject({ from: 1_000, to: 36_000_000 });
    expect(logTimeAxis('', Infinity, -Infinity)).toMatchObject({ log: true });
  });
});

test('a plot puts values where they belong', () => {
  const plot: Plot = {
    title: 't',
    x: { label: 'x', from: 0, to: 10, ticks: [] },
    y: { label: 'y', from: 0, to: 1, ticks: [] },
    panels: [
      {
        title: '',
        series: [
          {
            name: 'a',
            colour: 0,
            points: [
              { x: 0, y: 0 },
              { x: 10, y: 1 },
              { x: 99, y: 9 },
            ],
          },
        ],
      },
    ],
  };
  // The frame is 664 by 240 from (72, 88); what is outside lies on its edge.
  expect(drawSvg(plot)).toContain('d="M72 328L736 88L736 88"');
});
