import { isSiteId, isVoName, type SiteId, siteId, voName } from '../ids.ts';
import { suggestion } from '../nearest.ts';
import { dependenciesOf } from './dependency.ts';
import { type CheckRef, isKnownJob, parseAfter } from './parse-after.ts';
import { parseInputs } from './parse-inputs.ts';
import { parseOutputs } from './parse-outputs.ts';
import {
  arrayOf,
  bytesOf,
  type Collect,
  choiceOf,
  commandOf,
  countsOf,
  durationOf,
  envOf,
  factorOf,
  isRecord,
  listOf,
  type Path,
  textOf,
  wholeOf,
} from './parse-value.ts';
import { NETWORKS, SANDBOXES, type SandboxDemand } from './sandbox.ts';
import { imageFault, isModuleName, type SoftwareDemand } from './software.ts';
import type { JobSpec } from './spec.ts';
import { parsePath } from './spec-path.ts';

/** Every key that a job may have, as people write them, in the order of docs/jobs.md. */
export const SPEC_KEYS = [
  'name',
  'command',
  'env',
  'inputs',
  'inputs-as',
  'outputs',
  'stdin',
  'cpus',
  'memory',
  'gpus',
  'nodes',
  'walltime',
  'disk',
  'gpu-model',
  'licences',
  'array',
  'max-running',
  'requirements',
  'rank',
  'sites',
  'exclude-sites',
  'after',
  'retries',
  'retry-memory',
  'vo',
  'group',
  'on-lost',
  'sandbox',
  'network',
  'modules',
  'image',
] as const;

/** What a task gets that does not ask. */
export const DEFAULTS = {
  cpus: 1,
  memoryBytes: 2 ** 30,
  gpus: 0,
  nodes: 1,
  walltimeMs: 3_600_000,
  diskBytes: 0,
  retries: 0,
} as const;

/** One thing that is wrong, with the way to it from the root of the job. */
export interface SpecProblem {
  readonly path: Path;
  readonly message: string;
  /** It is about the last key of the path, not about its value. */
  readonly aboutKey?: true;
}

/** A job, or all that is wrong with it. */
export type ParsedSpec =
  | { readonly ok: true; readonly spec: JobSpec }
  | { readonly ok: false; readonly problems: readonly SpecProblem[] };

/**
 * A job as people write it (YAML, JSON, flags: numbers may be texts) -> the spec. Globs among the inputs stay as they
 * are, and whether files exist and expressions hold is for the edge to say. `check` judges the names of other jobs.
 */
export function parseSpec(raw: unknown, check: CheckRef = isKnownJob): ParsedSpec {
  const problems: SpecProblem[] = [];
  const collect: Collect = (path, message, about) => {
    problems.push({ path, message, ...(about === 'key' ? { aboutKey: true } : {}) });
  };
  if (!isRecord(raw)) {
    const found = Array.isArray(raw) ? 'a list' : 'a single value';
    collect([], `a job is a set of keys such as 'command: [...]', not ${found}`);
    return { ok: false, problems };
  }
  if ('jobs' in raw && !('command' in raw)) {
    collect(['jobs'], 'this is a flow, not a job: `grid flow submit` takes it', 'key');
    return { ok: false, problems };
  }
  for (const key of Object.keys(raw)) {
    if (!SPEC_KEYS.some((known) => known === key))
      collect([key], `there is no key '${key}'${suggestion(key, SPEC_KEYS)}`, 'key');
  }
  const spec = specOf(raw, collect, check);
  return problems.length > 0 ? { ok: false, problems } : { ok: true, spec };
}

type Raw = Readonly<Record<string, unknown>>;

