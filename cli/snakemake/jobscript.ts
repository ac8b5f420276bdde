import { isAbsolute, posix, relative } from 'node:path';
import * as z from 'zod';
import { GridError } from '../../core/errors.ts';

/** A rule of a workflow with its files, as snakemake hands it to a cluster. Paths are relative to the working directory. */
export interface RuleJob {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly logs: readonly string[];
  readonly snakefile: string;
  /** Text for sh, to be run in a directory that holds the inputs and the workflow. */
  readonly script: string;
  /** Keys of a job: what the rule needs. */
  readonly needs: Readonly<Record<string, string>>;
}

const files = z.array(z.string()).default([]);
/** What stands behind `# properties =`, as far as it matters here. */
const PROPERTIES = z.object({
  rule: z.string().optional(),
  groupid: z.string().optional(),
  jobid: z.union([z.number(), z.string()]).optional(),
  input: files,
  output: files,
  log: files,
  threads: z.int().min(1).default(1),
  resources: z.record(z.string(), z.unknown()).default({}),
});
type Properties = z.output<typeof PROPERTIES>;

/**
 * Reads a job script of snakemake 7 and makes it independent of the directory and the Python that it was written for;
 * throws SPEC_INVALID for another text, and for files outside of the working directory `base`.
 */
export function readJobscript(text: string, base: string): RuleJob {
  const properties = propertiesOf(text);
  const [, command = ''] = /^cd '([^']+)' && \S+ -m snakemake .*$/m.test(text)
    ? (/^cd '[^']+' && \S+ -m (snakemake .*)$/m.exec(text) ?? [])
    : [];
  const [, snakefile] = / --snakefile '([^']+)'/.exec(command) ?? [];
  if (command === '' || snakefile === undefined) throw notOne('its last line starts no snakemake');
  const inside = (path: string): string => below(base, path);
  const logs = properties.log.map(inside);
  return {
    name: nameOf(properties),
    inputs: properties.input.map(inside),
    outputs: properties.output.map(inside),
    logs,
    snakefile: inside(snakefile),
    script: scriptOf(command, base, logs),
    needs: needsOf(properties),
  };
}

function propertiesOf(text: string): Properties {
  const json = /^# properties = (\{.*\})$/m.exec(text)?.[1];
  if (json === undefined) throw notOne('it has no line `# properties = {...}`');
  try {
    return PROPERTIES.parse(JSON.parse(json));
  } catch (error) {
    throw notOne('its properties cannot be read', error);
  }
}

const notOne = (why: string, cause?: unknown): GridError =>
  new GridError('SPEC_INVALID', `this is no job script of snakemake 7: ${why}`, { cause });

function below(base: string, path: string): string {
  const within = isAbsolute(path) ? relative(base, path) : posix.normalize(path);
  if (within !== '' && within !== '..' && !within.startsWith('../') && !isAbsolute(within))
    return within;
  throw new GridError(
    'SPEC_INVALID',
    `'${path}' is outside of ${base}: a workflow on the grid has all its files below the directory in which snakemake runs`,
  );
}

function nameOf({ rule, groupid, jobid }: Properties): string {
  const name = `${rule ?? groupid ?? 'group'}.${jobid ?? 0}`;
  return name.replaceAll(/[^A-Za-z0-9._-]/g, '_').slice(0, 60);
}

/**
 * Paths become relative, the snakemake is the site's own, and the directory that the script waits for is made. A log
 * that the rule did not write is made empty, as an output of a job must be there.
 */
function scriptOf(command: string, base: string, logs: readonly string[]): string {
  const moved = command.replaceAll(`'${base}/`, "'").replaceAll(`'${base}'`, "'.'");
  const waits = [...moved.matchAll(/'(\.snakemake\/tmp\.[^'/]+)'/g)].map(([, dir]) => dir ?? '');
  const emptyLogs = logs.map((log) => {
    const path = `'./${log.replaceAll("'", "'\\''")}'`;
    return `[ -e ${path} ] || { mkdir -p "$(dirname ${path})" && : > ${path}; }`;
  });
  return [
    ...[...new Set(waits)].map((dir) => `mkdir -p '${dir}'`),
    `( ${moved} )`,
    'code=$?',
    ...emptyLogs,
    'exit $code',
  ].join('\n');
}

/** `threads` and the resources that snakemake's own documentation names. */
function needsOf({ threads, resources }: Properties): Readonly<Record<string, string>> {
  const whole = (...names: readonly string[]): number | undefined =>
    names
      .map((name) => Math.ceil(Number(resources[name] ?? Number.NaN)))
      .find((value) => Number.isFinite(value) && value > 0);
  const [memory, disk, minutes] = [whole('mem_mb'), whole('disk_mb'), whole('runtime')];
  const gpus = whole('nvidia_gpu', 'gpu', 'gpus');
  return {
    cpus: String(threads),
    ...(memory === undefined ? {} : { memory: `${memory}M` }),
    ...(disk === undefined ? {} : { disk: `${disk}M` }),
    ...(minutes === undefined ? {} : { walltime: `${minutes}m` }),
    ...(gpus === undefined ? {} : { gpus: String(gpus) }),
  };
}
