import { withoutImage } from '../job/image.ts';
import { missingModule, modulesLike, type SoftwareDemand } from '../job/software.ts';
import type { Offer } from './offer.ts';

/** Why a site cannot give the modules of a job, for a refusal; undefined where it can. */
export function moduleFailure({ modules = [] }: SoftwareDemand, offer: Offer): string | undefined {
  const name = missingModule(modules, offer.modules);
  if (name === undefined) return undefined;
  return `needs module ${name}, offers ${modulesLike(name, offer.modules)}`;
}

/** Why a site cannot run the image of a job, for a refusal; undefined where it can. */
export function imageFailure({ image }: SoftwareDemand, offer: Offer): string | undefined {
  const instead = image === undefined ? undefined : withoutImage(image, offer.containers);
  return instead && `needs image ${image}, offers ${instead}`;
}
