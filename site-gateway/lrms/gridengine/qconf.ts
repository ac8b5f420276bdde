import { parseBytes } from './units.ts';
import { unreadable } from './xml.ts';

/** What `qconf -s...` prints: `name value` lines, of which one that ends with a backslash goes on. */

/** Objects one after the other; each begins with the attribute `first`. */
export function parseObjects(
  text: string,
  first: string,
): readonly Readonly<Record<string, string>>[] {
  const objects: Record<string, string>[] = [];
  for (const line of text.replaceAll(/\\\n\s*/g, '').split('\n')) {
    const [, name, value = ''] = /^(\S+)(?:\s+(.*?))?\s*$/.exec(line) ?? [];
    if (name === first) objects.push({});
    if (name !== undefined && objects.length === 0) throw unreadable('qconf', line);
    const object = objects.at(-1);
    if (name !== undefined && object !== undefined) object[name] = value;
  }
  return objects;
}

/** A parallel environment: how it spreads the slots of a job over hosts. */
export interface ParallelEnvironment {
  readonly name: string;
  /** Slots of all its jobs together. */
  readonly slots: number;
  /** `$pe_slots` (all on one host), a number (as many on each host), or another rule, which promises nothing. */
  readonly rule: string;
}

export function parseEnvironment(text: string): ParallelEnvironment {
  const [object] = parseObjects(text, 'pe_name');
  if (object === undefined) throw unreadable('qconf', text);
  return {
    name: object['pe_name'] ?? '',
    slots: Number(object['slots']) || 0,
    rule: object['allocation_rule'] ?? '',
  };
}

/** A cluster queue, as far as it does not differ from host to host. */
export interface ClusterQueue {
  readonly name: string;
  readonly environments: readonly string[];
  /** Whether it takes jobs that are not interactive. */
  readonly isBatch: boolean;
}

/** Of `qconf -sq '*'`; a queue for parallel jobs only has environments and is not of the type BATCH. */
export const parseQueues = (text: string): readonly ClusterQueue[] =>
  parseObjects(text, 'qname').map((object) => {
    // `smp mpi,[n1=smp],[@big=mpi]`: what any host has.
    const names = (object['pe_list'] ?? '').split(/[\s,[\]=]+/);
    const environments = [...new Set(names)].filter((name) => name !== '' && name !== 'NONE');
    const isBatch = /\bBATCH\b/.test(object['qtype'] ?? '') || environments.length > 0;
    return { name: object['qname'] ?? '', environments, isBatch };
  });

/** A complex that jobs may ask for. */
export interface Complex {
  readonly name: string;
  /** `NO`, `YES` (for each slot), `JOB` (once) or `HOST` (once on each host). */
  readonly consumable: string;
}

/** Of `qconf -sc`. */
export function parseComplexes(text: string): readonly Complex[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
  return lines.flatMap((line) => {
    const [name = '', , , , requestable, consumable, ...rest] = line.trim().split(/\s+/);
    if (consumable === undefined || rest.length < 2) throw unreadable('qconf', line);
    return requestable === 'NO' ? [] : [{ name, consumable }];
  });
}

/** What a host has of complexes that can be used up. */
export type HostComplexes = Readonly<Record<string, number>>;

/** Of `qconf -se HOST`. */
export function parseHost(text: string): HostComplexes {
  const [object] = parseObjects(text, 'hostname');
  if (object === undefined) throw unreadable('qconf', text);
  const pairs = (object['complex_values'] ?? '').split(',').map((pair) => pair.trim().split('='));
  return Object.fromEntries(
    pairs.flatMap(([name = '', value = '']) => {
      const amount = parseBytes(value);
      return amount === undefined ? [] : [[name, amount] as const];
    }),
  );
}
