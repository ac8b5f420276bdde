import { sum } from '../sum.ts';
import type { Offer, Queue } from './offer.ts';

/** More than any site lists, of each kind. */
const MOST_LISTED = 10_000;
/** UTF-16 units. */
const MOST_NAME = 4_096;
const MOST_POLICY = 65_536;

/** All of an offer that may be long. */
const NOTHING = {
  gatewayVersion: '',
  lrms: '',
  arch: '',
  os: '',
  nkey: '',
  policy: '',
  features: [],
  vos: [],
  warmTrees: [],
  admins: [],
  gpuModels: [],
  licences: [],
  queues: [],
  accounts: [],
  modules: [],
  fetchFrom: [],
  containers: undefined,
} satisfies Partial<Offer>;

/** The offer without whatever may be long. */
export const emptied = (offer: Offer): Offer => ({ ...offer, ...NOTHING });

/** What is more than the broker keeps of a site and looks through in each round; undefined for what any site has. */
export function excessOf(offer: Offer): string | undefined {
  const lists = Object.entries(listsOf(offer));
  const long = lists.find(([, list]) => list.length > MOST_LISTED);
  if (long !== undefined) return `${long[1].length} ${long[0]}`;
  const queue = offer.queues.map(excessOfQueue).find((excess) => excess !== undefined);
  if (queue !== undefined) return queue;
  const name = namesOf(offer).find(({ length }) => length > MOST_NAME);
  if (name !== undefined) return `a name of ${name.length} characters`;
  const { length } = offer.policy;
  return length > MOST_POLICY ? `a policy of ${length} characters` : undefined;
}

function excessOfQueue({ features, gpuModels, kinds }: Queue): string | undefined {
  if (features.length + gpuModels.length > MOST_LISTED)
    return `a queue with ${features.length} features and ${gpuModels.length} GPU models`;
  const models = sum(kinds.map((kind) => kind.gpuModels.length));
  return kinds.length + models > MOST_LISTED
    ? `a queue with ${kinds.length} kinds of nodes and ${models} models of their GPUs`
    : undefined;
}

/** By what people call them. */
const listsOf = (offer: Offer): Readonly<Record<string, readonly unknown[]>> => ({
  features: offer.features,
  VOs: offer.vos,
  'warm trees': offer.warmTrees,
  administrators: offer.admins,
  'GPU models': offer.gpuModels,
  licences: offer.licences,
  queues: offer.queues,
  'rules for accounts': offer.accounts,
  modules: offer.modules,
  'hosts to fetch from': offer.fetchFrom ?? [],
  images: offer.containers?.images ?? [],
});

const namesOf = (offer: Offer): readonly string[] => [
  offer.gatewayVersion,
  offer.lrms,
  offer.arch,
  offer.os,
  offer.nkey,
  ...offer.features,
  ...offer.vos,
  ...offer.admins,
  ...offer.gpuModels,
  ...offer.modules,
  ...offer.warmTrees,
  ...offer.licences.map(({ name }) => name),
  ...offer.queues.flatMap(({ name, features, gpuModels, kinds }) => [
    name,
    ...features,
    ...gpuModels,
    ...kinds.flatMap((kind) => kind.gpuModels),
  ]),
  ...offer.accounts.flatMap(({ dn, fqan }) => [dn, fqan]),
  ...(offer.fetchFrom ?? []).map(({ host }) => host),
  ...(offer.containers === undefined ? [] : [offer.containers.runtime, ...offer.containers.images]),
];
