import { formatBytes, formatDuration } from '../units.ts';
import type { Ask, Rules } from './ask.ts';
import { type Refusal, refusalOf, type SiteView } from './refusal.ts';

/** A change of one setting and what it would open. */
interface Change {
  readonly words: string;
  readonly ask: Ask;
}

const most = (sites: readonly SiteView[], value: (site: SiteView) => number): number =>
  Math.max(0, ...sites.map((site) => (site.offer === undefined ? 0 : value(site))));

/** The smallest lowering of each resource that some site could meet, as far as totals say. */
function changesOf(ask: Ask, sites: readonly SiteView[]): readonly Change[] {
  const { resources } = ask;
  const { nodes } = resources;
  const changes: Change[] = [];
  const lower = (key: 'cpus' | 'memoryBytes' | 'gpus' | 'nodes', value: number, words: string) => {
    if (value < resources[key])
      changes.push({ words, ask: { ...ask, resources: { ...resources, [key]: value } } });
  };
  const cpus = Math.floor(most(sites, ({ offer }) => offer?.totalCpus ?? 0) / nodes);
  if (cpus > 0) lower('cpus', cpus, `cpus: ${cpus}`);
  const memory = Math.floor(most(sites, ({ offer }) => offer?.totalMemoryBytes ?? 0) / nodes);
  lower('memoryBytes', memory, `memory: ${formatBytes(memory)}`);
  const gpus = Math.floor(most(sites, ({ offer }) => offer?.totalGpus ?? 0) / nodes);
  lower('gpus', gpus, `gpus: ${gpus}`);
  const span = Math.max(
    1,
    most(sites, ({ offer }) => offer?.maxNodes ?? 0),
  );
  lower('nodes', span, `nodes: ${span}`);
  const walltimeMs = most(sites, ({ offer }) => offer?.maxWalltimeMs ?? 0);
  if (walltimeMs > 0 && walltimeMs < resources.walltimeMs) {
    const shorter = { ...resources, walltimeMs };
    changes.push({
      words: `walltime: ${formatDuration(walltimeMs)}`,
      ask: { ...ask, resources: shorter },
    });
  }
  if (ask.requirements !== '')
    changes.push({ words: 'no requirements', ask: { ...ask, requirements: '' } });
  if (ask.sites.length > 0 || ask.excludeSites.length > 0)
    changes.push({ words: 'no choice of sites', ask: { ...ask, sites: [], excludeSites: [] } });
  return changes;
}

/**
 * Single changes with which a job that no site can ever take would find one, each tried by running the checks on the
 * changed ask. Nothing where some site could take it as it is.
 */
export function adviceFor(ask: Ask, sites: readonly SiteView[], rules: Rules): readonly string[] {
  const lasting = (refusal: Refusal | undefined): boolean => refusal?.lasting === true;
  const possible = (wanted: Ask): number =>
    sites.filter((site) => site.offer && !lasting(refusalOf(wanted, site, rules))).length;
  if (possible(ask) > 0) return [];
  return changesOf(ask, sites).flatMap(({ words, ask: changed }) => {
    const count = possible(changed);
    return count === 0 ? [] : [`with \`${words}\`, ${count} ${count === 1 ? 'site' : 'sites'}`];
  });
}
