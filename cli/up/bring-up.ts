import { GridError } from '../../core/errors.ts';
import { VoMembershipService } from '../../proto/gen/grid/v1/authority.ts';
import { type BrokerService, SiteState, type SiteSummary } from '../../proto/gen/grid/v1/broker.ts';
import { pause } from '../../service/background.ts';
import { loadUserCertificate } from '../../service/pki/credential.ts';
import { type Connection, openClient } from '../../service/rpc/grpc-client.ts';
import { readTrust } from '../../service/trust/read-trust.ts';
import { logIn } from '../certs/login.ts';
import { loadSettings, type Settings } from '../config.ts';
import { connectBroker } from '../context.ts';
import { allEnded } from './all-ended.ts';
import { GridProcesses, type StartOptions } from './start-grid.ts';
import type { Steps } from './steps.ts';

/** A grid on this machine whose parts all answer. */
export interface LocalGrid {
  readonly processes: GridProcesses;
  /** Environment by which the CLI finds it. */
  readonly env: Readonly<Record<string, string>>;
}

const SITES_TIMEOUT_MS = 120_000;
const ANSWERS: readonly SiteState[] = [SiteState.SITE_STATE_UP, SiteState.SITE_STATE_DRAINING];

/** Starts all programs of a grid in order and waits until its own sites answer; stops what was started if anything fails. */
export async function bringUp(options: StartOptions, steps: Steps): Promise<LocalGrid> {
  const processes = new GridProcesses(options);
  try {
    await steps.run('nats-server and authority', async (say) => {
      say(`nats-server ${options.binary.version}`);
      await allEnded([processes.startNats(), processes.startAuthority()]);
    });
    await steps.run(`VO '${options.plan.vo}' and a proxy for its first member`, () =>
      joinVo(options),
    );
    await steps.run('broker', () => processes.startBroker());
    if (options.plan.leafPort !== undefined)
      await steps.run('leaf node', () => processes.startLeaf());
    const names = options.plan.sites.map(({ name }) => name);
    await steps.run('sites', async (say) => {
      say(names.join(', '));
      await allEnded(names.map((name) => processes.startSite(name)));
      say(siteWords(await enrolSites(options)));
    });
    return { processes, env: environmentOf(options) };
  } catch (error) {
    await processes.stop();
    throw error;
  }
}

/** What a shell needs to use the grid. */
export const environmentOf = ({
  layout,
}: Pick<StartOptions, 'layout'>): Record<string, string> => ({
  HANSE_HOME: layout.user,
});

async function joinVo(options: StartOptions): Promise<void> {
  const { plan, signal } = options;
  const settings = await userSettings(options);
  const { certPem, keyPem } = loadUserCertificate({ home: settings.home, env: {} });
  using membership = openClient(
    VoMembershipService,
    'authority',
    `localhost:${plan.ports.authority}`,
    { ...readTrust(settings.trust), certPem, keyPem },
  );
  const { vos } = await membership.call.listVos({}, { signal });
  if (!vos.some(({ vo }) => vo === plan.vo)) {
    await membership.call.createVo({ vo: plan.vo }, { signal });
  }
  await logIn({ settings, vo: plan.vo, signal });
}

/** Waits until the grid's own sites answer, and gives them. */
async function enrolSites(options: StartOptions): Promise<readonly SiteSummary[]> {
  const { plan, signal } = options;
  using broker = await openBroker(options);
  for (const { name, port, dn } of plan.sites) {
    await broker.call.enrolSite({ id: name, address: `localhost:${port}`, dn }, { signal });
  }
  const own = new Set(plan.sites.map(({ name }) => name));
  const deadline = performance.now() + SITES_TIMEOUT_MS;
  for (;;) {
    const { sites } = await broker.call.listSites({}, { signal });
    const down = notUp(sites, own);
    if (down.length === 0) return sites.filter(({ id }) => own.has(id));
    if (performance.now() > deadline) {
      const words = down.map(({ id, detail }) => `${id}${detail === '' ? '' : ` (${detail})`}`);
      throw new GridError('UNAVAILABLE', `sites do not come up: ${words.join(', ')}`);
    }
    await pause(50, signal);
    signal.throwIfAborted();
  }
}

/**
 * Those of a grid's `own` sites for which its start waits. Sites that were enrolled from elsewhere come and go by themselves, one
 * that drains is up, and one that has left (its certificate is revoked, and so never renewed) does not come back.
 */
export const notUp = <T extends Pick<SiteSummary, 'id' | 'state' | 'detail'>>(
  sites: readonly T[],
  own: ReadonlySet<string>,
): readonly T[] =>
  sites.filter((site) => own.has(site.id) && !ANSWERS.includes(site.state) && !hasLeft(site));

/** Which sites are up, and which are not because they have left. */
export function siteWords(sites: readonly Pick<SiteSummary, 'id' | 'state' | 'detail'>[]): string {
  const { here = [], left = [] } = Object.groupBy(sites, (site) =>
    hasLeft(site) ? 'left' : 'here',
  );
  const names = here.length === 0 ? 'none' : here.map(({ id }) => id).join(', ');
  if (left.length === 0) return names;
  return `${names}; left the grid: ${left.map(({ id }) => id).join(', ')}`;
}

const hasLeft = ({ state, detail }: Pick<SiteSummary, 'state' | 'detail'>): boolean =>
  !ANSWERS.includes(state) && LEFT.test(detail);

const LEFT = /its certificate has (?:been revoked|expired)/;

/** The broker as the grid's own user. */
export async function openBroker(
  options: Pick<StartOptions, 'layout'>,
): Promise<Connection<BrokerService>> {
  const env = environmentOf(options);
  return connectBroker(await userSettings(options), env);
}

const userSettings = (options: Pick<StartOptions, 'layout'>): Promise<Settings> =>
  loadSettings(environmentOf(options), '/', { broker: undefined });
