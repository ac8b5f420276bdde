import { once } from 'node:events';
import { connect } from 'node:tls';
import { expect, test } from 'vitest';
import { AUTHORITY_CONFIG } from '../../cert-authority/config.ts';
import { startAuthority } from '../../cert-authority/main.ts';
import { loadConfig } from '../../service/config.ts';
import { openLog } from '../../service/log.ts';
import { freePort } from '../../service/nats/nats-config.ts';
import { liveAuthority } from '../fakes/live-authority.ts';

const DAY_MS = 86_400_000;

/** When the certificate ends that a new connection is shown. */
async function endShownAt(port: number): Promise<number> {
  const socket = connect({
    host: '127.0.0.1',
    port,
    ALPNProtocols: ['h2'],
    rejectUnauthorized: false,
  });
  await once(socket, 'secureConnect');
  const { valid_to: end } = socket.getPeerCertificate();
  socket.destroy();
  return Date.parse(end);
}

test('an authority that runs for long shows a new host certificate before its own ends', async () => {
  await using made = await liveAuthority();
  const { config } = loadConfig(AUTHORITY_CONFIG, made.made.configFile);
  const port = await freePort('127.0.0.1');
  let aheadMs = 0;
  const clock = { nowMs: () => Date.now() + aheadMs, monotonicMs: () => performance.now() };
  await using _ = await startAuthority(
    { ...config, listen: { host: '127.0.0.1', port }, 'crl-interval': 1_000 },
    { clock, log: openLog('authority', 'silent') },
  );
  const before = await endShownAt(port);
  aheadMs = 350 * DAY_MS;
  await expect
    .poll(() => endShownAt(port), { interval: 200 })
    .toBeGreaterThan(before + 300 * DAY_MS);
});
