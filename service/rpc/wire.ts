import { boundedWords, MOST_REASON_BYTES } from '../../core/words.ts';
/**
 * Wire <-> domain, the only place where generated types and `core/` types meet. Decoding is strict: an enum value
 * that is unset or unknown is refused, because guessing would turn a truncated message into another request.
 */

import type { TreeRef } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';
import { dn, jobId, siteId, voName } from '../../core/ids.ts';
import type { LiveOutputs } from '../../core/job/live-outputs.ts';
import type { Outcome } from '../../core/job/outcome.ts';
import type { ArraySpec, Condition, Dependency, JobSpec } from '../../core/job/spec.ts';
import type { JobState } from '../../core/job/state.ts';
import type { Offer } from '../../core/match/offer.ts';
import type { Caller } from '../../core/vo/caller.ts';
import { formatFqan, parseFqan } from '../../core/vo/fqan.ts';
import * as pb from '../../proto/gen/grid/v1/common.ts';
import { sandboxFromWire, sandboxToWire } from './sandbox-wire.ts';

const STATE_OF_WIRE: ReadonlyMap<pb.State, JobState> = new Map([
  [pb.State.STATE_QUEUED, 'queued'],
  [pb.State.STATE_MATCHED, 'matched'],
  [pb.State.STATE_STAGING_IN, 'staging-in'],
  [pb.State.STATE_SUBMITTED, 'submitted'],
  [pb.State.STATE_RUNNING, 'running'],
  [pb.State.STATE_STAGING_OUT, 'staging-out'],
  [pb.State.STATE_DONE, 'done'],
  [pb.State.STATE_FAILED, 'failed'],
  [pb.State.STATE_CANCELLED, 'cancelled'],
  [pb.State.STATE_HELD, 'held'],
  [pb.State.STATE_SUSPENDED, 'suspended'],
]);
const WIRE_OF_STATE = new Map([...STATE_OF_WIRE].map(([wire, state]) => [state, wire]));

const FAILURE_OF_WIRE: ReadonlyMap<pb.FailureKind, Outcome['failure']> = new Map([
  [pb.FailureKind.FAILURE_KIND_UNSPECIFIED, undefined],
  [pb.FailureKind.FAILURE_KIND_JOB, 'job'],
  [pb.FailureKind.FAILURE_KIND_LIMIT, 'limit'],
  [pb.FailureKind.FAILURE_KIND_SITE, 'site'],
  [pb.FailureKind.FAILURE_KIND_DATA, 'data'],
  [pb.FailureKind.FAILURE_KIND_CREDENTIAL, 'credential'],
  [pb.FailureKind.FAILURE_KIND_OWNER, 'owner'],
]);
const WIRE_OF_FAILURE = new Map([...FAILURE_OF_WIRE].map(([wire, kind]) => [kind, wire]));

function known<K, V>(map: ReadonlyMap<K, V>, key: K, what: string): V {
  const value = map.get(key);
  if (value === undefined && !map.has(key)) {
    throw new GridError('REQUEST_INVALID', `${what} ${String(key)} is not known to this version`);
  }
  return value as V;
}

/** Throws REQUEST_INVALID for a state that is unset or unknown. */
export const stateFromWire = (state: pb.State): JobState => known(STATE_OF_WIRE, state, 'state');
export const stateToWire = (state: JobState): pb.State => known(WIRE_OF_STATE, state, 'state');

const CONDITION_OF_WIRE: ReadonlyMap<pb.Condition, Condition> = new Map([
  [pb.Condition.CONDITION_OK, 'ok'],
  [pb.Condition.CONDITION_ANY, 'any'],
  [pb.Condition.CONDITION_NOT_OK, 'not-ok'],
]);
const WIRE_OF_CONDITION = new Map([...CONDITION_OF_WIRE].map(([wire, when]) => [when, wire]));

/** Clients from before there were conditions leave it unset and mean `ok`. */
export const dependencyFromWire = ({ jobId: id, condition }: pb.Dependency): Dependency => ({
  job: jobId(id),
  when:
    condition === pb.Condition.CONDITION_UNSPECIFIED
      ? 'ok'
      : known(CONDITION_OF_WIRE, condition, 'condition'),
});

