import { readFileSync, statSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { delimiter, parse } from 'node:path';
import { GridError } from '../../core/errors.ts';
import { ownAccount } from '../../service/account-name.ts';
import type { Clock } from '../../service/clock.ts';
import type { Log } from '../../service/log.ts';
import type { Account } from '../accounts/account.ts';
import type { SiteConfig } from '../config.ts';
import { openBatchLrms } from './batch/batch.ts';
import { openCommand } from './command/open-command.ts';
import { commandOptions } from './command-site.ts';
import { openForkLrms } from './fork/fork.ts';
import { gpusOf } from './fork/gpu-settings.ts';
import { parseCpuList } from './fork/slots.ts';
import { openGridEngine } from './gridengine/gridengine.ts';
import { openHTCondor } from './htcondor/htcondor.ts';
import { htcondorOptions } from './htcondor/htcondor-site.ts';
import type { Capacity, Lrms, LrmsListener, LrmsState } from './lrms.ts';
import { openSandbox } from './sandbox/sandbox.ts';
import { openSlurm } from './slurm/slurm.ts';

const COMMAND_PATH = '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin';

/** The batch system that the site is configured for. */
export async function openLrms(
  config: SiteConfig,
  around: { readonly clock: Clock; readonly log: Log; readonly accounts: readonly Account[] },
  listener: LrmsListener,
): Promise<Lrms> {
  const { spool } = config;
  checkPrograms(config);
  switch (config.lrms) {
    case 'fork': {
      const { key, sandbox: wanted } = config;
      const { log } = around;
      const sandbox = await openSandbox({ spool, wanted, path: COMMAND_PATH, hidden: [key], log });
      const isLowest = config.owner !== undefined;
      const gpus = await gpusOf(config.gpus, COMMAND_PATH);
      const own = { ...coresOf(config), ...ownSize(config), gpus, sandbox, isLowest };
      return openForkLrms({ ...own, spool, ...around, listener });
    }
    case 'slurm':
      return openBatchLrms({
        system: openSlurm(slurmOptions(config, around.clock)),
        spool,
        ...around,
        listener,
      });
    case 'gridengine': {
      const system = openGridEngine(gridEngineOptions(config, around.clock));
      return openBatchLrms({ system, spool, ...around, listener });
    }
    case 'htcondor': {
      const system = openHTCondor(htcondorOptions(config, ownAccount(), COMMAND_PATH));
      return openBatchLrms({ system, spool, ...around, listener });
    }
    case 'command': {
      const path = [config.command.bin, COMMAND_PATH].filter((part) => part !== undefined);
      const system = openCommand(commandOptions(config, path.join(delimiter)));
      return openBatchLrms({ system, spool, ...around, listener });
    }
    default:
      return config.lrms satisfies never;
  }
}

/** Throws CONFIG_INVALID where the directory of the batch system's commands is none: others of the same names would be taken. */
function checkPrograms(config: SiteConfig): void {
  if (config.lrms === 'fork') return;
  const { bin } = config[config.lrms];
  if (bin === undefined || statSync(bin, { throwIfNoEntry: false })?.isDirectory() === true) return;
  const setting = `${config.lrms}.bin`;
  const message = `${setting}: there is no such directory: name that of the commands, or leave it out`;
  throw new GridError('CONFIG_INVALID', `the directory of '${setting}' cannot be used`, {
    problems: [{ where: bin, message }],
  });
}

/** Kind of batch system, as the offer says it: `slurm`; with `command` the name of its template, such as `pbs`. */
export const lrmsName = ({ lrms, command }: SiteConfig): string =>
  lrms === 'command' ? (command.template ?? parse(command['template-file'] ?? '').name) : lrms;

function slurmOptions({ slurm }: SiteConfig, clock: Clock): Parameters<typeof openSlurm>[0] {
  return {
    conf: slurm.conf ?? '',
    path: [slurm.bin, COMMAND_PATH].filter((part) => part !== undefined).join(delimiter),
    partitions: slurm.partitions,
    account: slurm.account,
    reservation: slurm.reservation,
    licences: slurm.licences,
    extraArgs: slurm['extra-args'],
    clock,
  };
}

function gridEngineOptions(
  { gridengine }: SiteConfig,
  clock: Clock,
): Parameters<typeof openGridEngine>[0] {
  return {
    root: gridengine.root ?? '',
    cell: gridengine.cell,
    ports: { qmaster: gridengine['qmaster-port'], execd: gridengine['execd-port'] },
    path: [gridengine.bin, COMMAND_PATH].filter((part) => part !== undefined).join(delimiter),
    queues: gridengine.queues,
    project: gridengine.project,
    account: gridengine.account,
    memory: gridengine.memory,
    gpus: gridengine.gpus,
    licences: gridengine.licences,
    hostPatienceMs: gridengine['host-patience'],
    extraArgs: gridengine['extra-args'],
    clock,
  };
}

/** What the site has, never more than its configuration gives to the grid. */
export type SiteSize = Capacity;

/** A machine of its own has what the configuration says; a batch system says itself what it has. */
export function sizeOf(config: SiteConfig, { capacity, gpuModels = [] }: LrmsState): SiteSize {
  if (capacity === undefined) {
    const { cpus, memoryBytes } = ownSize(config);
    const whole = { cpus, memoryBytes, usableCpus: cpus, usableMemoryBytes: memoryBytes };
    const all = { gpus: gpuModels.length, usableGpus: gpuModels.length };
    return { ...whole, ...all, maxNodes: 1, maxWalltimeMs: config['max-walltime'], queues: [] };
  }
  const { cpus: mostCpus = capacity.cpus, memory: mostBytes = capacity.memoryBytes } = config;
  const limits = [config['max-walltime'], capacity.maxWalltimeMs].filter((ms) => ms > 0);
  return {
    ...capacity,
    cpus: Math.min(mostCpus, capacity.cpus),
    memoryBytes: Math.min(mostBytes, capacity.memoryBytes),
    usableCpus: Math.min(mostCpus, capacity.usableCpus),
    usableMemoryBytes: Math.min(mostBytes, capacity.usableMemoryBytes),
    maxWalltimeMs: limits.length === 0 ? 0 : Math.min(...limits),
  };
}

export const ownSize = (
  config: SiteConfig,
): { readonly cpus: number; readonly memoryBytes: number } => ({
  cpus: config.cpus ?? availableParallelism(),
  memoryBytes: config.memory ?? totalmem(),
});

/** Cores to bind tasks to: those that this process may use, unless the site is said to have more. */
function coresOf(config: SiteConfig): {
  readonly cores: readonly number[];
  readonly firstCore: number;
} {
  const status = readFileSync('/proc/self/status', 'utf8');
  const allowed = parseCpuList(/^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? '');
  const bind = config['pin-cpus'] && ownSize(config).cpus <= allowed.length;
  return { cores: bind ? allowed : [], firstCore: process.pid };
}
