import { BatchSilence } from '../batch/batch-command.ts';
import { choose, type Layout } from './capacity.ts';
import {
  type Complex,
  type HostComplexes,
  type ParallelEnvironment,
  parseComplexes,
  parseEnvironment,
  parseHost,
  parseObjects,
  parseQueues,
} from './qconf.ts';
import type { QueueInstance } from './qstat.ts';

/** What changes seldom in a cell, read again now and then, and few commands at a time. */
export interface CellLayout {
  look(): Promise<void>;
  /** Reads what hosts have that it does not know yet. */
  lookAtHosts(instances: readonly QueueInstance[]): Promise<void>;
  now(): Layout;
  /** Complexes to be shown in a look at the queues. */
  resources(): readonly string[];
  /** Most tasks of one array. */
  maxTasks(): number;
}

/** Runs a command of Grid Engine; gives what it says. */
export type Tell = (command: string, args: readonly string[]) => Promise<string>;

export interface LayoutOptions {
  readonly queues: readonly string[];
  readonly memory: string;
  readonly gpus: string;
  readonly licences: Readonly<Record<string, string>>;
}

/** Looks at the queues between two of these. */
const LOOKS = 60;
const LEAST_HOSTS_AT_A_TIME = 8;
/** Grid Engine's own default, while it has not said. */
const DEFAULT_MAX_TASKS = 75_000;
/** Complexes for memory, those first that do not limit what a program may address; of the last each host has one. */
const MEMORY = ['m_mem_free', 'mem_free', 'virtual_free', 'h_rss', 'h_vmem', 's_vmem'];

/** So that all of them are read before they are old again. */
const atATime = (hosts: number): number =>
  Math.max(LEAST_HOSTS_AT_A_TIME, Math.ceil(hosts / LOOKS));

export function openLayout(tell: Tell, options: LayoutOptions): CellLayout {
  const hosts = new Map<string, HostComplexes>();
  /** Of which something else may be known by now. */
  const old = new Set<string>();
  let layout: Layout = {
    queues: [],
    environments: [],
    hosts,
    measures: { memory: undefined, gpus: undefined },
  };
  let maxTasks = DEFAULT_MAX_TASKS;
  let looks = 0;
  const readAll = async (): Promise<void> => {
    const [config] = parseObjects(await tell('qconf', ['-sconf']), '#global:');
    maxTasks = Number(config?.['max_aj_tasks']) || DEFAULT_MAX_TASKS;
    const complexes = parseComplexes(await tell('qconf', ['-sc']));
    const queues = choose(parseQueues(await tell('qconf', ['-sq', '*'])), options.queues);
    const names = new Set(queues.flatMap(({ environments }) => environments));
    const environments: ParallelEnvironment[] = [];
    for (const name of names)
      environments.push(parseEnvironment(await tell('qconf', ['-sp', name])));
    for (const name of hosts.keys()) old.add(name);
    layout = { queues, environments, hosts, measures: measuresOf(complexes, options) };
  };
  return {
    look: async () => {
      if (looks++ % LOOKS !== 0) return;
      try {
        await readAll();
      } catch (error) {
        looks = 0;
        throw error;
      }
    },
    lookAtHosts: async (instances) => {
      const names = new Set(instances.map(({ host }) => host));
      for (const name of hosts.keys()) if (!names.has(name)) hosts.delete(name);
      const unknown = [...names].filter((name) => !hosts.has(name));
      const wanted = [...unknown, ...[...old].filter((name) => hosts.has(name))];
      for (const name of wanted.slice(0, atATime(names.size))) {
        hosts.set(name, parseHost(await tell('qconf', ['-se', name])));
        old.delete(name);
      }
    },
    now: () => layout,
    resources: () => {
      const { memory, gpus } = layout.measures;
      const own = [memory, gpus].flatMap((complex) => complex?.name ?? []);
      return ['slots', 'mem_total', 'h_rt', ...own];
    },
    maxTasks: () => maxTasks,
  };
}

function measuresOf(
  complexes: readonly Complex[],
  { memory, gpus, licences }: LayoutOptions,
): Layout['measures'] {
  const called = (name: string): Complex | undefined => complexes.find((one) => one.name === name);
  const usual = MEMORY.map(called).find((one) => one !== undefined && one.consumable !== 'NO');
  const wanted = (name: string): Complex => {
    const found = called(name);
    if (found === undefined)
      throw new BatchSilence(`there is no complex '${name}' that jobs may ask for`);
    return found;
  };
  return {
    memory: memory === '' ? (usual ?? called('mem_free')) : wanted(memory),
    gpus: gpus === '' ? undefined : wanted(gpus),
    licences: Object.fromEntries(
      Object.entries(licences).map(([name, complex]) => [name, wanted(complex)]),
    ),
  };
}
