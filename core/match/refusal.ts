import { formatFetchRules, unfetchedHost } from '../data/fetch-rules.ts';
import { isExposed, offeredSandbox } from '../job/sandbox.ts';
import type { Licences } from '../job/spec.ts';
import { counted, formatBytes, formatBytesBeside, formatDuration } from '../units.ts';
import { withoutAccount } from './accounts.ts';
import type { Ask, Rules } from './ask.ts';
import { hasGpuModel } from './gpu-model.ts';
import { missingLicence, type Need, NO_NEED, needOf, subtract } from './need.ts';
import type { LicencePool, Offer } from './offer.ts';
import { type QueueRefusal, queueRefusal, requirementVerdict } from './queue.ts';
import type { SiteView } from './site-view.ts';
import { imageFailure, moduleFailure } from './software.ts';

/** Why a site does not take an ask. */
export interface Refusal {
  readonly code: RefusalCode;
  /** One sentence with both values. */
  readonly detail: string;
  /** True when waiting cannot help: the site would have to change what it offers. */
  readonly lasting: boolean;
}

/** Whether an ask and an offer go together at all: the sentence of the refusal, or undefined when they do. */
interface LastingCheck {
  readonly code: string;
  readonly failure: (ask: Ask, offer: Offer, rules: Rules) => string | undefined;
}

/** Whether a site takes anything now. */
interface PassingCheck {
  readonly code: string;
  readonly failure: (site: SiteView, offer: Offer) => string | undefined;
}

const when = (fails: boolean, sentence: () => string): string | undefined =>
  fails ? sentence() : undefined;

const countsOf = (pools: readonly LicencePool[], which: 'total' | 'free'): Licences =>
  Object.fromEntries(pools.map((pool) => [pool.name, pool[which]]));

const total = (count: number, nodes: number, what: string): string =>
  `${counted(count, what)}${nodes > 1 ? ` on each of ${nodes} nodes` : ''}`;

/** The queues of a site fail in one way: that of the nearest. */
function queueCheck<C extends QueueRefusal['code']>(code: C): LastingCheck & { readonly code: C } {
  return {
    code,
    failure: (ask, offer) => {
      const refusal = queueRefusal(ask, offer);
      return refusal?.code === code ? refusal.detail : undefined;
    },
  };
}

/** Checks that no waiting mends, in the order in which they are reported. Lists are joined by commas. */
const LASTING = [
  {
    code: 'not-in-sites',
    failure: (ask, offer) =>
      when(
        ask.sites.length > 0 && !ask.sites.includes(offer.site),
        () => `the job names only ${ask.sites.join(', ')}`,
      ),
  },
  {
    code: 'excluded',
    failure: (ask, offer) =>
      when(ask.excludeSites.includes(offer.site), () => `the job excludes ${offer.site}`),
  },
  {
    code: 'vo-not-served',
    failure: (ask, offer) =>
      when(
        offer.vos.length > 0 && !offer.vos.includes(ask.vo),
        () => `the job runs under ${ask.vo}, the site serves ${offer.vos.join(', ')}`,
      ),
  },
  {
    code: 'no-account',
    failure: (ask, offer) => withoutAccount(offer.accounts, ask),
  },
  {
    code: 'too-many-nodes',
    failure: ({ resources }, offer) =>
      when(
        resources.nodes > Math.max(1, offer.maxNodes),
        () => `needs ${counted(resources.nodes, 'node')}, offers ${Math.max(1, offer.maxNodes)}`,
      ),
  },
  {
    code: 'too-few-cpus',
    failure: ({ resources }, offer) =>
      when(
        needOf(resources).cpus > offer.totalCpus,
        () => `needs ${total(resources.cpus, resources.nodes, 'cpu')}, offers ${offer.totalCpus}`,
      ),
  },
  {
    code: 'too-little-memory',
    failure: ({ resources }, offer) =>
      when(
        needOf(resources).memoryBytes > offer.totalMemoryBytes,
        () =>
          `needs ${formatBytes(needOf(resources).memoryBytes)}, offers ${formatBytesBeside(offer.totalMemoryBytes, needOf(resources).memoryBytes)}`,
      ),
  },
  {
    code: 'too-few-gpus',
    failure: ({ resources }, offer) =>
      when(
        needOf(resources).gpus > offer.totalGpus,
        () => `needs ${total(resources.gpus, resources.nodes, 'GPU')}, offers ${offer.totalGpus}`,
      ),
  },
  {
    code: 'no-such-gpu',
    failure: ({ resources: { gpuModel } }, { gpuModels }) =>
      when(
        gpuModel !== '' && !hasGpuModel(gpuModels, gpuModel),
        () => `needs a GPU of model ${gpuModel}, offers ${gpuModels.join(', ') || 'none'}`,
      ),
  },
  {
    code: 'too-little-disk',
    failure: ({ resources: { diskBytes } }, { totalDiskBytes }) =>
      when(
        diskBytes > totalDiskBytes,
        () =>
          `needs ${formatBytes(diskBytes)} of disk, offers ${formatBytesBeside(totalDiskBytes, diskBytes)}`,
      ),
  },
  {
    code: 'no-licence',
    failure: ({ resources: { licences } }, offer) => {
      const there = countsOf(offer.licences, 'total');
      const name = missingLicence(licences, there) ?? '';
      return when(
        name !== '',
        () => `needs ${licences[name]} of licence ${name}, offers ${there[name] ?? 0}`,
      );
    },
  },
  {
    code: 'walltime-too-long',
    failure: ({ resources }, offer) =>
      when(
        offer.maxWalltimeMs > 0 && resources.walltimeMs > offer.maxWalltimeMs,
        () =>
          `needs ${formatDuration(resources.walltimeMs)}, allows ${formatDuration(offer.maxWalltimeMs)}`,
      ),
  },
  {
    code: 'no-sandbox',
    failure: (ask, { features }) =>
      when(
        isExposed(features, ask),
        () => `needs sandbox ${ask.sandbox}, offers ${offeredSandbox(features)}`,
      ),
  },
  {
    code: 'no-module',
    failure: moduleFailure,
  },
  {
    code: 'no-image',
    failure: imageFailure,
  },
  {
    code: 'not-fetched',
    failure: ({ fetches = [] }, { fetchFrom }) => {
      if (fetchFrom === undefined) return undefined;
      const host = unfetchedHost(fetches, fetchFrom) ?? '';
      return when(
        host !== '',
        () => `needs a file from ${host}, fetches from ${formatFetchRules(fetchFrom)}`,
      );
    },
  },
  queueCheck('queue-lacks-gpu'),
  queueCheck('queue-too-small'),
  queueCheck('queue-too-short'),
  {
    code: 'requirements-false',
    failure: (ask, offer, rules) => {
      const { holds, reason } = requirementVerdict(ask, offer, rules);
      return when(!holds, () => reason || `\`${ask.requirements}\` does not hold at ${offer.site}`);
    },
  },
  {
    code: 'policy-refuses',
    failure: (ask, offer, rules) => {
      const { holds, reason } = rules.welcomes(offer, ask);
      return when(
        !holds,
        () => reason || `the site's policy \`${offer.policy}\` does not hold for ${ask.owner}`,
      );
    },
  },
] as const satisfies readonly LastingCheck[];

