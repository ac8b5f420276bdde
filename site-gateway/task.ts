import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { demandedSandbox } from '../core/job/sandbox.ts';
import type { JobSpec } from '../core/job/spec.ts';
import { specFromWire } from '../service/wire.ts';
import type { AcceptedAttempt } from './journal.ts';
import type { LrmsTask } from './lrms/lrms.ts';
import { hostfileOf } from './lrms/task-files.ts';
import type { StagedAttempt } from './staging.ts';

/** What a site gives to every task. */
interface SiteBasics {
  readonly id: string;
  readonly path: string;
}

/** What a task finds in its environment, and nothing else: the site's basics, the job's own, the grid's. */
function taskEnvironment(
  attempt: AcceptedAttempt,
  spec: JobSpec,
  site: SiteBasics & { readonly directory: string },
): Readonly<Record<string, string>> {
  const work = join(site.directory, 'work');
  const { username } = userInfo();
  const cpus = String(spec.resources.cpus);
  return {
    PATH: site.path,
    HOME: work,
    PWD: work,
    TMPDIR: join(site.directory, 'tmp'),
    LANG: 'C.UTF-8',
    USER: username,
    LOGNAME: username,
    OMP_NUM_THREADS: cpus,
    ...spec.env,
    GRID_JOB_ID: attempt.jobId,
    GRID_TASK: attempt.taskValue,
    GRID_ATTEMPT: attempt.id,
    GRID_SITE: site.id,
    GRID_VO: spec.vo,
    GRID_CPUS: cpus,
    GRID_NODES: String(spec.resources.nodes),
    GRID_HOSTFILE: hostfileOf(site.directory),
  };
}

/** What an attempt runs: the job's spec, with the memory that this attempt was given. */
export function specOf({
  job,
  memoryBytes,
}: Pick<AcceptedAttempt, 'job' | 'memoryBytes'>): JobSpec {
  const spec = specFromWire(job.spec);
  return memoryBytes === 0 ? spec : { ...spec, resources: { ...spec.resources, memoryBytes } };
}

/** Where standard input comes from. */
export const stdinOf = ({ spec, directory }: StagedAttempt): string =>
  spec.stdin === '' ? '/dev/null' : resolve(directory, 'work', spec.stdin);

/** What the batch system is asked to run. */
export function lrmsTaskOf(
  attempt: StagedAttempt & { readonly accepted: AcceptedAttempt },
  site: SiteBasics,
): LrmsTask {
  const { id, directory, spec, accepted } = attempt;
  return {
    id,
    directory,
    command: spec.command,
    env: taskEnvironment(accepted, spec, { ...site, directory }),
    stdin: stdinOf(attempt),
    nodes: spec.resources.nodes,
    gpus: spec.resources.gpus,
    cpus: spec.resources.cpus,
    memoryBytes: spec.resources.memoryBytes,
    walltimeMs: spec.resources.walltimeMs,
    sandbox: demandedSandbox(spec),
    network: spec.network ?? 'any',
  };
}
