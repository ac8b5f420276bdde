/** A trouble of the link between broker and gateway, and what mends it; HOST is the gateway's, NAME that of its certificate. */
const REMEDIES: readonly (readonly [RegExp, string])[] = [
  [
    /refuses the broker: (?:NOT_YET_VALID|EXPIRED)/,
    "on HOST: is the clock right (`timedatectl`)? if it is, the broker's certificate has to be renewed (`grid cert renew`)",
  ],
  [
    /refuses the broker: (?:NO_CRL|CRL_EXPIRED)/,
    'on HOST: `grid ca trust --authority HOST:PORT --dir DIR` with the trust directory fetches the list; with `authority:` in site.yaml the gateway does so itself',
  ],
  [
    /refuses the broker: REVOKED/,
    'an administrator of the grid gives the broker a new certificate (`grid ca token --profile host`)',
  ],
  [
    /refuses the broker: (?:UNTRUSTED_ISSUER|BAD_SIGNATURE|NO_SIGNING_POLICY|NAMESPACE)/,
    "on HOST: the trust directory of the gateway lacks the broker's authority, or has an old copy of it: `grid ca trust`",
  ],
  [
    /is not the broker of this site/,
    'on HOST: `broker-dn` in site.yaml has to be the DN of the broker',
  ],
  [
    /its certificate has expired/,
    'on HOST, if the clock of the broker is right: a new token (`grid ca token --profile host --name NAME`), `grid cert request --force --token TOKEN --out DIR` with the directory of hostcert.pem',
  ],
  [/its certificate is not valid yet/, 'set the clocks of HOST and of the broker (`timedatectl`)'],
  [
    /its certificate has been revoked/,
    'on HOST: a new token (`grid ca token --profile host --name NAME`), `grid cert request --force --token TOKEN --out DIR`',
  ],
  [
    /is of no trusted authority/,
    'on HOST: `certificate` in site.yaml has to be from an authority of the grid; or the broker trusts it (`grid ca trust`)',
  ],
  [
    /its certificate is not for/,
    'the site was added under an address that is not in its certificate: leave and invite it again with the name by which the broker reaches it',
  ],
  [
    /the gateway is .* is enrolled/,
    'another gateway answers at this address: look at the port, and at `certificate` in site.yaml',
  ],
  [
    /revocation list/,
    'at the broker: `grid ca trust --authority HOST:PORT --dir DIR` with its trust directory, every few hours (cron)',
  ],
  [/cannot be resolved/, 'the site was added under a name that the broker cannot resolve'],
  [
    /no way leads to|Deadline exceeded/,
    'is HOST up, and does its firewall let the broker in at the port?',
  ],
];

/** Why a site takes nothing, or nothing more, in its own words, and what mends it. */
const CLOSED: readonly (readonly [RegExp, string])[] = [
  [
    /Protocol authentication error|munge|authentication credential/i,
    'on HOST: does munged run there, with the key of the controller, and do their clocks agree (`munge -n | unmunge`)?',
  ],
  [
    /there is no (?:partition|reservation|queue)|which `[\w.]+` in the configuration names/,
    'on HOST: correct that setting in site.yaml, and start the gateway again',
  ],
  [
    /^Slurm does not answer/,
    'on HOST, as the account of the gateway: `sinfo`; does slurmctld run? the site opens by itself',
  ],
  [
    /^Grid Engine does not answer/,
    'on HOST, as the account of the gateway: `qstat -f`; does sge_qmaster run? the site opens by itself',
  ],
  [
    /takes no more jobs/,
    'on HOST, as the account of the gateway: `sinfo`, `squeue`, `sacctmgr show assoc` (`qstat -f` on Grid Engine); the site opens by itself',
  ],
  [/no node of partition/, '`sinfo -R` says why; once a node is up the site opens by itself'],
  [
    /shows this account no partition/,
    'AllowGroups and AllowAccounts of the partition in slurm.conf have to let the account of the gateway in',
  ],
  [
    /^disk full/,
    'make room on the disk of the spool (`grid site cache prune`), or set `min-free-disk` in site.yaml; the site opens by itself',
  ],
  [
    /spool cannot be written/,
    'on HOST: is its file system mounted for writing, and may the account of the gateway write there? the site opens by itself',
  ],
  [/^in use/, 'its owner is there: tasks begin when nobody has used it for `owner.idle-after`'],
];

/** What to do where a site is closed; `reason` is what it says. */
export const closedRemedy = ({ address }: { readonly address: string }, reason: string): string =>
  (
    CLOSED.find(([pattern]) => pattern.test(reason))?.[1] ??
    'mend that at the site; it opens by itself'
  ).replaceAll('HOST', hostOf(address));

/** What to do where a task of the probe ended badly, by what the site says of it; undefined where that tells no more than the link. */
export function failureRemedy(words: string): string | undefined {
  if (/never began|without a word from its script/.test(words))
    return 'mostly the compute nodes do not see the spool under the same path (name a shared directory with `spool` in site.yaml), or the account of the gateway is not there: the log of slurmd or sge_execd on the node says which';
  return undefined;
}

/** What a member does where the broker itself cannot be met. */
export function brokerRemedy(message: string, usual: string): string {
  if (/its certificate|revocation list/.test(message))
    return 'is the clock of this machine right (`grid cert doctor`)? if it is, tell the administrator of the broker';
  return usual;
}

const hostOf = (address: string): string => address.replace(/:\d+$/, '');

/** What to do where the broker does not hear a gateway; `detail` is what the broker says of it. */
export function linkRemedy(
  { id, address, dn }: { readonly id: string; readonly address: string; readonly dn: string },
  detail: string,
): string {
  const host = hostOf(address);
  const [, known] = REMEDIES.find(([pattern]) => pattern.test(detail)) ?? [];
  return (
    known?.replace(/\bHOST\b(?!:PORT)/g, host).replaceAll('NAME', dn.replace(/^.*\/CN=/, '')) ??
    `is its gateway running, and the port open? look at its log on ${host} (systemctl status hanse-site-${id}, or gateway.log)`
  );
}
