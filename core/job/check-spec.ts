import { isDatasetInput, parseDataset } from '../data/dataset.ts';
import { isRemoteInput, parseRemote } from '../data/remote-file.ts';
import type { Problem } from '../errors.ts';
import { isSiteId, isVoName } from '../ids.ts';
import { MAX_MEMORY_FACTOR, MIN_RETRY_MEMORY } from '../retry/retry.ts';
import { formatBytes, formatDuration } from '../units.ts';
import { groupOf, parseFqan } from '../vo/fqan.ts';
import { parseArrayValues } from './array-text.ts';
import { type CheckRef, isKnownJob } from './parse-after.ts';
import { imageFault, isModuleName } from './software.ts';
import {
  type ArraySpec,
  isLicenceName,
  type JobSpec,
  jobInputs,
  type Licences,
  MAX_ARRAY_TASKS,
  type Resources,
  taskCount,
} from './spec.ts';
import { parsePath, parseTarget } from './spec-path.ts';

/** What a spec may hold; the same bounds for every way in. */
const SPEC_LIMITS = {
  nameLength: 128,
  commandParts: 10_000,
  commandBytes: 131_072,
  envEntries: 1_000,
  envBytes: 131_072,
  inputs: 10_000,
  outputs: 1_000,
  cpus: 65_536,
  gpus: 4_096,
  nodes: 65_536,
  memoryBytes: 2 ** 50,
  walltimeMs: 366 * 86_400_000,
  diskBytes: 2 ** 50,
  gpuModelLength: 128,
  licences: 50,
  licenceCount: 1_000_000,
  expressionLength: 4_096,
  after: 1_000,
  retries: 100,
  sites: 1_000,
  modules: 100,
} as const;

/** Adds a problem where a condition does not hold. */
type Demand = (holds: boolean, where: string, message: string) => void;

/** Jobs that one submission has at most; an array is one job. */
export const MAX_JOBS = 1_000;

/**
 * Everything that is wrong with a spec, whoever wrote it: bounds and forms that need neither files nor other jobs.
 * Expressions are only measured here; service/expression/expression-check.ts reads them. `check` judges the names of other jobs.
 */
export function checkSpec(spec: JobSpec, check: CheckRef = isKnownJob): readonly Problem[] {
  const problems: Problem[] = [];
  const demand: Demand = (holds, where, message) => {
    if (!holds) problems.push({ where, message });
  };
  checkName(spec.name, demand);
  checkCommand(spec.command, demand);
  checkEnv(spec.env, demand);
  checkFiles(spec, demand);
  checkResources(spec.resources, demand);
  checkExpressions(spec, demand);
  if (spec.array !== undefined) checkArray(spec.array, demand);
  checkAfter(spec, demand, check);
  checkPlaces(spec, demand);
  checkModules(spec.modules ?? [], demand);
  const fault = imageFault(spec, spec.resources.nodes);
  demand(fault === undefined, 'image', fault ?? '');
  if (spec.group !== undefined) checkGroup(spec.group, spec.vo, demand);
  return problems;
}

const whole = (value: number, least: number, most: number): boolean =>
  Number.isSafeInteger(value) && value >= least && value <= most;

function checkName(name: string, demand: Demand): void {
  const most = SPEC_LIMITS.nameLength;
  demand(name !== '', 'name', 'the name is empty');
  demand(name.length <= most, 'name', `the name has ${name.length} characters, at most ${most}`);
  demand(!/\p{Cc}/u.test(name), 'name', 'the name has control characters in it');
}

function checkCommand(command: JobSpec['command'], demand: Demand): void {
  const { commandParts, commandBytes } = SPEC_LIMITS;
  const length = command.reduce((sum, part) => sum + part.length, 0);
  demand((command[0] ?? '') !== '', 'command', 'there is no program to run');
  demand(
    command.length <= commandParts,
    'command',
    `${command.length} arguments, at most ${commandParts}`,
  );
  demand(length <= commandBytes, 'command', `${length} characters, at most ${commandBytes}`);
  demand(!command.some((part) => part.includes('\0')), 'command', 'an argument has a NUL in it');
}

function checkEnv(env: JobSpec['env'], demand: Demand): void {
  const entries = Object.entries(env);
  const length = entries.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  const { envEntries, envBytes } = SPEC_LIMITS;
  demand(entries.length <= envEntries, 'env', `${entries.length} variables, at most ${envEntries}`);
  demand(length <= envBytes, 'env', `${length} characters, at most ${envBytes}`);
  for (const [name, value] of entries) {
    const where = `env.${name.slice(0, 40)}`;
    demand(/^[A-Za-z_][A-Za-z0-9_]{0,255}$/.test(name), where, 'that is no name of a variable');
    demand(!name.startsWith('GRID_'), where, "names that begin with GRID_ are the grid's own");
    demand(!value.includes('\0'), where, 'the value has a NUL in it');
  }
}

