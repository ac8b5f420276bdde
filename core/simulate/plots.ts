import { sum } from '../sum.ts';
import { linearAxis, logAxis, logTimeAxis, percentAxis, timeAxis } from './axes.ts';
import type { Part } from './balance.ts';
import { capacity, cpusOf, finals, type Measures, slowdownOf, waitOf } from './measure.ts';
import { MAX_COLOURS, type Plot, type PlotPoint, type Series } from './plot.ts';
import { quantile } from './statistics.ts';
import type { History, World } from './world.ts';

/** One policy, simulated. */
export interface Result {
  readonly measures: Measures;
  readonly history: History;
}

/** The plots of a report, by file name. */
export const plotsOf = (world: World, results: readonly Result[]): ReadonlyMap<string, Plot> =>
  new Map([
    ['waits.svg', waitsPlot(results)],
    ['utilisation.svg', utilisationPlot(world, results)],
    ['shares.svg', sharesPlot(results)],
    ['slowdown.svg', slowdownPlot(results)],
  ]);

const latest = (results: readonly Result[]): number =>
  Math.max(1, ...results.map(({ history }) => history.endMs));

/** One panel with a series a policy. */
const byPolicy = (
  results: readonly Result[],
  points: (result: Result) => readonly PlotPoint[],
  dots = false,
): Plot['panels'] => [
  {
    title: '',
    series: results.map((result, colour) => ({
      name: result.measures.policy,
      colour,
      points: points(result),
      ...(dots ? { dots: true as const } : {}),
    })),
  },
];

const CURVE_POINTS = 200;

function waitsPlot(results: readonly Result[]): Plot {
  const most = Math.max(...results.map(({ measures }) => measures.waitMs.max));
  const curve = ({ history }: Result): readonly PlotPoint[] => {
    const waits = finals(history)
      .map(waitOf)
      .toSorted((a, b) => a - b);
    if (waits.length === 0) return [];
    const shares = Array.from({ length: CURVE_POINTS + 1 }, (_, index) => index / CURVE_POINTS);
    return shares.map((share) => ({ x: quantile(waits, share), y: share }));
  };
  return {
    title: 'How long tasks wait',
    x: logTimeAxis('wait, at most', 1_000, most),
    y: percentAxis('tasks that ended'),
    panels: byPolicy(results, curve),
    note: 'Waits under a second are drawn at a second.',
  };
}

const BUCKETS = 120;

function utilisationPlot({ sites }: World, results: readonly Result[]): Plot {
  const widthMs = latest(results) / BUCKETS;
  const curve = ({ history }: Result): readonly PlotPoint[] =>
    busyCpuMs(history, widthMs).map((busy, index) => {
      const fromMs = index * widthMs;
      return {
        x: fromMs + widthMs / 2,
        y: busy / (capacity(sites, fromMs, fromMs + widthMs) || 1),
      };
    });
  return {
    title: 'Cpus in use, of those that are up',
    x: timeAxis('time', latest(results)),
    y: percentAxis('utilisation'),
    panels: byPolicy(results, curve),
  };
}

function busyCpuMs({ attempts }: History, widthMs: number): readonly number[] {
  const busy = Array.from({ length: BUCKETS }, () => 0);
  for (const attempt of attempts) {
    const cpus = cpusOf(attempt);
    const last = Math.min(BUCKETS - 1, Math.floor(attempt.endMs / widthMs));
    for (let index = Math.floor(attempt.startMs / widthMs); index <= last; index += 1) {
      const from = Math.max(attempt.startMs, index * widthMs);
      const to = Math.min(attempt.endMs, (index + 1) * widthMs);
      busy[index] = (busy[index] ?? 0) + cpus * Math.max(0, to - from);
    }
  }
  return busy;
}

function sharesPlot(results: readonly Result[]): Plot {
  const { vos, users } = results[0]?.measures.balance ?? { vos: [], users: [] };
  const kind = vos.length > 1 ? 'vos' : 'users';
  const names = (kind === 'vos' ? vos : users)
    .toSorted((a, b) => b.received - a.received)
    .slice(0, MAX_COLOURS)
    .map(({ name }) => name);
  const panels = results.map(({ measures, history }) => ({
    title: measures.policy,
    series: measures.balance[kind]
      .filter(({ name }) => names.includes(name))
      .flatMap((part) => shareSeries(part, names.indexOf(part.name), measures, history)),
  }));
  return {
    title: `Shares of the cpu time that was used, by ${kind === 'vos' ? 'VO' : 'user'}`,
    x: timeAxis('time', latest(results)),
    y: percentAxis('share so far'),
    panels,
    note: 'Dashed: the target, by the weights of those who wanted cpus at the time.',
  };
}

/** What a part has received so far, and its target, of what all have received so far. */
function shareSeries(
  part: Part,
  colour: number,
  { balance }: Measures,
  { endMs }: History,
): readonly Series[] {
  const totals = balance.vos[0]?.course.map((_, index) =>
    sum(balance.vos.map(({ course }) => course[index]?.received ?? 0)),
  );
  const points = (key: 'received' | 'target'): readonly PlotPoint[] =>
    part.course.flatMap((so, index) => {
      const total = totals?.[index] ?? 0;
      const x = ((index + 1) / part.course.length) * endMs;
      return total > 0 ? [{ x, y: so[key] / total }] : [];
    });
  const { name } = part;
  return [
    { name, colour, points: points('target'), reference: true },
    { name, colour, points: points('received') },
  ];
}

/** Edges of sizes in cpu-milliseconds: two in each power of ten. */
const sizeClass = (cpuMs: number): number => Math.floor(2 * Math.log10(Math.max(1_000, cpuMs)));

function slowdownPlot(results: readonly Result[]): Plot {
  const curve = ({ history }: Result): readonly PlotPoint[] => {
    const classes = Map.groupBy(finals(history), (attempt) =>
      sizeClass(cpusOf(attempt) * (attempt.endMs - attempt.startMs)),
    );
    return [...classes]
      .toSorted(([a], [b]) => a - b)
      .map(([size, attempts]) => ({
        x: 10 ** ((size + 0.5) / 2),
        y: sum(attempts.map(slowdownOf)) / attempts.length,
      }));
  };
  const points = results.flatMap(curve);
  const most = Math.max(2, ...points.map(({ y }) => y));
  return {
    title: 'Mean bounded slowdown, by the size of tasks',
    x: logTimeAxis(
      'cpu time of a task',
      Math.min(...points.map(({ x }) => x)),
      Math.max(...points.map(({ x }) => x)),
    ),
    y: most > 20 ? logAxis('bounded slowdown', most) : linearAxis('bounded slowdown', most, String),
    panels: byPolicy(results, curve, true),
    note: '(wait + run) / max(run, 10 s), at least 1.',
  };
}
