import { formatDependency } from '../core/job/dependency.ts';
import type { JobSpec } from '../core/job/spec.ts';

/** A spec as a person would write it, all defaults included: what `--dry-run` shows. Sizes are bytes with unit `B`. */
export function writeSpec(spec: JobSpec): Readonly<Record<string, unknown>> {
  const { resources } = spec;
  const optional = {
    disk: resources.diskBytes === 0 ? '' : sizeText(resources.diskBytes),
    'gpu-model': resources.gpuModel,
    licences: resources.licences,
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
  };
  const given = Object.entries(optional).filter(([, value]) => Object.keys(value).length > 0);
  return {
    name: spec.name,
    command: spec.command,
    env: spec.env,
    inputs: spec.inputs,
    outputs: spec.outputs,
    cpus: resources.cpus,
    memory: sizeText(resources.memoryBytes),
    gpus: resources.gpus,
    nodes: resources.nodes,
    walltime: timeText(resources.walltimeMs),
    retries: spec.retries,
    'on-lost': spec.onLost,
    ...Object.fromEntries(given),
  };
}

function arrayText(array: JobSpec['array']): string | readonly string[] {
  if (array === undefined) return '';
  if (array.kind === 'list') return array.values;
  return `${array.first}-${array.last}${array.step === 1 ? '' : `:${array.step}`}`;
}

/** Exact, in the largest unit that divides it. */
function sizeText(bytes: number): string {
  const units = ['B', 'K', 'M', 'G', 'T'];
  let value = bytes;
  let unit = 0;
  while (value % 1024 === 0 && value > 0 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value}${units[unit]}`;
}

/** Exact, for instance `1h30m`. */
function timeText(ms: number): string {
  const parts: readonly (readonly [number, string])[] = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'm'],
    [1_000, 's'],
    [1, 'ms'],
  ];
  let rest = ms;
  let text = '';
  for (const [size, unit] of parts) {
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}