function checkFiles(spec: JobSpec, demand: Demand): void {
  const { inputs, outputs, liveOutputs = [], stdin } = spec;
  demand(
    inputs.length <= SPEC_LIMITS.inputs,
    'inputs',
    `${inputs.length} inputs, at most ${SPEC_LIMITS.inputs}`,
  );
  demand(
    outputs.length <= SPEC_LIMITS.outputs,
    'outputs',
    `${outputs.length} outputs, at most ${SPEC_LIMITS.outputs}`,
  );
  for (const [index, { from, to }] of inputs.entries()) {
    const source = checkedSource(from);
    const target = parseTarget(to);
    demand(source.ok, `inputs[${index}].from`, source.ok ? '' : source.message);
    demand(target.ok, `inputs[${index}].to`, target.ok ? '' : target.message);
  }
  for (const [index, glob] of outputs.entries()) {
    const parsed = parseTarget(glob);
    demand(parsed.ok, `outputs[${index}]`, parsed.ok ? '' : parsed.message);
  }
  // Of sets, here and below: a request may have lists of a million, and all of it is looked at.
  const written = new Set(outputs);
  for (const glob of liveOutputs)
    demand(written.has(glob), 'outputs', `'${glob.slice(0, 80)}' is live and no output`);
  const input = stdin === '' ? undefined : parseTarget(stdin);
  if (input?.ok === false) demand(false, 'stdin', input.message);
}

function checkedSource(from: string): { readonly ok: true } | { ok: false; message: string } {
  if (isDatasetInput(from)) return parseDataset(from);
  return isRemoteInput(from) ? parseRemote(from) : parsePath(from);
}

function checkResources(resources: Resources, demand: Demand): void {
  const bounds = [
    ['cpus', 1, SPEC_LIMITS.cpus],
    ['memoryBytes', 0, SPEC_LIMITS.memoryBytes],
    ['gpus', 0, SPEC_LIMITS.gpus],
    ['nodes', 1, SPEC_LIMITS.nodes],
    ['walltimeMs', 1_000, SPEC_LIMITS.walltimeMs],
    ['diskBytes', 0, SPEC_LIMITS.diskBytes],
  ] as const;
  for (const [key, least, most] of bounds) {
    const value = resources[key];
    const words = key.endsWith('Bytes') ? bytesText : key === 'walltimeMs' ? timeText : String;
    const range = `${words === String ? 'a whole number ' : ''}from ${words(least)} to ${words(most)}`;
    const message = `${words(value)} is out of range: ${range}`;
    demand(whole(value, least, most), WORDS[key], message);
  }
  checkGpuModel(resources, demand);
  checkLicences(resources.licences, demand);
}

const bytesText = (value: number): string =>
  whole(value, 0, Number.MAX_SAFE_INTEGER) ? formatBytes(value) : `${value} B`;
const timeText = (value: number): string =>
  whole(value, 0, Number.MAX_SAFE_INTEGER) ? formatDuration(value) : `${value} ms`;

function checkGpuModel({ gpuModel, gpus }: Resources, demand: Demand): void {
  if (gpuModel === '') return;
  const most = SPEC_LIMITS.gpuModelLength;
  const plain =
    gpuModel.length <= most && /[A-Za-z0-9]/.test(gpuModel) && !/\p{Cc}/u.test(gpuModel);
  demand(
    plain,
    'gpu-model',
    `must be the words of a model such as a100, at most ${most} characters`,
  );
  demand(gpus > 0, 'gpu-model', 'it goes with `gpus`, and the job asks for none');
}

function checkLicences(licences: Licences, demand: Demand): void {
  const entries = Object.entries(licences);
  const { licences: kinds, licenceCount: most } = SPEC_LIMITS;
  demand(entries.length <= kinds, 'licences', `${entries.length} kinds, at most ${kinds}`);
  for (const [name, count] of entries) {
    const where = `licences.${name.slice(0, 40)}`;
    demand(isLicenceName(name), where, 'that is no name of a licence: letters, digits and ._@+-');
    demand(whole(count, 1, most), where, `${count} is out of range: from 1 to ${most}`);
  }
}

/** The names under which people know them. */
const WORDS = {
  cpus: 'cpus',
  memoryBytes: 'memory',
  gpus: 'gpus',
  nodes: 'nodes',
  walltimeMs: 'walltime',
  diskBytes: 'disk',
} as const;

