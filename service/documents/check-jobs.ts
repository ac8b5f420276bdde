import type { Problem } from '../../core/errors.ts';
import { checkSpec } from '../../core/job/check-spec.ts';
import { type CheckRef, isKnownJob } from '../../core/job/parse-after.ts';
import { parseSpec, type SpecProblem } from '../../core/job/parse-spec.ts';
import { isRecord } from '../../core/job/parse-value.ts';
import type { JobSpec } from '../../core/job/spec.ts';
import { checkExpression } from '../expression/expression-check.ts';
import { invalidJobs, type WrittenJob } from './job-file.ts';
import { expandInputs } from './job-inputs.ts';

/** A job that may be sent. */
export interface CheckedJob {
  readonly spec: JobSpec;
  /** Directory of its inputs. */
  readonly base: string;
}

/**
 * Checks everything that can be checked before sending; throws SPEC_INVALID with all problems of all jobs. `check`
 * judges the names of other jobs, `found` is what was wrong before.
 */
export async function checkJobs(
  jobs: readonly WrittenJob[],
  check: CheckRef = isKnownJob,
  found: readonly Problem[] = [],
): Promise<readonly CheckedJob[]> {
  const problems = [...found];
  const checked: CheckedJob[] = [];
  for (const job of jobs) {
    const parsed = parseSpec(job.raw, check);
    const expanded = await expandInputs(job.raw, job.base, check);
    const mine: readonly SpecProblem[] = [
      ...(parsed.ok
        ? boundProblems({ ...parsed.spec, inputs: expanded.inputs }, check)
        : parsed.problems),
      ...expanded.problems,
    ];
    problems.push(
      ...(job.problems ?? []),
      ...mine.map(({ path, message, aboutKey }) => ({
        where: job.where(path, aboutKey === true ? 'key' : undefined),
        message,
      })),
      ...expressionProblems(job),
    );
    if (parsed.ok)
      checked.push({ spec: { ...parsed.spec, inputs: expanded.inputs }, base: job.base });
  }
  if (problems.length > 0) throw invalidJobs(onlyOnce(problems).toSorted(byPlace));
  return checked;
}

/** Jobs that share what is wrong share the problem. */
const onlyOnce = (problems: readonly Problem[]): readonly Problem[] => [
  ...new Map(problems.map((problem) => [`${problem.where} ${problem.message}`, problem])).values(),
];

/** What checkSpec says, which names fields as `inputs[1].from`. */
const boundProblems = (spec: JobSpec, check: CheckRef): readonly SpecProblem[] =>
  checkSpec(spec, check)
    // A glob may have become many inputs: a problem of one of them belongs to the list.
    .map(({ where, message }) => ({
      path: where.startsWith('inputs') ? ['inputs'] : pathOf(where),
      message,
    }));

const pathOf = (where: string): readonly (string | number)[] =>
  where
    .split(/[.[\]]+/)
    .filter((part) => part !== '')
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));

function expressionProblems(job: WrittenJob): readonly Problem[] {
  const raw = isRecord(job.raw) ? job.raw : {};
  return (['requirements', 'rank'] as const).flatMap((kind) => {
    const text = raw[kind];
    if (typeof text !== 'string' || text === '') return [];
    return checkExpression(kind, text).map(({ offset, message }) => ({
      where: job.where([kind], undefined, offset),
      message: `${kind}: ${message}`,
    }));
  });
}

/** By file, line and column; the rest stays in order. */
function byPlace(left: Problem, right: Problem): number {
  const place = /^(.*):(\d+):(\d+)$/;
  const [, leftFile, leftLine, leftColumn] = place.exec(left.where) ?? [];
  const [, rightFile, rightLine, rightColumn] = place.exec(right.where) ?? [];
  if (leftFile === undefined || leftFile !== rightFile) return 0;
  return Number(leftLine) - Number(rightLine) || Number(leftColumn) - Number(rightColumn);
}