/**
 * Checks of what a site has. A closed one that has nothing, all its nodes being down for example, has more again when it is open:
 * until then nothing is said of its size.
 */
const OF_SIZE: ReadonlySet<string> = new Set<(typeof LASTING)[number]['code']>([
  'too-many-nodes',
  'too-few-cpus',
  'too-little-memory',
  'too-few-gpus',
  'no-such-gpu',
  'too-little-disk',
  'no-licence',
  'walltime-too-long',
  'queue-lacks-gpu',
  'queue-too-small',
  'queue-too-short',
  'requirements-false',
  'policy-refuses',
]);

/** Checks that may pass later, but for the last one: room. */
const PASSING = [
  {
    code: 'site-lost',
    failure: (site) =>
      when(site.status === 'lost', () => 'nothing has been heard of it for longer than its lease'),
  },
  {
    code: 'site-unreachable',
    failure: (site) =>
      when(site.status === 'unreachable', () => 'the broker has no connection to it now'),
  },
  {
    code: 'site-draining',
    failure: (site) =>
      when(site.status === 'draining', () => 'it finishes what it has and takes nothing new'),
  },
  {
    code: 'site-closed',
    failure: (_site, offer) =>
      when(offer.closedReason !== '', () => `the site takes nothing new: ${offer.closedReason}`),
  },
  {
    code: 'site-quarantined',
    failure: ({ quarantined, probe }) =>
      when(
        quarantined !== undefined && probe !== true,
        () => `the broker keeps tasks away from it: ${quarantined}`,
      ),
  },
] as const satisfies readonly PassingCheck[];

/** Stable codes of refusals; docs/errors.md lists them. */
export type RefusalCode =
  | (typeof LASTING)[number]['code']
  | (typeof PASSING)[number]['code']
  | 'site-unknown'
  | 'quota-reached'
  | 'site-reserved'
  | 'no-free-slots';

/** Codes in the order in which they are checked. */
export const REFUSAL_CODES: readonly RefusalCode[] = [
  'site-unknown',
  ...LASTING.map(({ code }) => code),
  ...PASSING.map(({ code }) => code),
  'quota-reached',
  'site-reserved',
  'no-free-slots',
];

/** The first check that fails, room left out; undefined when the site would take the ask if it had room. */
export function refusalOf(ask: Ask, site: SiteView, rules: Rules): Refusal | undefined {
  const { offer } = site;
  return (offer && lastingRefusal(ask, offer, rules)) ?? passingRefusal(site);
}

/**
 * Why an ask and an offer do not go together. What is free now is not looked at, but where an expression reads it; nor is the size
 * of a site that is closed and has nothing.
 */
export function lastingRefusal(ask: Ask, offer: Offer, rules: Rules): Refusal | undefined {
  const isEmpty = offer.closedReason !== '' && offer.totalCpus === 0;
  for (const { code, failure } of LASTING) {
    if (isEmpty && OF_SIZE.has(code)) continue;
    const detail = failure(ask, offer, rules);
    if (detail !== undefined) return { code, detail, lasting: true };
  }
  return undefined;
}

/** Why a site takes nothing at all now. */
export function passingRefusal(site: SiteView): Refusal | undefined {
  const { offer } = site;
  if (offer === undefined) {
    return {
      code: 'site-unknown',
      detail: 'it has not been heard of since the broker started',
      lasting: false,
    };
  }
  for (const { code, failure } of PASSING) {
    const detail = failure(site, offer);
    if (detail !== undefined) return { code, detail, lasting: false };
  }
  return undefined;
}

/** What the site could start now, nothing below zero. */
export function freeAt({ offer, reserved }: SiteView): Need {
  if (offer === undefined) return NO_NEED;
  const free: Need = {
    cpus: offer.freeCpus,
    memoryBytes: offer.freeMemoryBytes,
    gpus: offer.freeGpus,
    diskBytes: offer.freeDiskBytes,
    licences: countsOf(offer.licences, 'free'),
  };
  return subtract(free, reserved);
}