function checkExpressions(spec: JobSpec, demand: Demand): void {
  for (const key of ['requirements', 'rank'] as const) {
    const most = SPEC_LIMITS.expressionLength;
    demand(spec[key].length <= most, key, `${spec[key].length} characters, at most ${most}`);
  }
}

function checkArray(array: ArraySpec, demand: Demand): void {
  if (array.kind === 'list') {
    const parsed = parseArrayValues(array.values);
    demand(parsed.ok, 'array', parsed.ok ? '' : parsed.message);
    return;
  }
  const { first, last, step } = array;
  if (!whole(step, 1, MAX_STEP)) return demand(false, 'array', `the step ${step} is below 1`);
  const sane = whole(first, 0, MAX_STEP) && whole(last, first, MAX_STEP);
  if (!sane) return demand(false, 'array', `the range ${first}-${last} is not one that rises`);
  const count = taskCount({ array });
  demand(
    count <= MAX_ARRAY_TASKS,
    'array',
    `${count} tasks are too many for one array: at most ${MAX_ARRAY_TASKS}`,
  );
}

const MAX_STEP = 10 ** 15;

function checkAfter(spec: JobSpec, demand: Demand, check: CheckRef): void {
  const { after } = spec;
  demand(
    after.length <= SPEC_LIMITS.after,
    'after',
    `${after.length} jobs, at most ${SPEC_LIMITS.after}`,
  );
  const seen = new Set<string>();
  for (const [index, { job }] of after.entries()) {
    const problem = check(job.slice(0, 80));
    demand(problem === undefined, `after[${index}]`, problem ?? '');
    demand(!seen.has(job), `after[${index}]`, `'${job}' is there twice`);
    seen.add(job);
  }
  for (const { job } of jobInputs(spec)) {
    const problem = check(job.slice(0, 80));
    demand(problem === undefined, 'inputs', problem ?? '');
  }
}

function checkPlaces(spec: JobSpec, demand: Demand): void {
  const { sites, excludeSites, vo, retries, retryMemory, maxRunning = 1 } = spec;
  const named = { sites, 'exclude-sites': excludeSites };
  for (const [key, ids] of Object.entries(named)) {
    demand(
      ids.length <= SPEC_LIMITS.sites,
      key,
      `${ids.length} sites, at most ${SPEC_LIMITS.sites}`,
    );
    for (const [index, id] of ids.entries())
      demand(isSiteId(id), `${key}[${index}]`, `'${id.slice(0, 40)}' is no site id`);
  }
  const excluded = new Set(excludeSites);
  const both = sites.find((id) => excluded.has(id));
  demand(both === undefined, 'exclude-sites', `'${both}' is among the wanted sites, too`);
  demand(vo === '' || isVoName(vo), 'vo', `'${vo.slice(0, 40)}' is no name of a VO`);
  const most = SPEC_LIMITS.retries;
  demand(whole(retries, 0, most), 'retries', `${retries} is out of range: 0 to ${most}`);
  demand(
    whole(maxRunning, 1, MAX_ARRAY_TASKS),
    'max-running',
    `${maxRunning} is out of range: 1 to ${MAX_ARRAY_TASKS}`,
  );
  const factor = retryMemory ?? MIN_RETRY_MEMORY;
  demand(
    factor >= MIN_RETRY_MEMORY && factor <= MAX_MEMORY_FACTOR,
    'retry-memory',
    `x${factor} is out of range: x${MIN_RETRY_MEMORY} to x${MAX_MEMORY_FACTOR}`,
  );
}

function checkModules(modules: readonly string[], demand: Demand): void {
  const most = SPEC_LIMITS.modules;
  demand(modules.length <= most, 'modules', `${modules.length} modules, at most ${most}`);
  for (const [index, name] of modules.entries()) {
    const shown = name.slice(0, 80);
    demand(
      isModuleName(name),
      `modules[${index}]`,
      `'${shown}' is no name of a module: write for instance gcc or gcc/13`,
    );
  }
}

function checkGroup(text: string, vo: string, demand: Demand): void {
  const group = parseFqan(text);
  const shown = `'${text.slice(0, 80)}'`;
  const isGroup = group !== undefined && group.role === undefined && groupOf(group) === text;
  demand(isGroup, 'group', `${shown} is no group of a VO: write for instance /biomed/imaging`);
  const other = isGroup && vo !== '' && group.vo !== vo;
  demand(!other, 'group', `${shown} is a group of VO ${group?.vo}, and the job runs under ${vo}`);
}