function specOf(raw: Raw, collect: Collect, check: CheckRef): JobSpec {
  const command = commandOf(raw['command'], collect);
  const array = arrayOf(raw['array'], collect);
  const maxRunning = wholeOf(raw, 'max-running', 1, 0, collect);
  const retryMemory = factorOf(raw, 'retry-memory', collect);
  const group = textOf(raw, 'group', collect);
  const inputsAs = choiceOf(raw, 'inputs-as', ['copy'] as const, collect);
  const nodes = wholeOf(raw, 'nodes', 1, DEFAULTS.nodes, collect);
  const surroundings = surroundingsOf(raw, nodes, collect);
  const written = parseInputs(raw['inputs'], collect, check);
  const inputs = written.map(({ from, to }) => ({ from, to }));
  const sites = sitesOf(raw, 'sites', collect);
  const excludeSites = sitesOf(raw, 'exclude-sites', collect);
  for (const site of sites.filter((wanted) => excludeSites.includes(wanted)))
    collect(['exclude-sites'], `'${site}' is among sites too`);
  return {
    name: nameOf(raw['name'], command, collect),
    command,
    env: envOf(raw['env'], collect),
    inputs,
    ...(inputsAs === undefined ? {} : { inputsAs }),
    ...parseOutputs(raw['outputs'], collect),
    resources: {
      cpus: wholeOf(raw, 'cpus', 1, DEFAULTS.cpus, collect),
      memoryBytes: bytesOf(raw, 'memory', DEFAULTS.memoryBytes, collect),
      gpus: wholeOf(raw, 'gpus', 0, DEFAULTS.gpus, collect),
      nodes,
      walltimeMs: durationOf(raw, 'walltime', DEFAULTS.walltimeMs, collect),
      diskBytes: bytesOf(raw, 'disk', DEFAULTS.diskBytes, collect),
      gpuModel: textOf(raw, 'gpu-model', collect) ?? '',
      licences: countsOf(raw, 'licences', collect),
    },
    requirements: textOf(raw, 'requirements', collect) ?? '',
    rank: textOf(raw, 'rank', collect) ?? '',
    ...(array === undefined ? {} : { array }),
    after: dependenciesOf({ after: parseAfter(raw['after'], collect, check), inputs }),
    retries: wholeOf(raw, 'retries', 0, DEFAULTS.retries, collect),
    ...(maxRunning === 0 ? {} : { maxRunning }),
    ...(retryMemory === undefined ? {} : { retryMemory }),
    ...(group === undefined ? {} : { group }),
    ...surroundings,
    vo: voOf(raw, collect),
    sites,
    excludeSites,
    stdin: stdinOf(raw, collect),
    onLost: choiceOf(raw, 'on-lost', ['release', 'keep'] as const, collect) ?? 'release',
  };
}

/** The last part of the program's path where the job has no name of its own. */
function nameOf(raw: unknown, command: readonly string[], collect: Collect): string {
  const name = textOf({ name: raw }, 'name', collect);
  if (name === undefined) {
    const words = command[0] === 'sh' && command[1] === '-c' ? command[2] : command[0];
    // No match begins in the middle of a word: a long one is looked through once, whatever dots it has.
    const program =
      /(?<![A-Za-z0-9._-])[._-]*([A-Za-z0-9][A-Za-z0-9._-]*)(?=$|\s)/.exec(words ?? '')?.[1] ??
      'job';
    return program.slice(0, 40);
  }
  return name;
}

function sitesOf(raw: Raw, key: 'sites' | 'exclude-sites', collect: Collect): readonly SiteId[] {
  return listOf(raw, key, collect).map(({ text, path }) => {
    if (!isSiteId(text))
      collect(path, `'${text}' is no site id: lower-case letters, digits and inner hyphens`);
    return siteId(text);
  });
}

/** What a task finds around it. */
function surroundingsOf(raw: Raw, nodes: number, collect: Collect): SandboxDemand & SoftwareDemand {
  const sandbox = choiceOf(raw, 'sandbox', SANDBOXES, collect);
  const network = choiceOf(raw, 'network', NETWORKS, collect);
  const modules = modulesOf(raw, collect);
  const image = textOf(raw, 'image', collect);
  const fault = imageFault({ modules, ...(image === undefined ? {} : { image }) }, nodes);
  if (fault !== undefined) collect(['image'], fault);
  return {
    ...(sandbox === undefined ? {} : { sandbox }),
    ...(network === undefined ? {} : { network }),
    ...(modules.length === 0 ? {} : { modules }),
    ...(image === undefined ? {} : { image }),
  };
}

function modulesOf(raw: Raw, collect: Collect): readonly string[] {
  return listOf(raw, 'modules', collect).map(({ text, path }) => {
    if (!isModuleName(text))
      collect(path, `'${text}' is no name of a module: write for instance gcc or gcc/13`);
    return text;
  });
}

function voOf(raw: Raw, collect: Collect): JobSpec['vo'] {
  const name = textOf(raw, 'vo', collect) ?? '';
  if (name !== '' && !isVoName(name)) collect(['vo'], `'${name}' is no name of a VO`);
  return voName(name);
}

function stdinOf(raw: Raw, collect: Collect): string {
  const text = textOf(raw, 'stdin', collect);
  if (text === undefined) return '';
  const parsed = parsePath(text);
  if (parsed.ok) return parsed.path;
  collect(['stdin'], parsed.message);
  return '';
}
