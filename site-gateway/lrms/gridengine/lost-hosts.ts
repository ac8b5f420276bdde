import type { Clock } from '../../../service/clock.ts';
import { keyOf } from '../batch/batch-system.ts';
import type { QueueInstance } from './qstat.ts';

/**
 * Grid Engine lists the jobs of a host that it does not hear of as running, for ever. After a while the host counts as
 * lost. Gives, at each look, what is to be said of hosts that are.
 */
export function openLostHosts({
  clock,
  hostPatienceMs,
}: {
  readonly clock: Clock;
  readonly hostPatienceMs: number;
}): (instances: readonly QueueInstance[]) => ReadonlyMap<string, string> {
  const silent = new Map<string, { readonly atMs: number; readonly since: string }>();
  return (instances) => {
    const now = clock.monotonicMs();
    const unheard = new Set(
      instances.filter(({ state }) => state.includes('u')).map(({ host }) => host),
    );
    for (const host of silent.keys()) if (!unheard.has(host)) silent.delete(host);
    for (const host of unheard)
      if (!silent.has(host))
        silent.set(host, { atMs: now, since: new Date(clock.nowMs()).toISOString() });
    const lost = [...silent].filter(([, { atMs }]) => now - atMs >= hostPatienceMs);
    return new Map(
      lost.map(([host, { since }]) => [host, `host ${host} is not heard of since ${since}`]),
    );
  };
}

/** Elements that are on lost hosts, by key, with what is to be said of them. */
export function lostOf(
  instances: readonly QueueInstance[],
  hosts: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const lost = new Map<string, string>();
  for (const { host, jobs } of instances) {
    const words = hosts.get(host);
    if (words === undefined) continue;
    for (const { token, indexes } of jobs)
      for (const index of indexes) lost.set(keyOf({ token, index }), words);
  }
  return lost;
}
