import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { GridError } from '../../core/errors.ts';
import { MAX_JOBS } from '../../core/job/check-spec.ts';
import { type CheckedJob, checkJobs } from '../../service/documents/check-jobs.ts';
import { readJobText, type WrittenJob } from '../../service/documents/job-file.ts';
import { looksLikeScript, readScript } from '../../service/documents/job-script.ts';
import type { Context } from '../context.ts';
import type { Input } from '../input.ts';
import { emptyJob, withFlags } from './job-flags.ts';

/** The jobs of a command line, checked: a file, a script or stdin, with the flags laid over. Throws SPEC_INVALID. */
export async function readJobs(context: Context, input: Input): Promise<readonly CheckedJob[]> {
  const file = fileOf(input);
  const { written, isScript } =
    file === undefined
      ? { written: [emptyJob(context.cwd)], isScript: false }
      : await readFrom(context, file, input.rest);
  if (written.length > MAX_JOBS)
    throw new GridError(
      'SPEC_INVALID',
      `${file} has ${written.length} jobs, at most ${MAX_JOBS} go at a time: split it, or make tasks of an array of them`,
    );
  // Words after `--` are the arguments of a script, and the command of everything else.
  const flags: Input = isScript ? { ...input, rest: [] } : input;
  const vo = (await context.settings()).vo;
  const jobs = written.map((job) => withFlags(withVo(job, vo), flags, context));
  return checkJobs(jobs);
}

function fileOf(input: Input): string | undefined {
  const named = input.text('job');
  const [file] = input.args;
  if (file !== undefined && named !== undefined)
    throw new GridError('USAGE', `two job files: '${file}' and --job '${named}'`);
  if (file === undefined && named === undefined && input.rest.length === 0)
    throw new GridError('USAGE', 'name a job file, or give a command after `--`');
  return file ?? named;
}

interface Source {
  readonly written: readonly WrittenJob[];
  readonly isScript: boolean;
}

async function readFrom(context: Context, file: string, rest: readonly string[]): Promise<Source> {
  const path = file === '-' ? undefined : resolve(context.cwd, file);
  const base = path === undefined ? context.cwd : dirname(path);
  const name = path === undefined ? 'stdin' : file;
  const text =
    path === undefined ? await context.terminal.readStdin() : await readJobFile(path, file);
  if (!looksLikeScript(name, text))
    return { written: readJobText({ name, text, base }), isScript: false };
  const executable = path !== undefined && (await isExecutable(path));
  const script = readScript({
    name,
    text,
    base,
    file: path === undefined ? undefined : basename(path),
    executable,
    args: rest,
  });
  return { written: [script], isScript: true };
}

/** The text of a job file; `shown` is how the person named it. */
export async function readJobFile(path: string, shown: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    const hint = code === 'ENOENT' ? ` (a command goes after \`--\`: grid submit -- ${shown})` : '';
    throw new GridError('INPUT_MISSING', `cannot read the job file '${shown}'${hint}`, {
      cause: error,
    });
  }
}

const isExecutable = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );

/** The VO of the settings, where the job names none. */
function withVo(job: WrittenJob, vo: string | undefined): WrittenJob {
  const isMap = typeof job.raw === 'object' && job.raw !== null && !Array.isArray(job.raw);
  if (vo === undefined || (job.raw !== undefined && !isMap)) return job;
  return { ...job, raw: { vo, ...(isMap ? job.raw : {}) } };
}
