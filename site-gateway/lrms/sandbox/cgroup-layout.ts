import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errnoOf } from '../../../service/staging/file-errors.ts';
import { readStat } from '../process-tree.ts';

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
  /** Lines of `memory.stat` with what the group holds (`shmem` is in memory and stays there), and with all files. */
  readonly held: readonly string[];
  readonly files: string;
  /** What else is to be written, where there is such a file: no swapping out of the limit, all end together. */
  readonly besides: (bytes: number) => readonly (readonly [file: string, value: string])[];
}

export const V1_FILES: MemoryFiles = {
  limit: 'memory.limit_in_bytes',
  peak: 'memory.max_usage_in_bytes',
  events: 'memory.oom_control',
  held: ['total_rss', 'total_shmem'],
  files: 'total_cache',
  besides: (bytes) => [['memory.memsw.limit_in_bytes', String(bytes)]],
};

export const V2_FILES: MemoryFiles = {
  limit: 'memory.max',
  peak: 'memory.peak',
  events: 'memory.events',
  held: ['anon', 'shmem'],
  files: 'file',
  besides: () => [
    ['memory.swap.max', '0'],
    ['memory.oom.group', '1'],
  ],
};

const ROOT = '/sys/fs/cgroup';
/** Where the gateway itself stands: a group of version 2 that shares its controllers out may hold no processes. */
const OWN_LEAF = 'gateway';
const OTHERS_LEAF = 'others';

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
    const here = at('', '');
    const tree = join(basename(here) === OWN_LEAF ? dirname(here) : here, name);
    return { isPure: true, tree, memory: tree, pids: tree };
  }
  return {
    isPure: false,
    tree: join(at('', 'unified'), name),
    memory: join(at('memory', 'memory'), name),
    pids: join(at('pids', 'pids'), name),
  };
}

/**
 * Makes the tree, and sees to it that it shares memory and pids out to the groups of tasks, as the group above it does.
 * Whoever started the gateway again may have taken that back, because a group that shares out can be entered by nobody.
 */
export function openTree({ tree }: GroupLayout): void {
  const above = dirname(tree);
  leaveGroup(above);
  shareOut(above);
  if (!existsSync(tree)) mkdirSync(tree);
  shareOut(tree);
}

function shareOut(group: string): void {
  const file = join(group, 'cgroup.subtree_control');
  const shared = readFileSync(file, 'utf8').trim().split(' ');
  if (!['memory', 'pids'].every((name) => shared.includes(name)))
    writeFileSync(file, '+memory +pids');
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

/**
 * Moves this process down where it stands in the group itself, which could not share anything out otherwise. What it has
 * started so far, and podman leaves a process of its own behind, goes to another place. Throws where the group is not
 * for the gateway alone.
 */
function leaveGroup(group: string): void {
  if (group === ROOT) return;
  for (const pid of pidsIn(group)) {
    if (pid !== process.pid && !isYounger(pid))
      throw new TypeError(`${group} has other processes than the gateway (systemd: Delegate=yes)`);
    move(pid, join(group, pid === process.pid ? OWN_LEAF : OTHERS_LEAF));
  }
}

function pidsIn(group: string): readonly number[] {
  return (readFileSync(join(group, 'cgroup.procs'), 'utf8').match(/\d+/g) ?? []).map(Number);
}

/** Began after this process, or is over by now. */
function isYounger(pid: number): boolean {
  const own = readStat(process.pid);
  const its = readStat(pid);
  return its === undefined || (own !== undefined && its.startTicks >= own.startTicks);
}

function move(pid: number, leaf: string): void {
  if (!existsSync(leaf)) mkdirSync(leaf);
  try {
    writeFileSync(join(leaf, 'cgroup.procs'), String(pid));
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
}
