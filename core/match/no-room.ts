import { formatBytes } from '../units.ts';
import { missingLicence, type Need } from './need.ts';
import type { Refusal } from './refusal.ts';

const when = (fails: boolean, sentence: () => string): string | undefined =>
  fails ? sentence() : undefined;

/** The words for a site that would do and is full. */
export function noRoom(need: Need, free: Need): Refusal {
  const licence = missingLicence(need.licences, free.licences) ?? '';
  const short = [
    when(need.cpus > free.cpus, () => `needs ${need.cpus} cpus, ${free.cpus} are free`),
    when(
      need.memoryBytes > free.memoryBytes,
      () => `needs ${formatBytes(need.memoryBytes)}, ${formatBytes(free.memoryBytes)} are free`,
    ),
    when(need.gpus > free.gpus, () => `needs ${need.gpus} GPUs, ${free.gpus} are free`),
    when(
      need.diskBytes > free.diskBytes,
      () => `needs ${formatBytes(need.diskBytes)} of disk, ${formatBytes(free.diskBytes)} are free`,
    ),
    when(
      licence !== '',
      () =>
        `needs ${need.licences[licence]} of licence ${licence}, ${free.licences[licence] ?? 0} are free`,
    ),
  ].find((sentence) => sentence !== undefined);
  return { code: 'no-free-slots', detail: short ?? 'its backlog is full', lasting: false };
}
