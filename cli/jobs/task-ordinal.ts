import { GridError } from '../../core/errors.ts';
import { type JobSpec, taskCount, taskValue } from '../../core/job/spec.ts';

/** The task of a job with a value of GRID_TASK; throws USAGE where there is none. Without a value it is the only task. */
export function taskOrdinal(spec: Pick<JobSpec, 'array'>, value: string | undefined): number {
  const { array } = spec;
  if (array === undefined) {
    if (value === undefined || value === '0') return 0;
    throw new GridError('USAGE', `the job is no array: it has no task '${value}'`);
  }
  const last = taskValue(spec, taskCount(spec) - 1);
  const range = `from ${taskValue(spec, 0)} to ${last}`;
  if (value === undefined)
    throw new GridError('USAGE', `the job is an array: name a task with --task, ${range}`);
  const ordinal = array.kind === 'list' ? array.values.indexOf(value) : inRange(array, value);
  if (ordinal === -1) throw new GridError('USAGE', `the job has no task '${value}': ${range}`);
  return ordinal;
}

function inRange(
  { first, last, step }: { readonly first: number; readonly last: number; readonly step: number },
  value: string,
): number {
  const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  const ordinal = (number - first) / step;
  return number >= first && number <= last && Number.isInteger(ordinal) ? ordinal : -1;
}
