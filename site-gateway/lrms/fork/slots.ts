/** The CPUs and the memory that tasks may fill. */
export interface Slots {
  /** Takes a share; undefined when it does not fit now. `cpuSet` is what the task is bound to, if it is bound. */
  take(need: Need): Share | undefined;
  /** Takes a share even where it does not fit: the task runs already. */
  force(need: Need): Share;
  give(share: Share): void;
}

interface Need {
  readonly cpus: number;
  readonly memoryBytes: number;
}

export interface Share extends Need {
  /** Numbers of the machine's CPUs, as taskset reads them; undefined for no binding. */
  readonly cpuSet: string | undefined;
}

/**
 * `cores` are the machine's CPUs that tasks may be bound to; empty binds nothing. Tasks take the cores that the fewest
 * others have, in turn from `firstCore` on, so that two gateways on one machine seldom choose the same.
 */
export function openSlots(total: Need, cores: readonly number[], firstCore: number): Slots {
  let free = { ...total };
  let next = firstCore;
  const users = new Map(cores.map((core) => [core, 0]));
  const bind = (cpus: number): string | undefined => {
    if (cpus >= cores.length || cores.length === 0) return undefined;
    const turn = (core: number): number =>
      (cores.indexOf(core) - (next % cores.length) + cores.length) % cores.length;
    const chosen = cores
      .toSorted((a, b) => (users.get(a) ?? 0) - (users.get(b) ?? 0) || turn(a) - turn(b))
      .slice(0, cpus);
    next += cpus;
    for (const core of chosen) users.set(core, (users.get(core) ?? 0) + 1);
    return chosen.toSorted((a, b) => a - b).join(',');
  };
  const force = ({ cpus, memoryBytes }: Need): Share => {
    free = { cpus: free.cpus - cpus, memoryBytes: free.memoryBytes - memoryBytes };
    return { cpus, memoryBytes, cpuSet: bind(cpus) };
  };
  return {
    force,
    take: (need) =>
      need.cpus <= free.cpus && need.memoryBytes <= free.memoryBytes ? force(need) : undefined,
    give: ({ cpus, memoryBytes, cpuSet }) => {
      free = { cpus: free.cpus + cpus, memoryBytes: free.memoryBytes + memoryBytes };
      for (const core of (cpuSet ?? '')
        .split(',')
        .filter((text) => text !== '')
        .map(Number))
        users.set(core, (users.get(core) ?? 1) - 1);
    },
  };
}

/** `0-3,8` -> [0, 1, 2, 3, 8]: the form of Cpus_allowed_list in /proc/self/status. */
export function parseCpuList(text: string): readonly number[] {
  return text
    .trim()
    .split(',')
    .filter((part) => part !== '')
    .flatMap((part) => {
      const [first = 0, last = first] = part.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
}
