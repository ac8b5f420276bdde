import { counted } from '../../core/units.ts';
import { type BrokerService, SiteState, type SiteSummary } from '../../proto/gen/grid/v1/broker.ts';
import type { CheckedJob } from '../../service/documents/check-jobs.ts';
import type { Connection } from '../../service/rpc/grpc-client.ts';
import { specToWire } from '../../service/rpc/wire.ts';
import { closedRemedy, linkRemedy } from './link-remedy.ts';
import { BrokenLink, type Held, held } from './probe-links.ts';
import { clockText } from './sites.ts';

/** Whether the broker would send a site anything at all. */
export async function checkSite(
  broker: Connection<BrokerService>,
  id: string,
  signal: AbortSignal,
): Promise<Held<void>> {
  const { sites } = await broker.call.listSites({}, { signal });
  const site = sites.find((one) => one.id === id);
  if (site === undefined)
    throw new BrokenLink(
      `the broker knows no site '${id}', only ${sites.map((one) => one.id).join(', ') || 'none'}`,
      'an administrator of the grid runs `grid site invite`',
    );
  const broken = troubleOf(site);
  if (broken !== undefined) throw broken;
  const { offer } = site;
  return held(
    undefined,
    `${offer?.lrms} at ${site.address}, ${offer?.freeCpus} of ${counted(offer?.totalCpus ?? 0, 'cpu')} free`,
  );
}

/** Why nothing goes to a site, from the broker's side. */
function troubleOf(site: SiteSummary): BrokenLink | undefined {
  const { id, state, detail, address, quarantined, offer } = site;
  if (state === SiteState.SITE_STATE_DRAINING)
    return new BrokenLink('it is draining', `\`grid site resume ${id}\``);
  if (state === SiteState.SITE_STATE_LOST || detail.startsWith('not connected'))
    return new BrokenLink(`the broker does not hear it: ${detail}`, linkRemedy(site, detail));
  if (state !== SiteState.SITE_STATE_UP || offer === undefined)
    return new BrokenLink(
      `the broker has never heard of it at ${address}${detail === '' ? '' : `: ${detail}`}`,
      linkRemedy(site, detail),
    );
  if (offer.closedReason !== '')
    return new BrokenLink(
      `it takes nothing: ${offer.closedReason}`,
      closedRemedy(site, offer.closedReason),
    );
  if (site.clockAheadMs !== 0)
    return new BrokenLink(
      clockText(site.clockAheadMs),
      `set the clock of ${address.replace(/:\d+$/, '')} (\`timedatectl\`, NTP), or that of the broker: certificates are refused where they differ by more than a minute`,
    );
  if (quarantined !== '')
    return new BrokenLink(
      `it is in quarantine: ${quarantined}`,
      `mend that, then \`grid site resume ${id}\``,
    );
  return undefined;
}

/** That it would have to wait is no fault of the site's. */
const BUSY = 'no-free-slots';

/** Where the site says what a refusal is about; all else is too little of something. */
const MATCH_REMEDIES: Readonly<Record<string, string>> = {
  'vo-not-served': 'name the VO in `vos` of site.yaml, or test it with --vo as a member of another',
  'no-account': 'a rule in `accounts` of site.yaml has to cover you',
  'policy-refuses': '`policy` in site.yaml says so; the test needs 1 cpu, 64 MiB and 5 minutes',
  'walltime-too-long':
    '`max-walltime` in site.yaml, or the limits of its queues, are below 5 minutes',
  'site-quarantined': '`grid site resume`, once what failed there is mended',
  'quota-reached': 'a manager of the VO can raise it: `grid share ls`',
};
const matchRemedy = (refusal: string): string =>
  MATCH_REMEDIES[refusal] ?? "see the site's limits in site.yaml, and `grid site status`";

/** Whether the site would take the probe. */
export async function checkMatch(
  broker: Connection<BrokerService>,
  site: string,
  { spec }: CheckedJob,
  signal: AbortSignal,
): Promise<Held<void>> {
  const why = await broker.call.explainJob({ spec: specToWire(spec) }, { signal });
  const verdictOf = why.sites.find((one) => one.site === site);
  if (verdictOf === undefined) throw new BrokenLink('the broker says nothing of it', why.answer);
  const { matches, refusal, detail } = verdictOf;
  if (matches) return held(undefined, 'takes a job of 1 cpu, 64 MiB and 5 minutes');
  if (refusal === BUSY) return held(undefined, `takes it, after a wait: ${detail}`);
  throw new BrokenLink(`${refusal}: ${detail}`, matchRemedy(refusal));
}
