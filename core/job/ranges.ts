import { type JobSpec, taskValue } from './spec.ts';
import type { JobState } from './state.ts';

/** Neighbouring tasks in one state, by ordinal. */
export interface TaskRange {
  readonly state: JobState;
  readonly first: number;
  readonly last: number;
}

/** Adds tasks that come after all that are there, and joins them with the last range where they continue it. */
export function extendRanges(ranges: TaskRange[], { state, first, last }: TaskRange): void {
  const before = ranges.at(-1);
  if (before?.state === state && before.last === first - 1)
    ranges[ranges.length - 1] = { ...before, last };
  else ranges.push({ state, first, last });
}

/**
 * Ranges of one state for people, in values of GRID_TASK: `1-4711,4713`, `0-98:2`, `red,green`. Ranges beyond `most` are
 * only counted.
 */
export function formatRanges(
  spec: Pick<JobSpec, 'array'>,
  ranges: readonly TaskRange[],
  state: JobState,
  most: number,
): string {
  const own = ranges.filter((range) => range.state === state);
  const shown = own.slice(0, most).map((range) => rangeText(spec, range));
  const left = own.slice(most).reduce((sum, { first, last }) => sum + last - first + 1, 0);
  return left === 0 ? shown.join(',') : `${shown.join(',')} and ${left} more`;
}

function rangeText(spec: Pick<JobSpec, 'array'>, { first, last }: TaskRange): string {
  const [from, to] = [taskValue(spec, first), taskValue(spec, last)];
  if (first === last) return from;
  if (spec.array?.kind === 'list') return last === first + 1 ? `${from},${to}` : `${from} to ${to}`;
  const step = spec.array?.step ?? 1;
  return step === 1 ? `${from}-${to}` : `${from}-${to}:${step}`;
}
