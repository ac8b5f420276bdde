import type { Licences, Resources } from '../job/spec.ts';

/** What a task takes from a site, or what a site has left. A round adds and compares these 10^5 times. */
export interface Need {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly gpus: number;
  readonly diskBytes: number;
  /** `NO_LICENCES` itself where there are none: then nobody looks into it. */
  readonly licences: Licences;
}

const NO_LICENCES: Licences = Object.freeze({});

export const NO_NEED: Need = Object.freeze({
  cpus: 0,
  memoryBytes: 0,
  gpus: 0,
  diskBytes: 0,
  licences: NO_LICENCES,
});

/** All of a task's nodes together. */
export const needOf = (asked: Resources): Need => ({
  cpus: asked.cpus * asked.nodes,
  memoryBytes: asked.memoryBytes * asked.nodes,
  gpus: asked.gpus * asked.nodes,
  diskBytes: asked.diskBytes,
  licences: Object.keys(asked.licences).length === 0 ? NO_LICENCES : asked.licences,
});

export const add = (a: Need, b: Need): Need => ({
  cpus: a.cpus + b.cpus,
  memoryBytes: a.memoryBytes + b.memoryBytes,
  gpus: a.gpus + b.gpus,
  diskBytes: a.diskBytes + b.diskBytes,
  licences: b.licences === NO_LICENCES ? a.licences : counted(a.licences, b.licences, 1),
});

/** What is left, nothing below zero. */
export const subtract = (free: Need, need: Need): Need => ({
  cpus: Math.max(0, free.cpus - need.cpus),
  memoryBytes: Math.max(0, free.memoryBytes - need.memoryBytes),
  gpus: Math.max(0, free.gpus - need.gpus),
  diskBytes: Math.max(0, free.diskBytes - need.diskBytes),
  licences:
    need.licences === NO_LICENCES ? free.licences : counted(free.licences, need.licences, -1),
});

/** Whether `need` fits in `free`. */
export const fits = (need: Need, free: Need): boolean =>
  need.cpus <= free.cpus &&
  need.memoryBytes <= free.memoryBytes &&
  need.gpus <= free.gpus &&
  need.diskBytes <= free.diskBytes &&
  (need.licences === NO_LICENCES || missingLicence(need.licences, free.licences) === undefined);

/** The first licence of which there are too few. */
export const missingLicence = (wanted: Licences, there: Licences): string | undefined =>
  Object.keys(wanted).find((name) => (wanted[name] ?? 0) > (there[name] ?? 0));

function counted(counts: Licences, change: Licences, sign: 1 | -1): Licences {
  const sum: Record<string, number> = { ...counts };
  for (const [name, count] of Object.entries(change))
    sum[name] = Math.max(0, (sum[name] ?? 0) + sign * count);
  return sum;
}
