import { basename } from 'node:path';
import { GridError } from '../../core/errors.ts';
import { siteId } from '../../core/ids.ts';
import type { Offer } from '../../core/match/offer.ts';
import type { ShareNode } from '../../core/share/shares.ts';
import {
  draftJobs,
  expectedTasks,
  MAX_SIM_TASKS,
  orderJobs,
  ownerOf,
  type Stream,
} from '../../core/simulate/workload.ts';
import type { SchedulingPolicy, ShareSetting, SimSite, World } from '../../core/simulate/world.ts';
import { loadConfig } from '../config.ts';
import { SCENARIO, type WrittenScenario } from './scenario-schema.ts';
import { readTrace, remarksOn, resourcesOf, traceJobs } from './trace-file.ts';

/** What the command line says over the file. */
export interface ScenarioOverrides {
  readonly seed: number | undefined;
  readonly untilMs: number | undefined;
  /** Traces beside the file's own. */
  readonly traces: readonly string[];
}

/** A scenario, ready to be simulated. */
export interface Scenario {
  readonly world: World;
  readonly policies: readonly SchedulingPolicy[];
  /** What a reader of the report should know about the traces. */
  readonly remarks: readonly string[];
}

/** Most sites of one scenario, counted ones as many. */
const MAX_SITES = 10_000;
const GIB = 2 ** 30;

/** Reads a scenario and makes its workload; throws SCENARIO_INVALID or TRACE_INVALID with every fault at its line. */
export function loadScenario(file: string, overrides: ScenarioOverrides): Scenario {
  const schema = SCENARIO.superRefine((written, context) => {
    for (const { path, message } of problemsOf(written))
      context.addIssue({ code: 'custom', path: [...path], message });
  });
  const { config } = loadConfig(schema, file, 'SCENARIO_INVALID');
  const seed = overrides.seed ?? config.seed;
  const sites = config.sites.flatMap(sitesOf);
  const slowest = Math.min(...sites.map(({ speed }) => speed));
  const horizonMs = config.horizon ?? Number.POSITIVE_INFINITY;
  const traces = [...(config.trace === undefined ? [] : [config.trace]), ...overrides.traces];
  const read = traces.map((name) => ({ name: basename(name), trace: readTrace(name) }));
  const drafts = [
    ...config.workload.flatMap((written, index) =>
      draftJobs(streamOf(written), { seed, horizonMs, slowest }, index),
    ),
    ...read.flatMap(({ trace }) => traceJobs(trace, horizonMs, slowest)),
  ];
  if (drafts.length === 0) throw invalid(file, 'there is no job: give a workload or a trace');
  return {
    world: {
      seed,
      sites,
      jobs: orderJobs(drafts),
      shares: config.shares.map(shareOf),
      untilMs: overrides.untilMs ?? config.until ?? Number.POSITIVE_INFINITY,
    },
    policies: config.policies.map(policyOf),
    remarks: read.flatMap(({ name, trace }) => remarksOn(name, trace)),
  };
}

const invalid = (file: string, message: string): GridError =>
  new GridError('SCENARIO_INVALID', `${file} has 1 fault`, {
    problems: [{ where: file, message }],
  });

