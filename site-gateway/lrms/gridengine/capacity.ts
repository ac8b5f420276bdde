import { sum } from '../../../core/sum.ts';
import { BatchSilence } from '../batch/batch-command.ts';
import type { Capacity } from '../lrms.ts';
import { kindsOf } from '../node-kinds.ts';
import { reachOf } from './parallel.ts';
import type { ClusterQueue, Complex, HostComplexes, ParallelEnvironment } from './qconf.ts';
import { amountOf, type JobLine, type QueueInstance } from './qstat.ts';
import { parseBytes, parseTime } from './units.ts';

/** Of which complexes memory and GPUs are taken; undefined where the site has none for it. */
interface Measures {
  readonly memory: Complex | undefined;
  readonly gpus: Complex | undefined;
  /** Of licences, by the grid's names. */
  readonly licences?: Readonly<Record<string, Complex>>;
}

/** What changes seldom. */
export interface Layout {
  /** Queues that the site uses, best first. */
  readonly queues: readonly ClusterQueue[];
  readonly environments: readonly ParallelEnvironment[];
  /** By host, as far as it is known. */
  readonly hosts: ReadonlyMap<string, HostComplexes>;
  readonly measures: Measures;
}

/** The queues that the site uses; all that take batch jobs where it names none. */
export function choose(
  queues: readonly ClusterQueue[],
  wanted: readonly string[],
): readonly ClusterQueue[] {
  if (wanted.length === 0) {
    const found = queues.filter(({ isBatch }) => isBatch);
    if (found.length === 0) throw new BatchSilence('no queue takes batch jobs');
    return found;
  }
  return wanted.map((name) => {
    const found = queues.find((queue) => queue.name === name);
    if (found === undefined) throw new BatchSilence(`there is no queue '${name}'`);
    return found;
  });
}

/** Not heard of, disabled by hand or calendar, in error, suspended, or a leftover: it runs nothing of ours. */
const UNUSABLE = /[udDEsSCoc]/;
/** Overloaded: what it has is there, but not now. */
const ALARM = /[aA]/;
const isUp = ({ state }: QueueInstance): boolean => !UNUSABLE.test(state);

/** '' where an instance of at least one queue is up. */
export function closedReason(instances: readonly QueueInstance[], { queues }: Layout): string {
  const ours = instances.filter(({ queue }) => queues.some(({ name }) => name === queue));
  if (ours.some(isUp)) return '';
  const states = ours.map(({ queue, host, state }) => `${queue}@${host} is ${state}`);
  const names = queues.map(({ name }) => name).join(', ');
  return states.length === 0 ? `no host is in ${names}` : states.slice(0, 5).join(', ');
}

/** A host that is up in a queue of the site. */
interface Host {
  readonly name: string;
  readonly instances: readonly QueueInstance[];
  readonly slots: number;
  readonly freeSlots: number;
  readonly ourSlots: number;
  readonly memoryBytes: number;
  readonly usableMemoryBytes: number;
  readonly gpus: number;
  readonly usableGpus: number;
}

/** What is disabled, in error or not heard of does not count. What our own jobs have stays usable: the gateway knows of those. */
export function capacityOf(instances: readonly QueueInstance[], layout: Layout): Capacity {
  const names = layout.queues.map(({ name }) => name);
  const up = instances.filter((one) => isUp(one) && names.includes(one.queue));
  const all = Map.groupBy(instances, ({ host }) => host);
  const hosts = [...Map.groupBy(up, ({ host }) => host)].map(([name, own]) =>
    hostOf(name, own, { all: all.get(name) ?? [], layout }),
  );
  const total = (count: (host: Host) => number): number => sum(hosts.map(count));
  const queues = layout.queues.map((queue, at) => ({
    ...queueOf(queue, hosts, layout),
    isDefault: at === 0,
  }));
  const times = queues.map(({ maxWalltimeMs }) => maxWalltimeMs);
  return {
    cpus: total(({ slots }) => slots),
    memoryBytes: total(({ memoryBytes }) => memoryBytes),
    gpus: total(({ gpus }) => gpus),
    usableCpus: total(({ slots, freeSlots, ourSlots }) => Math.min(slots, freeSlots + ourSlots)),
    usableMemoryBytes: total(({ usableMemoryBytes }) => usableMemoryBytes),
    usableGpus: total(({ usableGpus }) => usableGpus),
    maxNodes: Math.max(1, ...queues.map(({ maxNodes }) => maxNodes)),
    maxWalltimeMs: times.includes(0) ? 0 : Math.max(0, ...times),
    queues,
  };
}

