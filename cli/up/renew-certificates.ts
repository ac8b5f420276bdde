import { createPrivateKey } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { isDue } from '../../core/pki/renewal.ts';
import { type Clock, systemClock } from '../../service/clock.ts';
import { certificatesFromPem } from '../../service/pki/x509.ts';
import { identityOf, userIdentityOf } from './configs.ts';
import type { GridPlan, Layout } from './layout.ts';

/**
 * Makes those certificates anew that were made with a grid and are in the last third of their life, or past its end; gives
 * whose they are. What was revoked stays so, and of what another authority has issued nothing is known here. Whoever gave the user's
 * key a pass phrase keeps it.
 */
export async function renewCertificates(
  layout: Layout,
  plan: GridPlan,
  clock: Clock = systemClock,
): Promise<readonly string[]> {
  const pairs = [
    { of: 'nats-server', ...identityOf(layout.nats) },
    { of: 'broker', ...identityOf(layout.broker) },
    ...plan.sites.map(({ name }) => ({ of: `site ${name}`, ...identityOf(layout.site(name)) })),
    { of: 'its user', ...userIdentityOf(layout) },
  ];
  const due = pairs.filter(({ certificate, key }) => {
    const [own] = existsSync(certificate)
      ? certificatesFromPem(readFileSync(certificate, 'utf8'))
      : [];
    return own !== undefined && isDue(own, clock.nowMs()) && isReadable(key);
  });
  if (due.length === 0) return [];
  const { renewOffline } = await import('../../cert-authority/main.ts');
  const renewed = await renewOffline(layout.authority, due, clock);
  return renewed.map(({ of }) => of);
}

/** A key that is gone, too: then nothing is lost with it. */
function isReadable(key: string): boolean {
  if (!existsSync(key)) return true;
  try {
    createPrivateKey(readFileSync(key));
    return true;
  } catch {
    return false;
  }
}
