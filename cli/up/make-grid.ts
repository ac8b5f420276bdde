import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { ensureDirectory } from '../../service/directories.ts';
import { freePort } from '../../service/nats/nats-config.ts';
import { makeSigningRequest } from '../../service/pki/csr.ts';
import { writeTrust } from '../../service/trust/trust-dir.ts';
import { writeAtomic } from '../../service/write-atomic.ts';
import { identityOf, userIdentityOf } from './configs.ts';
import type { GridPlan, Layout, NatsPlan, SitePlan } from './layout.ts';

/** What a new grid shall be. */
export interface GridWish {
  readonly vo: string;
  readonly sites: number;
  /** CPUs of each site; the machine's are shared out if unset. */
  readonly cpusPerSite: number | undefined;
  /** 1, or the size of a cluster. */
  readonly natsServers?: number;
  /** Further settings of the sites, in their order. */
  readonly siteSettings?: readonly SiteSettings[];
}

type SiteSettings = NonNullable<SitePlan['settings']>;

const BASE = '/DC=org/DC=hanse/DC=local';
const SITE_NAMES =
  'luebeck hamburg visby bergen danzig riga tallinn bremen rostock stralsund wismar novgorod london bruges cologne stettin kampen deventer lueneburg stade'.split(
    ' ',
  );
const HOST_NAMES = ['localhost', '127.0.0.1'];

/** Makes all keys, certificates and the plan of a grid in an empty directory; starts nothing. */
export async function makeGrid(layout: Layout, wish: GridWish): Promise<GridPlan> {
  const { initAuthority, issueOffline } = await import('../../cert-authority/main.ts');
  for (const dir of [layout.logs, layout.vomsdir, layout.user, layout.broker, layout.nats]) {
    ensureDirectory(dir, 0o700);
  }
  const authorityPort = await freePort('127.0.0.1');
  const userDn = `${BASE}/OU=People/CN=${USER_NAME}`;
  const authority = await initAuthority({
    dir: layout.authority,
    name: `${BASE}/CN=Local Grid CA`,
    listen: `127.0.0.1:${authorityPort}`,
    public: `localhost:${authorityPort}`,
    hostNames: HOST_NAMES,
    trust: layout.trust,
    vomsdir: layout.vomsdir,
    admins: [userDn],
  });
  const issue = async (profile: 'user' | 'host', commonName: string): Promise<Identity> => {
    const { keyPem, csr } = await makeSigningRequest('ec', commonName);
    const altNames = profile === 'host' ? HOST_NAMES : [];
    const issued = await issueOffline(layout.authority, { profile, commonName, altNames, csr });
    return { dn: issued.dn, certPem: issued.certificatePem, keyPem };
  };
  await writeIdentity(identityOf(layout.broker), await issue('host', 'broker.localhost'));
  await writeIdentity(identityOf(layout.nats), await issue('host', 'nats.localhost'));
  const sites: SitePlan[] = [];
  for (const [at, name] of SITE_NAMES.slice(0, wish.sites).entries()) {
    ensureDirectory(layout.site(name), 0o700);
    const identity = await issue('host', `${name}.localhost`);
    await writeIdentity(identityOf(layout.site(name)), identity);
    const settings = wish.siteSettings?.[at];
    const site = await planSite(name, identity.dn, wish);
    sites.push(settings === undefined ? site : { ...site, settings });
  }
  await makeUser(layout, await issue('user', USER_NAME), authority.trustFiles);
  const nats = await planNats(wish.natsServers ?? 1);
  const plan: GridPlan = {
    version: 1,
    vo: wish.vo,
    userDn,
    brokerDn: `${BASE}/OU=Hosts/CN=broker.localhost`,
    ports: {
      authority: authorityPort,
      nats: nats[0]?.port ?? 0,
      broker: await freePort('127.0.0.1'),
    },
    sites,
    ...(nats.length > 1 ? { natsCluster: nats, leafPort: await freePort('127.0.0.1') } : {}),
  };
  await writeUserSettings(layout, plan);
  await writeAtomic(layout.state, `${JSON.stringify(plan, undefined, 2)}\n`, 0o600);
  return plan;
}

const USER_NAME = 'Grid User';

interface Identity {
  readonly dn: string;
  readonly certPem: string;
  readonly keyPem: string;
}

async function writeIdentity(
  files: ReturnType<typeof identityOf>,
  identity: Identity,
): Promise<void> {
  await writeAtomic(files.key, identity.keyPem, 0o600);
  await writeAtomic(files.certificate, identity.certPem, 0o644);
}

async function planSite(name: string, dn: string, wish: GridWish): Promise<SitePlan> {
  const share = Math.max(1, Math.floor(availableParallelism() / wish.sites));
  return {
    name,
    dn,
    port: await freePort('127.0.0.1'),
    cpus: wish.cpusPerSite ?? share,
    memoryBytes: Math.floor(totalmem() / (2 * wish.sites)),
  };
}

async function planNats(servers: number): Promise<readonly NatsPlan[]> {
  const plans: NatsPlan[] = [];
  for (let at = 1; at <= servers; at += 1) {
    const port = await freePort('127.0.0.1');
    const [routePort, leafPort] = [await freePort('127.0.0.1'), await freePort('127.0.0.1')];
    plans.push({ name: `n${at}`, port, routePort, leafPort });
  }
  return plans;
}

async function makeUser(
  layout: Layout,
  identity: Identity,
  trust: Parameters<typeof writeTrust>[1],
): Promise<void> {
  await writeIdentity(userIdentityOf(layout), identity);
  await writeTrust(join(layout.user, 'certificates'), trust);
}

async function writeUserSettings(layout: Layout, plan: GridPlan): Promise<void> {
  const settings = {
    broker: `localhost:${plan.ports.broker}`,
    authority: `localhost:${plan.ports.authority}`,
    trust: layout.trust,
    vo: plan.vo,
  };
  await writeAtomic(join(layout.user, 'config.yaml'), stringify(settings), 0o600);
}
