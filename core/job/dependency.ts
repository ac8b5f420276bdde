import { type JobId, jobId } from '../ids.ts';
import { CONDITIONS, type Condition, type Dependency, type JobSpec, jobInputs } from './spec.ts';
import { isFinal, type JobState } from './state.ts';

/** What a job's state means to one that comes after it: it may go as far as that is concerned, waits, or never goes. */
export function settle(when: Condition, state: JobState): 'go' | 'wait' | 'never' {
  if (!isFinal(state)) return 'wait';
  if (when === 'any') return 'go';
  return (state === 'done') === (when === 'ok') ? 'go' : 'never';
}

/** A million jobs wait for nothing. */
const NONE: readonly Dependency[] = [];

/** All that a job waits for: `after`, and the jobs whose results are its inputs, which must be done unless `after` says otherwise. */
export function dependenciesOf(spec: Pick<JobSpec, 'after' | 'inputs'>): readonly Dependency[] {
  if (spec.after.length === 0 && jobInputs(spec).length === 0) return NONE;
  const all = new Map<JobId, Dependency>();
  for (const dependency of spec.after) all.set(dependency.job, dependency);
  for (const { job } of jobInputs(spec)) if (!all.has(job)) all.set(job, { job, when: 'ok' });
  return [...all.values()];
}

/** `ID`, or `ID:any` where it need not be done. */
export const formatDependency = ({ job, when }: Dependency): string =>
  when === 'ok' ? job : `${job}:${when}`;

/** Reads `ID` and `ID:CONDITION`; undefined for a condition that does not exist. */
export function parseDependency(text: string): Dependency | undefined {
  const cut = text.indexOf(':');
  if (cut === -1) return { job: jobId(text), when: 'ok' };
  const when = CONDITIONS.find((condition) => condition === text.slice(cut + 1));
  return when === undefined ? undefined : { job: jobId(text.slice(0, cut)), when };
}

/** The words for a job that never goes because of how another has ended. */
export function whyNever({ job, when }: Dependency, ended: JobState) {
  return when === 'not-ok'
    ? {
        reason: 'NOT_NEEDED',
        detail: `it was there in case ${job} did not end well, and ${job} is done`,
      }
    : { reason: 'DEPENDENCY_FAILED', detail: `it waited for ${job}, which has ended ${ended}` };
}
