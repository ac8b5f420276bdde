import { join } from 'node:path';
import type { GridPlan, Layout, SitePlan } from './layout.ts';

/** The broker's YAML, as an object. Paths are absolute; `keep-settings.ts` says what `grid up` writes again at each start. */
export function brokerConfig(layout: Layout, plan: GridPlan): object {
  return {
    listen: `127.0.0.1:${plan.ports.broker}`,
    ...identityOf(layout.broker),
    trust: layout.trust,
    vomsdir: layout.vomsdir,
    state: join(layout.broker, 'state'),
    admins: [plan.userDn],
    vos: [plan.vo],
    lease: '15s',
    staging: {
      servers: (plan.natsCluster ?? [{ port: plan.ports.nats }]).map(
        ({ port }) => `tls://localhost:${port}`,
      ),
      ...(plan.natsCluster === undefined ? {} : clusterSettings(plan.natsCluster)),
      keys: join(layout.nats, 'broker'),
    },
  };
}

const clusterSettings = (servers: NonNullable<GridPlan['natsCluster']>): object => ({
  replicas: servers.length,
  'leaf-servers': servers.map(({ leafPort }) => `tls://localhost:${leafPort}`),
});

/** A gateway's YAML, as an object. */
export function siteConfig(layout: Layout, plan: GridPlan, site: SitePlan): object {
  const dir = layout.site(site.name);
  return {
    site: site.name,
    listen: `127.0.0.1:${site.port}`,
    ...identityOf(dir),
    trust: layout.trust,
    'broker-dn': plan.brokerDn,
    spool: join(dir, 'spool'),
    cpus: site.cpus,
    memory: `${site.memoryBytes}B`,
    vos: [plan.vo],
    admins: [plan.userDn],
    ...(plan.leafPort === undefined || site !== plan.sites[0]
      ? {}
      : { 'nats-servers': [`tls://localhost:${plan.leafPort}`] }),
    ...site.settings,
  };
}

/** Certificate and key of a service, where `make-grid.ts` puts them. */
export const identityOf = (
  dir: string,
): { readonly certificate: string; readonly key: string } => ({
  certificate: join(dir, 'hostcert.pem'),
  key: join(dir, 'hostkey.pem'),
});

/** Certificate and key of the user that was made with the grid. */
export const userIdentityOf = ({ user }: Layout): ReturnType<typeof identityOf> => ({
  certificate: join(user, 'usercert.pem'),
  key: join(user, 'userkey.pem'),
});
