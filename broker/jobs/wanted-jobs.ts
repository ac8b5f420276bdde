import { createHash } from 'node:crypto';
import { isDatasetInput } from '../../core/data/dataset.ts';
import type { TreeRef } from '../../core/data/manifest.ts';
import { GridError, type Problem } from '../../core/errors.ts';
import { voName } from '../../core/ids.ts';
import { checkSpec, MAX_JOBS } from '../../core/job/check-spec.ts';
import { type CheckRef, isKnownJob } from '../../core/job/parse-after.ts';
import { fileInputs, type JobSpec } from '../../core/job/spec.ts';
import { counted } from '../../core/units.ts';
import type { Peer } from '../../core/vo/caller.ts';
import { type Access, maySubmit } from '../../core/vo/policy.ts';
import { checkExpression } from '../../service/expression/expression-check.ts';
import type { Datasets } from '../data/datasets.ts';
import { flowProblems, type KnownNodes, refsOf, type WantedFlow } from '../flows/new-flow.ts';

/** A job as it was asked for. */
export interface WantedJob {
  readonly spec: JobSpec;
  readonly inputs: TreeRef;
  /** Its name in the flow; '' outside one. */
  readonly node: string;
}

const MAX_KEY = 64;
const MAX_MANIFEST_BYTES = 262_144;

/** Throws REQUEST_INVALID. */
export function checkRequest(submitKey: string, jobs: readonly WantedJob[]): void {
  if (submitKey === '' || submitKey.length > MAX_KEY) {
    const message = `submit_key must have 1 to ${MAX_KEY} characters, not ${submitKey.length}`;
    throw new GridError('REQUEST_INVALID', message);
  }
  if (submitKey.includes('\0'))
    throw new GridError('REQUEST_INVALID', 'submit_key must not have a NUL in it');
  if (jobs.length === 0 || jobs.length > MAX_JOBS)
    throw new GridError('REQUEST_INVALID', `1 to ${MAX_JOBS} jobs at a time, not ${jobs.length}`);
}

/** The job under the VO that it names, or the caller's only one; throws where the caller may not. */
export function withVo(job: WantedJob, peer: Peer, access: Access): WantedJob {
  const decision = maySubmit(peer, job.spec.vo, access);
  if (!decision.allowed) throw new GridError(decision.code, decision.why);
  return { ...job, spec: { ...job.spec, vo: voName(decision.vo) } };
}

/** Throws SPEC_INVALID with all problems; `known` are the nodes that the flow has already; undefined outside a flow. */
export function checkJobs(jobs: readonly WantedJob[], known: KnownNodes | undefined): void {
  const refs = known === undefined ? () => isKnownJob : refsOf(jobs, known);
  const problems = jobs.flatMap((job, index) =>
    problemsOf(job, refs(index)).map(({ where, message }) => ({
      where: jobs.length === 1 ? where : `jobs[${index}].${where}`,
      message,
    })),
  );
  if (known !== undefined) problems.push(...flowProblems(jobs, known));
  if (problems.length === 0) return;
  throw new GridError('SPEC_INVALID', `the job has ${counted(problems.length, 'problem')}`, {
    problems,
  });
}

function problemsOf({ spec, inputs }: WantedJob, check: CheckRef): readonly Problem[] {
  const problems = [...checkSpec(spec, check)];
  for (const kind of ['requirements', 'rank'] as const) {
    if (spec[kind] === '') continue;
    for (const { line, column, message } of checkExpression(kind, spec[kind]))
      problems.push({ where: `${kind}:${line}:${column}`, message });
  }
  if (fileInputs(spec).length > 0 && inputs.digest === '')
    problems.push({ where: 'inputs', message: 'there are inputs, but no tree of files' });
  if ((inputs.manifest?.length ?? 0) > MAX_MANIFEST_BYTES)
    problems.push({ where: 'inputs', message: 'the manifest is too large to ride along' });
  return problems;
}

/** Names the version of every dataset that the jobs want: what is newest now. Throws SPEC_INVALID. */
export function pinDatasets(
  datasets: Datasets,
  jobs: readonly WantedJob[],
  peer: Peer,
): readonly WantedJob[] {
  const problems: Problem[] = [];
  const pinned = jobs.map(({ spec, inputs, node }, index) => {
    const pin = (from: string, at: number): string => {
      try {
        return datasets.pin(peer, from, spec.vo);
      } catch (error) {
        if (!(error instanceof GridError)) throw error;
        const where = `inputs[${at}].from`;
        problems.push({
          where: jobs.length === 1 ? where : `jobs[${index}].${where}`,
          message: error.message,
        });
        return from;
      }
    };
    const named = spec.inputs.map(({ from, to }, at) => ({
      from: isDatasetInput(from) ? pin(from, at) : from,
      to,
    }));
    return { spec: { ...spec, inputs: named }, inputs, node };
  });
  if (problems.length > 0)
    throw new GridError('SPEC_INVALID', 'the job refers to datasets that it cannot use', {
      problems,
    });
  return pinned;
}

/** Over what makes the jobs what they are; the order of environment variables does not. */
export function hashOf(jobs: readonly WantedJob[], flow: WantedFlow | undefined): string {
  const hash = createHash('sha256');
  for (const { spec, inputs, node } of jobs) {
    const env = Object.entries(spec.env).toSorted(([a], [b]) => (a < b ? -1 : 1));
    const inFlow = flow === undefined ? [] : [flow.id, flow.name, node];
    hash.update(JSON.stringify([{ ...spec, env }, inputs.digest, ...inFlow]));
  }
  return hash.digest('hex');
}
