import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Directories of the kernel in which the groups of tasks are made. */
export interface GroupLayout {
  /** One tree for all (version 2); otherwise the controllers have trees of their own (version 1). */
  readonly isPure: boolean;
  /** Of version 2: knows processes, ends them and counts CPU time, also where it has no controllers. */
  readonly tree: string;
  readonly memory: string;
  readonly pids: string;
}

/** What the files of the memory controller are called, and how they are read. */
export interface MemoryFiles {
  readonly limit: string;
  readonly peak: string;
  /** Has a line `oom_kill N`. */
  readonly events: string;
  /** What else is to be written, where there is such a file: no swapping out of the limit, all end together. */
  readonly besides: (bytes: number) => readonly (readonly [file: string, value: string])[];
}

export const V1_FILES: MemoryFiles = {
  limit: 'memory.limit_in_bytes',
  peak: 'memory.max_usage_in_bytes',
  events: 'memory.oom_control',
  besides: (bytes) => [['memory.memsw.limit_in_bytes', String(bytes)]],
};

export const V2_FILES: MemoryFiles = {
  limit: 'memory.max',
  peak: 'memory.peak',
  events: 'memory.events',
  besides: () => [
    ['memory.swap.max', '0'],
    ['memory.oom.group', '1'],
  ],
};

const ROOT = '/sys/fs/cgroup';
/** Where the gateway itself stands: a group of version 2 that shares its controllers out may hold no processes. */
const OWN_LEAF = 'gateway';

/** Below the group that this process is in; throws where it cannot be. */
export function findLayout(name: string): GroupLayout {
  const own = ownGroups(readFileSync('/proc/self/cgroup', 'utf8'));
  const at = (controller: string, mount: string): string => {
    const path = own.get(controller);
    if (path === undefined)
      throw new TypeError(`there is no cgroup of ${controller || 'version 2'}`);
    return join(ROOT, mount, path);
  };
  if (existsSync(join(ROOT, 'cgroup.controllers'))) {
    const tree = join(sharingGroup(at('', '')), name);
    return { isPure: true, tree, memory: tree, pids: tree };
  }
  return {
    isPure: false,
    tree: join(at('', 'unified'), name),
    memory: join(at('memory', 'memory'), name),
    pids: join(at('pids', 'pids'), name),
  };
}

/** Lines `4:memory:/path` of /proc/self/cgroup; the controller of version 2 is ''. */
export const ownGroups = (text: string): ReadonlyMap<string, string> =>
  new Map(
    text
      .trim()
      .split('\n')
      .flatMap((line) => {
        const [, controllers = '', ...path] = line.split(':');
        return controllers.split(',').map((name) => [name, path.join(':')] as const);
      }),
  );

/** Moves this process down, so that its group can share memory and pids out to others; gives that group. */
function sharingGroup(own: string): string {
  if (basename(own) === OWN_LEAF) return dirname(own);
  if (own !== `${ROOT}/`) {
    const pids = readFileSync(join(own, 'cgroup.procs'), 'utf8').trim().split('\n');
    if (pids.join() !== String(process.pid))
      throw new TypeError(`${own} has other processes than the gateway (systemd: Delegate=yes)`);
    const leaf = join(own, OWN_LEAF);
    if (!existsSync(leaf)) mkdirSync(leaf);
    writeFileSync(join(leaf, 'cgroup.procs'), String(process.pid));
  }
  writeFileSync(join(own, 'cgroup.subtree_control'), '+memory +pids');
  return own;
}
