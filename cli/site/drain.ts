import { GridError } from '../../core/errors.ts';
import { counted } from '../../core/units.ts';
import {
  type BrokerService,
  Eviction,
  SiteState,
  type SiteSummary,
} from '../../proto/gen/grid/v1/broker.ts';
import { pause } from '../../service/background.ts';
import type { Connection } from '../../service/rpc/grpc-client.ts';
import type { Context } from '../context.ts';
import { argument, type Input } from '../input.ts';
import { openSteps } from '../up/steps.ts';
import { isHeard, restOf } from './drain-words.ts';
import { revokeCertificates } from './revoke.ts';
import { removeUnit, type UnitLeft, unitName } from './unit.ts';

const LOOK_MS = 500;

/** `grid site drain`. */
export async function drainSite(context: Context, input: Input): Promise<number> {
  const id = argument(input, 0);
  const eviction = input.on('move') ? Eviction.EVICTION_ALL : Eviction.EVICTION_UNSPECIFIED;
  using broker = await context.openBroker();
  const site = input.on('wait')
    ? await untilEmpty(context, broker, { id, eviction, timeoutMs: input.duration('timeout') })
    : await drain(context, broker, id, eviction);
  const { terminal, json } = context;
  const { attempts } = site;
  if (json) terminal.out(JSON.stringify({ id, state: 'draining', attempts }));
  else terminal.out(`${id} takes nothing new${restOf(site, input.on('move'))}`);
  return 0;
}

/** `grid site leave`: drained, emptied, taken out of the grid, its certificate revoked. */
export async function leaveGrid(context: Context, input: Input): Promise<number> {
  const id = argument(input, 0);
  const { signal, terminal, json } = context;
  const force = input.on('force');
  using broker = await context.openBroker();
  // What has not started there may as well start elsewhere.
  const eviction = input.on('move') ? Eviction.EVICTION_ALL : Eviction.EVICTION_WAITING;
  if (!force)
    await untilEmpty(context, broker, { id, eviction, timeoutMs: input.duration('timeout') });
  const { site } = await broker.call.removeSite({ id, force }, { signal });
  const { dn, address } = site ?? { dn: '', address: '' };
  const { sites } = await broker.call.listSites({}, { signal });
  const sharing = sites.find((other) => other.dn === dn);
  const stays = `the certificate of ${dn} stays good`;
  const revoked = input.on('keep-certificate')
    ? { serials: [], words: stays }
    : sharing === undefined
      ? await revokeCertificates(context, dn)
      : { serials: [], words: `${stays}: site ${sharing.id} has one of the same name` };
  const left = await removeUnit(id, dn, signal);
  const stopped = left?.became === 'removed' ? { unit: left.unit } : {};
  if (json)
    terminal.out(JSON.stringify({ id, dn, removed: true, revoked: revoked.serials, ...stopped }));
  else terminal.out(`${id} has left the grid; ${revoked.words}`);
  if (site !== undefined && !isHeard(site))
    terminal.note(
      `the broker did not hear it (${site.detail}): what it had started may still run there`,
    );
  terminal.note(unitWords({ id, address }, left));
  return 0;
}

/** What is left to do with the gateway of a site that has left. */
export function unitWords(
  { id, address }: { readonly id: string; readonly address: string },
  left: UnitLeft | undefined,
): string {
  if (left === undefined)
    return `its gateway may be stopped now where it runs${address === '' ? '' : ` (${address})`}: ${wayToStop(id, address)}; then its directories may be removed`;
  const { unit, became } = left;
  if (became === 'removed')
    return `${unit} is stopped and removed; its directories may be removed now`;
  return became === 'for-root'
    ? `root may stop its gateway now: systemctl disable --now ${unit}; then its directories may be removed`
    : `${unit} of this machine was left alone: its gateway has another certificate, or none that can be read. Stop the gateway of ${id} where that runs`;
}

/** Of a gateway for which there is no unit on this machine: one elsewhere may have one. */
const wayToStop = (id: string, address: string): string =>
  /^(?:localhost|127\.[\d.]+|\[::1\]):/.test(address)
    ? PROCESS
    : `${PROCESS}, or, where systemd runs it, systemctl disable --now ${unitName(id)}`;

const PROCESS = 'end its process (see gateway.pid, or running.json of `grid up`)';

async function drain(
  { signal }: Context,
  broker: Connection<BrokerService>,
  id: string,
  eviction: Eviction,
): Promise<SiteSummary> {
  const request = { id, state: SiteState.SITE_STATE_DRAINING, eviction };
  const { site } = await broker.call.setSiteState(request, { signal });
  if (site === undefined) throw new TypeError('the broker sent no site');
  return site;
}

interface Wish {
  readonly id: string;
  readonly eviction: Eviction;
  readonly timeoutMs: number | undefined;
}

/** Drains, and asks again for what is to be given back, as a task may have been on its way there; throws when time is over. */
async function untilEmpty(
  context: Context,
  broker: Connection<BrokerService>,
  { id, eviction, timeoutMs = Number.POSITIVE_INFINITY }: Wish,
): Promise<SiteSummary> {
  const deadline = performance.now() + timeoutMs;
  return openSteps(context).run(`${id} drains`, async (say) => {
    for (;;) {
      const site = await drain(context, broker, id, eviction);
      const tasks = counted(site.attempts, 'task');
      say(site.attempts === 0 ? 'it is empty' : `${tasks} left`);
      if (site.attempts === 0) return site;
      if (performance.now() > deadline)
        throw new GridError(
          'SITE_NOT_DRAINED',
          `site ${id} still has ${tasks} and goes on draining`,
        );
      await pause(LOOK_MS, context.signal);
      context.signal.throwIfAborted();
    }
  });
}
