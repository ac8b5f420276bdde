/** A trouble of the link between broker and gateway, and what mends it; HOST is the gateway's, ID the site's. */
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
    'on HOST, if the clock of the broker is right: a new token (`grid ca token --profile host --name HOST`), `grid cert request --force --token TOKEN --out DIR` with the directory of hostcert.pem, and a restart of the gateway',
  ],
  [/its certificate is not valid yet/, 'set the clocks of HOST and of the broker (`timedatectl`)'],
  [
    /its certificate has been revoked/,
    'on HOST: a new token (`grid ca token --profile host --name HOST`), `grid cert request --force --token TOKEN --out DIR`, and a restart of the gateway',
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

/** What to do where the broker does not hear a gateway; `detail` is what the broker says of it. */
export function linkRemedy(
  { id, address }: { readonly id: string; readonly address: string },
  detail: string,
): string {
  const host = address.replace(/:\d+$/, '');
  const [, known] = REMEDIES.find(([pattern]) => pattern.test(detail)) ?? [];
  return (
    known?.replace(/\bHOST\b(?!:PORT)/g, host) ??
    `is its gateway running, and the port open? look at its log on ${host} (systemctl status hanse-site-${id}, or gateway.log)`
  );
}
