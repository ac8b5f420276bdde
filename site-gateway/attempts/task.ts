import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { GridError } from '../../core/errors.ts';
import { demandedSandbox } from '../../core/job/sandbox.ts';
import type { JobSpec } from '../../core/job/spec.ts';
import { accountName } from '../../service/account-name.ts';
import { ensureDirectory } from '../../service/directories.ts';
import { specFromWire } from '../../service/rpc/wire.ts';
import type { Account } from '../accounts/account.ts';
import type { AcceptedAttempt } from '../journal/journal.ts';
import type { LrmsTask } from '../lrms/lrms.ts';
import { containerFolderOf, hostfileOf } from '../lrms/task-files.ts';
import type { Runtime } from '../software/image-task.ts';
import { wordsForModules } from '../software/load-modules.ts';
import { type Encased, inImage } from '../software/run-image.ts';
import type { StagedAttempt } from '../staging/staging.ts';

/** What a site gives to every task. */
interface SiteBasics {
  readonly id: string;
  readonly path: string;
  /** What sh sources to get `module`; undefined where the site has no modules. */
  readonly modulesInit: string | undefined;
  /** What images are run with; undefined where the site has nothing for that. */
  readonly runtime: Runtime | undefined;
}

const USER_NAME = accountName();

/** What a task finds in its environment, and nothing else: the site's basics, the job's own, the grid's. */
function taskEnvironment(
  attempt: AcceptedAttempt,
  spec: JobSpec,
  site: SiteBasics & { readonly directory: string; readonly userName: string },
): Readonly<Record<string, string>> {
  const work = join(site.directory, 'work');
  const cpus = String(spec.resources.cpus);
  return {
    PATH: site.path,
    HOME: work,
    PWD: work,
    TMPDIR: join(site.directory, 'tmp'),
    LANG: 'C.UTF-8',
    USER: site.userName,
    LOGNAME: site.userName,
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

/** Tasks of an array share one: a site holds thousands of them. */
const SPECS = new WeakMap<AcceptedAttempt['job'], JobSpec>();

function whole(job: AcceptedAttempt['job']): JobSpec {
  const known = SPECS.get(job);
  if (known !== undefined) return known;
  const spec = specFromWire(job.spec);
  SPECS.set(job, spec);
  return spec;
}

/** What an attempt runs: the job's spec, with the memory that this attempt was given. */
export function specOf({
  job,
  memoryBytes,
}: Pick<AcceptedAttempt, 'job' | 'memoryBytes'>): JobSpec {
  const spec = whole(job);
  return memoryBytes === 0 ? spec : { ...spec, resources: { ...spec.resources, memoryBytes } };
}

/** Where standard input comes from. */
const stdinOf = ({ spec, directory }: StagedAttempt): string =>
  spec.stdin === '' ? '/dev/null' : resolve(directory, 'work', spec.stdin);

/** Throws where standard input is to be a file that is not there. */
export async function checkStdin(attempt: StagedAttempt): Promise<void> {
  const { stdin } = attempt.spec;
  if (stdin === '') return;
  const info = await stat(stdinOf(attempt)).catch(() => undefined);
  if (info?.isFile() !== true)
    throw new GridError('INPUT_MISSING', `'${stdin}' is to be standard input and is no file`);
}

/** Makes the folder by which the task's container is found, where it has one of that kind. */
export function makeContainerFolder({ boxed, directory }: LrmsTask): void {
  if (boxed === 'beside') ensureDirectory(containerFolderOf(directory));
}

/** What the batch system is asked to run. Its environment is made where it is read: tasks that wait need none. */
export function lrmsTaskOf(
  attempt: StagedAttempt & { readonly accepted: AcceptedAttempt },
  site: SiteBasics,
  account?: Account,
): LrmsTask {
  const { id, directory, spec, accepted } = attempt;
  const { nodes, gpus, gpuModel, cpus, memoryBytes, walltimeMs, diskBytes, licences } =
    spec.resources;
  const { image, network = 'any', command } = spec;
  const { queue } = accepted;
  const needs = {
    queue,
    nodes,
    gpus,
    gpuModel,
    cpus,
    memoryBytes,
    walltimeMs,
    diskBytes,
    licences,
  };
  const stdin = stdinOf(attempt);
  const common = { id, directory, stdin, ...needs, ...(account === undefined ? {} : { account }) };
  const userName = account?.name ?? USER_NAME;
  const env = (): LrmsTask['env'] =>
    taskEnvironment(accepted, spec, { ...site, directory, userName });
  const sandbox = demandedSandbox(spec);
  if (image === undefined) {
    return {
      ...common,
      command: [...wordsForModules(site.modulesInit, spec.modules), ...command],
      get env() {
        return env();
      },
      sandbox,
      network,
    };
  }
  const inside = (): Encased => {
    // The image has a PATH of its own.
    const { PATH: _, ...others } = env();
    const wanted = { ...others, ...pathOf(spec) };
    return inImage(site.runtime, { id, directory, image, network, env: wanted, command });
  };
  const { env: _, ...encased } = inside();
  return {
    ...common,
    ...encased,
    get env() {
      return { ...inside().env, PATH: site.path };
    },
    // The image is one, and keeps the network away.
    sandbox: sandbox === 'namespaces' ? 'account' : sandbox,
    network: 'any',
  };
}

const pathOf = ({ env: { PATH } }: JobSpec): Readonly<Record<string, string>> =>
  PATH === undefined ? {} : { PATH };
