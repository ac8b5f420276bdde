import { GridError, type Problem } from '../../core/errors.ts';
import { ownAccount } from '../../service/account-name.ts';
import type { SiteConfig } from '../config.ts';
import { loadTemplate, shippedTemplate } from './command/load-template.ts';
import type { CommandOptions } from './command/open-command.ts';
import type { CommandTemplate } from './command/template.ts';
import type { Capacity } from './lrms.ts';

/** What the `command` LRMS of a site needs; throws CONFIG_INVALID where the configuration or its template lacks something. */
export function commandOptions(config: SiteConfig, path: string): CommandOptions {
  const { command } = config;
  const { template: shipped, 'template-file': own } = command;
  const file = own ?? (shipped === undefined ? undefined : shippedTemplate(shipped));
  const { cpus, memory } = sizeOf(config);
  const faults = [
    ...((shipped === undefined) === (own === undefined)
      ? [fault('command', 'name a `template` of the package, or a `template-file`, and not both')]
      : []),
    ...(cpus === undefined || memory === undefined
      ? [fault('cpus, memory', 'with lrms: command say how much the grid may fill, or list queues')]
      : []),
    ...[pathFault(config.spool)].filter((one) => one !== undefined),
  ];
  if (faults.length > 0 || file === undefined || cpus === undefined || memory === undefined)
    throw new GridError('CONFIG_INVALID', 'lrms: command is not complete', { problems: faults });
  const template = loadTemplate(file);
  const { uid, username } = ownAccount();
  return {
    template,
    path,
    env: command.env,
    account: command.account,
    extraArgs: command['extra-args'],
    capacity: capacityOf({ cpus, memory }, command.queues, template),
    uid,
    user: username,
  };
}

/** A batch system may read `%`, commas, spaces or quotes in a path as something else. */
const PLAIN_PATH = /^[\w./+@-]+$/;
const PLAIN = 'use letters, digits and . _ - + @ only';

/** What is wrong with a spool that a batch system has to hear of. */
export const pathFault = (spool: string): Problem | undefined =>
  PLAIN_PATH.test(spool)
    ? undefined
    : fault('spool', `'${spool}' goes through commands of the batch system: ${PLAIN}`);

const fault = (key: string, message: string): Problem => ({ where: `${key}:`, message });

type Queues = SiteConfig['command']['queues'];

/** All nodes of the largest queue, unless the site says how much it is. */
function sizeOf({ cpus, memory, command }: SiteConfig): {
  readonly cpus: number | undefined;
  readonly memory: number | undefined;
} {
  const largest = (of: (queue: Queues[number]) => number): number | undefined =>
    command.queues.length === 0
      ? undefined
      : Math.max(...command.queues.map((queue) => queue.nodes * of(queue)));
  return {
    cpus: cpus ?? largest((queue) => queue.cpus),
    memory: memory ?? largest((queue) => queue.memory),
  };
}

function capacityOf(
  { cpus, memory }: { readonly cpus: number; readonly memory: number },
  queues: Queues,
  { ignores }: CommandTemplate,
): Capacity {
  const gpusOf = (queue: Queues[number]): number => (ignores.includes('gpus') ? 0 : queue.gpus);
  const nodesOf = (queue: Queues[number]): number => (ignores.includes('nodes') ? 1 : queue.nodes);
  const gpus = Math.max(0, ...queues.map((queue) => queue.nodes * gpusOf(queue)));
  const times = queues.map((queue) => queue['max-walltime']);
  return {
    cpus,
    memoryBytes: memory,
    gpus,
    usableCpus: cpus,
    usableMemoryBytes: memory,
    usableGpus: gpus,
    maxNodes: Math.max(1, ...queues.map(nodesOf)),
    maxWalltimeMs: times.includes(0) ? 0 : Math.max(0, ...times),
    queues: queues.map((queue, at) => ({
      name: queue.name,
      maxWalltimeMs: queue['max-walltime'],
      maxCpus: 0,
      maxNodes: nodesOf(queue),
      cpusPerNode: queue.cpus,
      memoryPerNodeBytes: queue.memory,
      totalCpus: queue.nodes * queue.cpus,
      freeCpus: queue.nodes * queue.cpus,
      features: [],
      isDefault: at === 0,
      gpusPerNode: gpusOf(queue),
      gpuModels: [],
      kinds: [],
    })),
  };
}
