import { counted, countedFree, formatBytes, formatBytesBeside } from '../units.ts';
import { missingLicence, type Need } from './need.ts';
import type { Refusal } from './refusal.ts';

const when = (fails: boolean, sentence: () => string): string | undefined =>
  fails ? sentence() : undefined;

/** The words for a site that would do and is full. */
export function noRoom(need: Need, free: Need): Refusal {
  const licence = missingLicence(need.licences, free.licences) ?? '';
  const short = [
    when(
      need.cpus > free.cpus,
      () => `needs ${counted(need.cpus, 'cpu')}, ${countedFree(free.cpus)}`,
    ),
    when(
      need.memoryBytes > free.memoryBytes,
      () =>
        `needs ${formatBytes(need.memoryBytes)}, ${formatBytesBeside(free.memoryBytes, need.memoryBytes)} are free`,
    ),
    when(
      need.gpus > free.gpus,
      () => `needs ${counted(need.gpus, 'GPU')}, ${countedFree(free.gpus)}`,
    ),
    when(
      need.diskBytes > free.diskBytes,
      () =>
        `needs ${formatBytes(need.diskBytes)} of disk, ${formatBytesBeside(free.diskBytes, need.diskBytes)} are free`,
    ),
    when(
      licence !== '',
      () =>
        `needs ${need.licences[licence]} of licence ${licence}, ${countedFree(free.licences[licence] ?? 0)}`,
    ),
  ].find((sentence) => sentence !== undefined);
  return { code: 'no-free-slots', detail: short ?? 'its backlog is full', lasting: false };
}