interface Around {
  /** Of every queue on the host. */
  readonly all: readonly QueueInstance[];
  readonly layout: Layout;
}

function hostOf(name: string, instances: readonly QueueInstance[], { all, layout }: Around): Host {
  const configured = layout.hosts.get(name) ?? {};
  const ofQueues = sum(instances.map(({ slotsTotal }) => slotsTotal));
  const slots = Math.min(ofQueues, configured['slots'] ?? ofQueues);
  const free = sum(instances.map(freeSlotsOf));
  const used = sum(all.map(({ slotsUsed, slotsReserved }) => slotsUsed + slotsReserved));
  const ours = all.flatMap(({ jobs }) => jobs);
  const measured = (complex: Complex | undefined, load: string): Amounts =>
    amountsOf(instances[0], complex, { load, configured, ours });
  const memory = measured(layout.measures.memory, 'mem_total');
  const gpus = measured(layout.measures.gpus, '');
  return {
    name,
    instances,
    slots,
    freeSlots: Math.min(free, Math.max(0, (configured['slots'] ?? Infinity) - used)),
    ourSlots: sum(ours.map((job) => job.slots)),
    memoryBytes: memory.total,
    usableMemoryBytes: memory.usable,
    gpus: gpus.total,
    usableGpus: gpus.usable,
  };
}

function freeSlotsOf(instance: QueueInstance): number {
  if (ALARM.test(instance.state)) return 0;
  const free = instance.slotsTotal - instance.slotsUsed - instance.slotsReserved;
  return Math.max(0, Math.min(free, amountOf(instance, 'slots') ?? free));
}

/** Of one queue on the host. */
const freeSlotsAt = ({ freeSlots }: Host, instance: QueueInstance): number =>
  Math.min(freeSlots, freeSlotsOf(instance));

interface Amounts {
  readonly total: number;
  /** All but what others have. */
  readonly usable: number;
}

/** Of a complex on a host: what can be used up where it can, else what the host has as its load says. */
function amountsOf(
  instance: QueueInstance | undefined,
  complex: Complex | undefined,
  from: {
    readonly load: string;
    readonly configured: HostComplexes;
    readonly ours: readonly JobLine[];
  },
): Amounts {
  if (instance === undefined) return { total: 0, usable: 0 };
  const loaded = amountOf(instance, from.load);
  const name = complex?.name ?? '';
  const left = amountOf(instance, name);
  const isConsumed = instance.resources[name]?.kind.endsWith('c') === true;
  if (left === undefined || !isConsumed || !Number.isFinite(left)) {
    const total = loaded ?? 0;
    return { total, usable: total };
  }
  const times = (slots: number): number => (complex?.consumable === 'YES' ? slots : 1);
  const used = from.ours.map(
    ({ requests, slots }) => (parseBytes(requests[name] ?? '') ?? 0) * times(slots),
  );
  const total = from.configured[name] ?? left + sum(used);
  return { total, usable: Math.min(total, left + sum(used)) };
}

function queueOf(
  { name, environments }: ClusterQueue,
  hosts: readonly Host[],
  layout: Layout,
): Omit<Capacity['queues'][number], 'isDefault'> {
  const own = hosts.flatMap((host) =>
    host.instances.filter(({ queue }) => queue === name).map((instance) => ({ host, instance })),
  );
  const largest = (numbers: readonly number[]): number => Math.max(0, ...numbers);
  const slots = own.map(({ host, instance }) => Math.min(host.slots, instance.slotsTotal));
  const usable = layout.environments.filter((one) => environments.includes(one.name));
  const { cpusPerNode, maxNodes } = reachOf(usable, slots);
  const times = own.map(({ instance }) => parseTime(instance.resources['h_rt']?.value ?? ''));
  const longest = largest(times);
  return {
    name,
    maxWalltimeMs: Number.isFinite(longest) ? longest : 0,
    maxCpus: 0,
    maxNodes,
    cpusPerNode,
    memoryPerNodeBytes: largest(own.map(({ host }) => host.memoryBytes)),
    totalCpus: sum(slots),
    freeCpus: sum(own.map(({ host, instance }) => freeSlotsAt(host, instance))),
    features: [],
    gpusPerNode: largest(own.map(({ host }) => host.gpus)),
    gpuModels: [],
    kinds: kindsOf(
      own.map(({ host, instance }, at) => ({
        cpus: Math.min(cpusPerNode, slots[at] ?? 0),
        memoryBytes: host.memoryBytes,
        gpus: host.gpus,
        gpuModels: [],
        freeCpus: freeSlotsAt(host, instance),
      })),
    ),
  };
}