export const dependencyToWire = ({ job, when }: Dependency): pb.Dependency => ({
  jobId: job,
  condition: known(WIRE_OF_CONDITION, when, 'condition'),
});

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export function treeFromWire(tree: pb.TreeRef | undefined): TreeRef {
  if (tree === undefined) return { digest: '', totalBytes: 0, files: 0 };
  const { totalBytes, files } = tree;
  if (tree.digest.length !== 0 && tree.digest.length !== 32) {
    throw new GridError('REQUEST_INVALID', `tree digest has ${tree.digest.length} bytes, not 32`);
  }
  const manifest = tree.manifest.length > 0 ? { manifest: new Uint8Array(tree.manifest) } : {};
  return { digest: hex(tree.digest), totalBytes, files, ...manifest };
}

export function treeToWire(tree: TreeRef): pb.TreeRef {
  return {
    digest: Buffer.from(tree.digest, 'hex'),
    totalBytes: tree.totalBytes,
    files: tree.files,
    manifest: Buffer.from(tree.manifest ?? []),
  };
}

function arrayFromWire(array: pb.ArraySpec): ArraySpec {
  if (array.values.length > 0) return { kind: 'list', values: array.values };
  return { kind: 'range', first: array.first, last: array.last, step: array.step };
}

function arrayToWire(array: ArraySpec): pb.ArraySpec {
  if (array.kind === 'list') return { first: 0, last: 0, step: 0, values: [...array.values] };
  return { first: array.first, last: array.last, step: array.step, values: [] };
}

/** Shapes only: bounds are checked by core/job/check-spec.ts. */
export function specFromWire(spec: pb.JobSpec | undefined): JobSpec {
  if (spec?.resources === undefined)
    throw new GridError('REQUEST_INVALID', 'job has no spec or no resources');
  return {
    name: spec.name,
    command: spec.command,
    env: spec.env,
    inputs: spec.inputs,
    ...(spec.copyInputs ? { inputsAs: 'copy' } : {}),
    outputs: spec.outputs,
    ...(spec.liveOutputs.length === 0 ? {} : { liveOutputs: spec.liveOutputs }),
    resources: { ...spec.resources },
    requirements: spec.requirements,
    rank: spec.rank,
    ...(spec.array === undefined ? {} : { array: arrayFromWire(spec.array) }),
    after: spec.after.map(dependencyFromWire),
    retries: spec.retries,
    ...(spec.maxRunning === 0 ? {} : { maxRunning: spec.maxRunning }),
    ...(spec.retryMemory === 0 ? {} : { retryMemory: spec.retryMemory }),
    ...(spec.group === '' ? {} : { group: spec.group }),
    ...sandboxFromWire(spec),
    ...(spec.modules.length === 0 ? {} : { modules: spec.modules }),
    ...(spec.image === '' ? {} : { image: spec.image }),
    vo: voName(spec.vo),
    sites: spec.sites.map(siteId),
    excludeSites: spec.excludeSites.map(siteId),
    stdin: spec.stdin,
    onLost: spec.onLost === pb.OnLost.ON_LOST_KEEP ? 'keep' : 'release',
  };
}

export function specToWire(spec: JobSpec): pb.JobSpec {
  return {
    name: spec.name,
    command: [...spec.command],
    env: { ...spec.env },
    inputs: spec.inputs.map(({ from, to }) => ({ from, to })),
    copyInputs: spec.inputsAs === 'copy',
    outputs: [...spec.outputs],
    liveOutputs: [...(spec.liveOutputs ?? [])],
    resources: { ...spec.resources, licences: { ...spec.resources.licences } },
    requirements: spec.requirements,
    rank: spec.rank,
    array: spec.array === undefined ? undefined : arrayToWire(spec.array),
    after: spec.after.map(dependencyToWire),
    retries: spec.retries,
    maxRunning: spec.maxRunning ?? 0,
    retryMemory: spec.retryMemory ?? 0,
    group: spec.group ?? '',
    ...sandboxToWire(spec),
    modules: [...(spec.modules ?? [])],
    image: spec.image ?? '',
    vo: spec.vo,
    sites: [...spec.sites],
    excludeSites: [...spec.excludeSites],
    stdin: spec.stdin,
    onLost: spec.onLost === 'keep' ? pb.OnLost.ON_LOST_KEEP : pb.OnLost.ON_LOST_RELEASE,
  };
}

