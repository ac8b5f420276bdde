/** Gateways that run nothing, in a process of their own: test/bench/simulated-sites.ts starts it and talks to it. */
import { readFileSync } from 'node:fs';
import { pino } from 'pino';
import { systemClock } from '../../service/clock.ts';
import { openAuthenticator } from '../../service/trust/authenticator.ts';
import { TrustStore } from '../../service/trust/trust-store.ts';
import { finishAll, openFakeGateway } from '../fakes/fake-gateway.ts';
import { offerOf } from '../fakes/offers.ts';
import type { Count, Order, Setup } from './simulated-sites.ts';

const setup = JSON.parse(process.argv[2] ?? '{}') as Setup;
const log = pino({ level: 'silent' });
const trust = TrustStore.open({ dir: setup.trust, crl: 'require', clock: systemClock, log });
const authenticator = openAuthenticator({ trust, clock: systemClock });
const gateways = await Promise.all(
  setup.sites.map(({ name, port, certificate, key }) =>
    openFakeGateway({
      identity: { certPem: readFileSync(certificate, 'utf8'), keyPem: readFileSync(key, 'utf8') },
      authenticator,
      offer: offerOf(name, { totalCpus: 1, freeCpus: 0 }),
      beaconMs: 1_000,
      port,
    }),
  ),
);

const tell = (count: Count): void => void process.send?.(count);
const placed = (): number => gateways.reduce((sum, gateway) => sum + gateway.placed.length, 0);
const distinct = (): number =>
  new Set(gateways.flatMap((gateway) => gateway.placed.map(({ attempt }) => attempt.jobId))).size;
let told = 0;
setInterval(() => {
  const now = placed();
  if (now !== told) tell({ placed: now });
  told = now;
}, 5);
process.on('message', ({ cpus, finish }: Order) => {
  for (const gateway of gateways) {
    if (finish) gateway.onPlaced = finishAll(gateway);
    const bytes = cpus * 2 ** 30;
    gateway.offer({
      totalCpus: cpus,
      freeCpus: cpus,
      totalMemoryBytes: bytes,
      freeMemoryBytes: bytes,
    });
  }
});
process.on('disconnect', () => process.exit(0));
process.on('SIGUSR2', () => tell({ placed: placed(), distinct: distinct() }));
tell({ placed: 0 });
