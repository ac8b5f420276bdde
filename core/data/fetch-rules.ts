/** Which hosts a site fetches inputs from. */
export interface FetchRule {
  /** A host, `*.domain` for those below a domain, or `*` for every public one. */
  readonly host: string;
  readonly port: number;
}

const HTTPS_PORT = 443;
const HOST = /^(?:\*|(?:\*\.)?[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\])$/;

/** `data.example.org`, `*.example.org`, `*`, each with or without `:port`; undefined for anything else. */
export function parseFetchRule(text: string): FetchRule | undefined {
  const [, host = '', port] = /^(.*?)(?::(\d{1,5}))?$/s.exec(text.toLowerCase()) ?? [];
  const number = port === undefined ? HTTPS_PORT : Number(port);
  return HOST.test(host) && number > 0 && number <= 65_535 ? { host, port: number } : undefined;
}

/**
 * What a site's rules say of an address: `named` where one has this very host, so that its administrator knows where it
 * leads; `public` where a wildcard takes it, which is no word for the site's own network; undefined for a no.
 */
export function ruleFor(
  rules: readonly FetchRule[],
  { hostname, port }: { readonly hostname: string; readonly port: string },
): 'named' | 'public' | undefined {
  const host = hostname.toLowerCase();
  const wanted = port === '' ? HTTPS_PORT : Number(port);
  const fitting = rules.filter((rule) => rule.port === wanted && isHost(rule.host, host));
  if (fitting.some((rule) => rule.host === host)) return 'named';
  return fitting.length === 0 ? undefined : 'public';
}

const isHost = (rule: string, host: string): boolean =>
  rule === host || rule === '*' || (rule.startsWith('*.') && host.endsWith(rule.slice(1)));

/** The first of the hosts that are wanted, `host` or `host:port`, which no rule takes. */
export const unfetchedHost = (
  wanted: readonly string[],
  rules: readonly FetchRule[],
): string | undefined =>
  wanted.find((host) => ruleFor(rules, new URL(`https://${host}`)) === undefined);

const SHOWN = 5;

/** Rules as they are written in a site's configuration, for a message. */
export function formatFetchRules(rules: readonly FetchRule[]): string {
  if (rules.length === 0) return 'no host';
  const written = rules
    .slice(0, SHOWN)
    // Every host is not every port, which whoever reads `*` alone would think.
    .map(({ host, port }) => (port === HTTPS_PORT && host !== '*' ? host : `${host}:${port}`))
    .join(', ');
  return rules.length > SHOWN ? `${written} and ${rules.length - SHOWN} more` : written;
}