export function offerFromWire(offer: pb.Offer): Offer {
  const { site, vos, admins, warmTrees, fetchFrom, ...rest } = offer;
  return {
    ...rest,
    site: siteId(site),
    vos: vos.map(voName),
    admins: admins.map(dn),
    warmTrees: warmTrees.map(hex),
    ...(fetchFrom === undefined ? {} : { fetchFrom: fetchFrom.rules }),
  };
}

export function offerToWire(offer: Offer): pb.Offer {
  return {
    ...offer,
    features: [...offer.features],
    vos: [...offer.vos],
    admins: [...offer.admins],
    warmTrees: offer.warmTrees.map((digest) => Buffer.from(digest, 'hex')),
    gpuModels: [...offer.gpuModels],
    modules: [...offer.modules],
    fetchFrom:
      offer.fetchFrom === undefined
        ? undefined
        : { rules: offer.fetchFrom.map((rule) => ({ ...rule })) },
    containers: offer.containers && { ...offer.containers, images: [...offer.containers.images] },
    accounts: offer.accounts.map((rule) => ({ ...rule })),
    licences: offer.licences.map((pool) => ({ ...pool })),
    queues: offer.queues.map((queue) => ({
      ...queue,
      features: [...queue.features],
      gpuModels: [...queue.gpuModels],
      kinds: queue.kinds.map((kind) => ({ ...kind, gpuModels: [...kind.gpuModels] })),
    })),
  };
}

export function outcomeFromWire(outcome: pb.Outcome): Outcome {
  const failure = known(FAILURE_OF_WIRE, outcome.failure, 'failure kind');
  return {
    exitCode: outcome.exitCode,
    signal: outcome.signal,
    ...(failure === undefined ? {} : { failure }),
    reason: boundedWords(outcome.reason, MOST_REASON_BYTES),
    detail: boundedWords(outcome.detail),
    usage: outcome.usage ?? { cpuMs: 0, wallMs: 0, peakMemoryBytes: 0, bytesIn: 0, bytesOut: 0 },
    outputs: treeFromWire(outcome.outputs),
  };
}

export function outcomeToWire(outcome: Outcome): pb.Outcome {
  return {
    exitCode: outcome.exitCode,
    signal: outcome.signal,
    failure: known(WIRE_OF_FAILURE, outcome.failure, 'failure kind'),
    reason: boundedWords(outcome.reason, MOST_REASON_BYTES),
    detail: boundedWords(outcome.detail),
    usage: { ...outcome.usage },
    outputs: treeToWire(outcome.outputs),
  };
}

export const liveFromWire = ({ tree, atMs, trouble }: pb.LiveOutputs): LiveOutputs => ({
  tree: treeFromWire(tree),
  atMs,
  trouble: boundedWords(trouble),
});

/** Made by an attempt at a site, as far as that needs to be said. */
export const liveToWire = (
  { tree, atMs, trouble }: LiveOutputs,
  { attempt = '', site = '' }: { readonly attempt?: string; readonly site?: string } = {},
): pb.LiveOutputs => ({ tree: treeToWire(tree), atMs, trouble, attemptId: attempt, site });

/** Caller as a broker vouches for it to a gateway; attributes that do not parse are refused. */
export function callerFromWire(caller: pb.Caller | undefined): Caller {
  const fqans = (caller?.fqans ?? []).map((text) => {
    const fqan = parseFqan(text);
    if (fqan === undefined) throw new GridError('REQUEST_INVALID', `'${text}' is no FQAN`);
    return fqan;
  });
  return { dn: dn(caller?.dn ?? ''), fqans };
}

/** `vo` is the one that the caller acts under; '' where none is needed. */
export function callerToWire(caller: Caller, vo: string): pb.Caller {
  return { dn: caller.dn, vo, fqans: caller.fqans.map(formatFqan) };
}