interface Fault {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** What is wrong across keys. */
function problemsOf(written: WrittenScenario): readonly Fault[] {
  const { sites, policies } = written;
  const siteCount = sites.reduce((total, { count = 1 }) => total + count, 0);
  return [
    ...(siteCount > MAX_SITES
      ? [{ path: ['sites'], message: `${siteCount} sites, at most ${MAX_SITES}` }]
      : []),
    ...repeated('sites', 'id', sites.flatMap(idsOf)),
    ...repeated(
      'policies',
      'name',
      policies.map(({ name }, index) => ({ name, index })),
    ),
    ...workloadFaults(written),
  ];
}

interface Named {
  readonly name: string;
  readonly index: number;
}

function repeated(list: string, key: string, names: readonly Named[]): readonly Fault[] {
  const seen = new Map<string, number>();
  return names.flatMap(({ name, index }) => {
    const first = seen.get(name);
    if (first === undefined) seen.set(name, index);
    return first === undefined || first === index
      ? []
      : [{ path: [list, index, key], message: `'${name}' is there twice` }];
  });
}

function workloadFaults({ workload, horizon }: WrittenScenario): readonly Fault[] {
  const horizonMs = horizon ?? Number.POSITIVE_INFINITY;
  const streams = workload.map(streamOf);
  const endless = streams.flatMap(({ arrival, count }, index) =>
    arrival.kind !== 'at' && count === Number.POSITIVE_INFINITY && horizon === undefined
      ? [
          {
            path: ['workload', index, 'arrival'],
            message: 'it would never end: give a count, or the scenario a horizon',
          },
        ]
      : [],
  );
  if (endless.length > 0) return endless;
  const tasks = streams.map((stream) => expectedTasks(stream, horizonMs));
  const total = tasks.reduce((all, some) => all + some, 0);
  if (total <= MAX_SIM_TASKS) return [];
  const largest = tasks.indexOf(Math.max(...tasks));
  const words = `about ${Math.round(total)} tasks in all, ${Math.round(tasks[largest] ?? 0)} of them here, at most ${MAX_SIM_TASKS}`;
  return [{ path: ['workload', largest], message: words }];
}

type WrittenSite = WrittenScenario['sites'][number];

/** `campus`, or `campus-1`, `campus-2` ... where there is a count. */
function idsOf({ id, count }: WrittenSite, index: number): readonly Named[] {
  if (count === undefined) return [{ name: id, index }];
  return Array.from({ length: count }, (_, nth) => ({ name: `${id}-${nth + 1}`, index }));
}

function sitesOf(written: WrittenSite, index: number): readonly SimSite[] {
  const { speed, failure, outages } = written;
  return idsOf(written, index).map(({ name }) => ({
    offer: offerOf(name, written),
    speed,
    failure,
    outages: outages.map(({ kind, at, for: forMs }) => ({ kind, fromMs: at, toMs: at + forMs })),
  }));
}

function offerOf(id: string, written: WrittenSite): Offer {
  const { cpus, gpus, features, vos, policy, backlog, price } = written;
  const memoryBytes = written.memory ?? 4 * GIB * cpus;
  return {
    site: siteId(id),
    gatewayVersion: 'simulated',
    lrms: 'simulated',
    arch: 'x86_64',
    os: 'linux',
    features,
    totalCpus: cpus,
    freeCpus: cpus,
    totalMemoryBytes: memoryBytes,
    freeMemoryBytes: memoryBytes,
    totalGpus: gpus,
    freeGpus: gpus,
    maxNodes: 1,
    maxWalltimeMs: written['max-walltime'] ?? 0,
    vos,
    policy,
    backlog,
    nkey: '',
    warmTrees: [],
    closedReason: '',
    admins: [],
    totalDiskBytes: 0,
    freeDiskBytes: 0,
    gpuModels: [],
    licences: [],
    queues: [],
    price,
    expectedWaitMs: 0,
    accounts: [],
    modules: [],
  };
}

function streamOf(written: WrittenScenario['workload'][number]): Stream {
  const { user, vo, arrival, array, runtime, cpus, gpus, requirements, rank } = written;
  const { memory: memoryBytes, walltime: walltimeMs = 0 } = written;
  return {
    user,
    vo,
    group: written.group ?? `/${vo}`,
    arrival,
    startMs: written.start,
    count: written.count ?? (arrival.kind === 'at' ? 1 : Number.POSITIVE_INFINITY),
    array,
    runtime,
    resources: resourcesOf({ cpus, memoryBytes, gpus, walltimeMs }),
    requirements,
    rank,
  };
}

function shareOf(written: WrittenScenario['shares'][number]): ShareSetting {
  const { vo, user, group = `/${vo}`, weight } = written;
  const node: ShareNode =
    user === undefined
      ? written.group === undefined
        ? [vo]
        : [vo, group]
      : [vo, group, ownerOf(user)];
  return { node, weight, runningCpus: written['max-cpus'] };
}

const policyOf = (written: WrittenScenario['policies'][number]): SchedulingPolicy => ({
  name: written.name,
  fairShare: written['fair-share'],
  halfLifeMs: written['half-life'],
  reservations: written.reservations,
  backlog: written.backlog,
  rank: written.rank,
  roundIntervalMs: written['round-interval'],
});
