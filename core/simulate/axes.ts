import type { Axis, Tick } from './plot.ts';

/** Axes with ticks at round values. */

/** From 0 to a round value not below `most`. */
export function linearAxis(label: string, most: number, format: (value: number) => string): Axis {
  const step = niceStep(most / 5);
  const count = Math.max(1, Math.ceil(most / step - 1e-9));
  const ticks = Array.from({ length: count + 1 }, (_, index) => tickAt(index * step, format));
  return { label, from: 0, to: count * step, ticks };
}

const tickAt = (at: number, format: (value: number) => string): Tick => ({ at, text: format(at) });

/** The next of 1, 2 and 5 times a power of ten. */
function niceStep(least: number): number {
  if (!(least > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(least));
  return ([1, 2, 5].find((factor) => factor * power >= least * (1 - 1e-9)) ?? 10) * power;
}

/** Fractions from 0 to 1, as per cent. */
export const percentAxis = (label: string): Axis =>
  linearAxis(label, 1, (value) => `${Math.round(value * 100)} %`);

/** Time from 0 to `mostMs` in the largest unit of which there are two. */
export function timeAxis(label: string, mostMs: number): Axis {
  const [unit, unitMs] = UNITS.find(([, ms]) => mostMs >= 2 * ms) ?? (['seconds', 1_000] as const);
  const step = niceStep(mostMs / unitMs / 8) * unitMs;
  const count = Math.floor(mostMs / step);
  const ticks = Array.from({ length: count + 1 }, (_, index) =>
    tickAt(index * step, (ms) => String(Number((ms / unitMs).toPrecision(6)))),
  );
  return { label: `${label} (${unit})`, from: 0, to: mostMs || 1, ticks };
}

const UNITS = [
  ['days', 86_400_000],
  ['hours', 3_600_000],
  ['minutes', 60_000],
  ['seconds', 1_000],
] as const;

/** Instants that people think in. */
const LOG_TIMES: readonly Tick[] = [
  { at: 1_000, text: '1 s' },
  { at: 10_000, text: '10 s' },
  { at: 60_000, text: '1 min' },
  { at: 600_000, text: '10 min' },
  { at: 3_600_000, text: '1 h' },
  { at: 36_000_000, text: '10 h' },
  { at: 86_400_000 * 4, text: '4 d' },
  { at: 86_400_000 * 40, text: '40 d' },
  { at: 86_400_000 * 365, text: '1 y' },
];

/** Durations on a logarithmic axis, from a second on. */
export function logTimeAxis(label: string, leastMs: number, mostMs: number): Axis {
  const first = LOG_TIMES.findLast(({ at }) => at <= leastMs) ?? LOG_TIMES[0];
  const last = LOG_TIMES.find(({ at }) => at >= mostMs) ?? LOG_TIMES.at(-1);
  const from = first?.at ?? 1_000;
  const to = Math.max(last?.at ?? mostMs, 10 * from);
  return {
    label,
    log: true,
    from,
    to,
    ticks: LOG_TIMES.filter(({ at }) => at >= from && at <= to),
  };
}

/** Powers of ten from 1 to not below `most`. */
export function logAxis(label: string, most: number): Axis {
  const powers = Math.max(1, Math.ceil(Math.log10(most)));
  const ticks = Array.from({ length: powers + 1 }, (_, power) => tickAt(10 ** power, String));
  return { label, log: true, from: 1, to: 10 ** powers, ticks };
}
