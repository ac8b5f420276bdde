import { formatFetchRules } from '../../core/data/fetch-rules.ts';
import type { Containers } from '../../core/job/image.ts';
import { offeredSandbox } from '../../core/job/sandbox.ts';
import type { Offer } from '../../core/match/offer.ts';
import { formatBytes, formatDuration } from '../../core/units.ts';

/** What a site offers, a line each for people; '' for what it has nothing of. */
export const offeredFacts = (offer: Offer): readonly (readonly [string, string])[] => [
  ['batch system', offer.lrms],
  ['cpus', `${offer.freeCpus} of ${offer.totalCpus} free`],
  ['memory', memoryText(offer)],
  ['expected wait', waitText(offer)],
  ['sandbox', sandboxText(offer)],
  ['fetches from', offer.fetchFrom === undefined ? '' : formatFetchRules(offer.fetchFrom)],
  ['modules', modulesText(offer.modules)],
  ['images', imagesText(offer.containers)],
];

/** Only `fork` has classes; a batch system keeps tasks apart by its own means. */
function sandboxText({ lrms, features }: Offer): string {
  const best = offeredSandbox(features);
  if (lrms !== 'fork') return '';
  return best === 'account' ? 'account: why no more is in the log of the gateway' : best;
}

const modulesText = (modules: readonly string[]): string =>
  modules.length <= SHOWN_MODULES
    ? modules.join(', ')
    : `${modules.slice(0, SHOWN_MODULES).join(', ')} and ${modules.length - SHOWN_MODULES} more`;

const SHOWN_MODULES = 10;

/** `podman`, `apptainer: ghcr.io/lab/ only`. */
const imagesText = (containers: Containers | undefined): string => {
  if (containers === undefined) return '';
  const { runtime, images } = containers;
  return images.length === 0 ? runtime : `${runtime}: ${images.join(', ')} only`;
};

const memoryText = ({ freeMemoryBytes, totalMemoryBytes }: Offer): string =>
  `${formatBytes(freeMemoryBytes)} of ${formatBytes(totalMemoryBytes)} free`;

/** '' where a task would not wait, and where the batch system lets nobody tell. */
const waitText = ({ expectedWaitMs }: Offer): string =>
  expectedWaitMs === 0 ? '' : `${formatDuration(expectedWaitMs)} for a task that comes now`;
