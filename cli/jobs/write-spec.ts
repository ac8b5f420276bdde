import { formatDependency } from '../../core/job/dependency.ts';
import { outsidePath } from '../../core/job/outside.ts';
import type { JobSpec } from '../../core/job/spec.ts';
import { writeBytes, writeDuration } from '../../core/units.ts';

/** A spec as a person would write it, all defaults included: what `--dry-run` shows. Sizes are bytes with unit `B`. */
export function writeSpec(spec: JobSpec): Readonly<Record<string, unknown>> {
  const { resources } = spec;
  const optional = {
    disk: resources.diskBytes === 0 ? '' : writeBytes(resources.diskBytes),
    'gpu-model': resources.gpuModel,
    licences: resources.licences,
    'inputs-as': spec.inputsAs ?? '',
    stdin: spec.stdin,
    array: arrayText(spec.array),
    requirements: spec.requirements,
    rank: spec.rank,
    sites: spec.sites,
    'exclude-sites': spec.excludeSites,
    after: spec.after.map(formatDependency),
    'max-running': spec.maxRunning === undefined ? '' : String(spec.maxRunning),
    'retry-memory': spec.retryMemory === undefined ? '' : `x${spec.retryMemory}`,
    vo: spec.vo,
    group: spec.group ?? '',
    sandbox: spec.sandbox ?? '',
    network: spec.network ?? '',
    modules: spec.modules ?? [],
    image: spec.image ?? '',
  };
  const given = Object.entries(optional).filter(([, value]) => Object.keys(value).length > 0);
  return {
    name: spec.name,
    command: spec.command,
    env: spec.env,
    inputs: spec.inputs.map(({ from, to }) => ({ from: outsidePath(from) ?? from, to })),
    outputs: outputsOf(spec),
    cpus: resources.cpus,
    memory: writeBytes(resources.memoryBytes),
    gpus: resources.gpus,
    nodes: resources.nodes,
    walltime: writeDuration(resources.walltimeMs),
    retries: spec.retries,
    'on-lost': spec.onLost,
    ...Object.fromEntries(given),
  };
}

const outputsOf = ({ outputs, liveOutputs = [] }: JobSpec): readonly unknown[] =>
  outputs.map((path) => (liveOutputs.includes(path) ? { path, live: true } : path));

function arrayText(array: JobSpec['array']): string | readonly string[] {
  if (array === undefined) return '';
  if (array.kind === 'list') return array.values;
  return `${array.first}-${array.last}${array.step === 1 ? '' : `:${array.step}`}`;
}
