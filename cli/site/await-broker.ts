import { readFileSync } from 'node:fs';
import { GridError } from '../../core/errors.ts';
import { BrokerService, SiteState } from '../../proto/gen/grid/v1/broker.ts';
import { pause } from '../../service/background.ts';
import { type Connection, openClient } from '../../service/rpc/grpc-client.ts';
import { readTrust } from '../../service/trust/read-trust.ts';
import type { SiteLayout } from './layout.ts';
import type { SiteToken } from './token.ts';

export interface Wait {
  readonly token: SiteToken;
  readonly layout: SiteLayout;
  readonly signal: AbortSignal;
  readonly say: (words: string) => void;
}

const PATIENCE_MS = 60_000;
const LOOK_MS = 250;

/** The broker, spoken to as the host. */
const openBroker = ({ token, layout }: Pick<Wait, 'token' | 'layout'>): Connection<BrokerService> =>
  openClient(BrokerService, 'broker', token.broker, {
    ...readTrust(layout.trust),
    certPem: readFileSync(layout.certificate, 'utf8'),
    keyPem: readFileSync(layout.key, 'utf8'),
  });

/** Throws SITE_NOT_DRAINED where tasks of the account `before` are at the site, which the account `after` could not end. */
export async function assertNoTasks(
  { token, layout, signal }: Omit<Wait, 'say'>,
  { before, after }: Readonly<Record<'before' | 'after', string>>,
): Promise<void> {
  using broker = openBroker({ token, layout });
  const { sites } = await broker.call.listSites({}, { signal });
  const tasks = sites.find(({ id }) => id === token.site)?.attempts ?? 0;
  if (tasks > 0)
    throw new GridError(
      'SITE_NOT_DRAINED',
      `${token.site} has ${tasks === 1 ? 'a task' : `${tasks} tasks`} of its gateway's account ${before}, which ${after} could not end: grid site drain ${token.site} --wait, then this again, then grid site resume ${token.site}`,
    );
}

/** What the broker says of a gateway that it has met. */
export interface Welcome {
  /** `up`, `draining`, or that it is closed and why. */
  readonly state: string;
  /** By how much the clock of the gateway is ahead of the broker's, where that is too much; 0 elsewhere. */
  readonly clockAheadMs: number;
}

/** Waits, as the host, until the broker has met the gateway; throws UNAVAILABLE with what the broker says of it. */
export async function untilWelcome({ token, layout, signal, say }: Wait): Promise<Welcome> {
  using broker = openBroker({ token, layout });
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const { sites } = await broker.call.listSites({}, { signal });
    const site = sites.find(({ id }) => id === token.site);
    if (site === undefined)
      throw new GridError(
        'SITE_NOT_FOUND',
        `the broker does not know site ${token.site} (any more): ask for a new token`,
      );
    const { state, detail, clockAheadMs } = site;
    if (
      state === SiteState.SITE_STATE_UP &&
      site.offer !== undefined &&
      !detail.startsWith('not connected')
    ) {
      say(detail === '' ? 'gives it work' : detail);
      return { state: detail === '' ? 'up' : `closed (${detail})`, clockAheadMs };
    }
    if (state === SiteState.SITE_STATE_DRAINING) return { state: 'draining', clockAheadMs };
    say(detail === '' ? 'waits for its first word' : detail);
    if (performance.now() > deadline)
      throw new GridError(
        'UNAVAILABLE',
        `the broker cannot reach the gateway at ${token.address} (${detail || 'it has not tried yet'}): is the port open in the firewall? run this again then`,
      );
    await pause(LOOK_MS, signal);
    signal.throwIfAborted();
  }
}
