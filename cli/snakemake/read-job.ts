import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { GridError } from '../../core/errors.ts';
import { type CheckedJob, checkJobs } from '../../service/documents/check-jobs.ts';
import type { Context } from '../context.ts';
import type { Input } from '../input.ts';
import { withFlags } from '../jobs/job-flags.ts';
import { readJobFile } from '../jobs/read-jobs.ts';
import { readJobscript } from './jobscript.ts';

/** What stands beside a Snakefile in workflows as snakemake's documentation lays them out; sent where it is there. */
const CUSTOMARY =
  'workflow rules scripts envs schemas config config.yaml config.yml config.json'.split(' ');
/** Sites say so themselves; `--requirements` says something else. */
const REQUIREMENTS = '"snakemake" in site.features';

/** The job of `grid submit --snakemake JOBSCRIPT`: run in the directory that snakemake runs in. Throws SPEC_INVALID. */
export async function readSnakemakeJob(
  context: Context,
  input: Input,
): Promise<readonly CheckedJob[]> {
  const [file] = input.args;
  if (file === undefined || input.rest.length > 0)
    throw new GridError(
      'USAGE',
      "--snakemake takes the job script that snakemake names: snakemake --cluster 'grid submit --snakemake'",
    );
  const base = context.cwd;
  const job = readJobscript(await readJobFile(resolve(base, file), file), base);
  const workflow = CUSTOMARY.filter((name) => existsSync(join(base, name)));
  const isCovered = (path: string): boolean =>
    workflow.some((top) => path === top || path.startsWith(`${top}/`));
  const sent = [job.snakefile, ...job.inputs].filter((path) => !isCovered(path));
  const { vo } = await context.settings();
  const raw = {
    ...(vo === undefined ? {} : { vo }),
    name: job.name,
    command: ['sh', '-c', job.script],
    inputs: [...new Set([...workflow, ...sent])],
    outputs: [...new Set([...job.outputs, ...job.logs])],
    requirements: REQUIREMENTS,
    ...job.needs,
  };
  const written = { raw, base, where: () => job.name };
  return checkJobs([withFlags(written, { ...input, args: [] }, context)]);
}
