import { lookup } from 'node:dns/promises';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GridError } from '../../core/errors.ts';
import { ensureDirectory } from '../../service/directories.ts';
import { peekToken } from '../../service/pki/enrolment-token.ts';
import { certificatesFromPem } from '../../service/pki/x509.ts';
import { writeAtomic } from '../../service/write-atomic.ts';
import { obtainCertificate } from '../certs/cert.ts';
import { homeOf } from '../config.ts';
import type { Context } from '../context.ts';
import { argument, type Input } from '../input.ts';
import { openSteps } from '../up/steps.ts';
import { gatewayAccount, handOver, makeWay } from './account.ts';
import { assertNoTasks, untilWelcome } from './await-broker.ts';
import { enrolAdvice } from './enrol-advice.ts';
import { startGateway } from './gateway-process.ts';
import { type SiteLayout, siteLayout } from './layout.ts';
import { parseSiteToken, type SiteToken } from './token.ts';
import {
  hasSystemd,
  needsOpener,
  openerName,
  openerOf,
  systemdVersion,
  unitOf,
  unitUser,
} from './unit.ts';

type Found = Extract<Awaited<ReturnType<typeof findLrms>>, { readonly lrms: string }>;

/**
 * `grid site enrol`: from a token to a gateway that the broker gives work to. What an earlier run has done is kept, so
 * that it can be run again after whatever it complained of was mended.
 */
export async function enrolSite(context: Context, input: Input): Promise<number> {
  const word = argument(input, 0);
  const token = parseSiteToken(word === '-' ? await context.terminal.readStdin() : word);
  const layout = siteLayout(context, input, token.site);
  const user = await gatewayAccount(context, input, token.site);
  const steps = openSteps(context);
  const found = await steps.run('batch system', async (say) => {
    const seen = await findLrms(context, input);
    if ('trouble' in seen) throw new GridError(seen.code, seen.trouble);
    say(seen.words);
    return seen;
  });
  makeWay(layout);
  await steps.run('certificate', async (say) =>
    say(await ensureCertificate(token, layout, context.signal)),
  );
  await steps.run('configuration', async (say) =>
    say(await ensureConfig(context, input, token, layout, found)),
  );
  const before = hasSystemd() ? unitUser(token.site) : undefined;
  if (before !== undefined && before !== user && user !== 'root')
    await assertNoTasks({ token, layout, signal: context.signal }, { before, after: user });
  await handOver(layout, user, context.signal);
  if (input.on('print-unit')) {
    const systemd = await systemdVersion(context.signal);
    context.terminal.out(unitOf({ site: token.site, layout, user, systemd }).trimEnd());
    if (needsOpener(systemd))
      context.terminal.out(`\n# ${openerName(token.site)}\n${openerOf(token.site).trimEnd()}`);
    return 0;
  }
  await steps.run('gateway', async (say) =>
    say(await startGateway(token.site, layout, user, context)),
  );
  const { state, clockAheadMs } = await steps.run(`broker ${token.broker}`, (say) =>
    untilWelcome({ token, layout, signal: context.signal, say }),
  );
  const { site, address } = token;
  const { dir, config, spool, logStem } = layout;
  if (context.json) {
    const log = `${logStem}.log`;
    context.terminal.out(
      JSON.stringify({ site, address, state, lrms: found.lrms, dir, config, spool, log }),
    );
    return 0;
  }
  context.terminal.out(`site ${site} is ${state}: its configuration is ${config}`);
  const { elsewhere } = found;
  const hasMap = await hasAccountMap(config);
  const facts = { user, spool, hasMap, hasSystemd: hasSystemd(), elsewhere, clockAheadMs };
  for (const line of enrolAdvice(facts)) context.terminal.note(line);
  context.terminal.note(`try it, as a member of a VO: grid site test ${site}`);
  return 0;
}

async function findLrms(context: Context, input: Input) {
  const { findLrms: find } = await import('../../site-gateway/main.ts');
  // A PC has an owner; the batch system of a cluster has rules of its own.
  return find(context.env, input.text('lrms') ?? (input.on('owner') ? 'fork' : undefined));
}

async function ensureCertificate(
  token: SiteToken,
  layout: SiteLayout,
  signal: AbortSignal,
): Promise<string> {
  const { dn } = peekToken(token.enrolment);
  const [present] = existsSync(layout.certificate)
    ? certificatesFromPem(readFileSync(layout.certificate, 'utf8'))
    : [];
  if (present !== undefined && present.notAfterMs > Date.now()) {
    if (present.subject === dn) return `${dn} is there already`;
    throw new GridError(
      'ALREADY_EXISTS',
      `${layout.certificate} is of ${present.subject}, and the token is for ${dn}: name another --dir`,
    );
  }
  const { certificate: cert, key, trust } = layout;
  await obtainCertificate({
    token: token.enrolment,
    places: { cert, key, trust },
    kind: 'ec',
    lifetimeMs: 0,
    signal,
  });
  return dn;
}

async function hasAccountMap(config: string): Promise<boolean> {
  const { parse } = await import('yaml');
  const { accounts }: { accounts?: unknown } = parse(readFileSync(config, 'utf8')) ?? {};
  return Array.isArray(accounts) && accounts.length > 0;
}

/** Writes site.yaml; one that is there is left as it is, if it is of this site. */
async function ensureConfig(
  context: Context,
  input: Input,
  token: SiteToken,
  layout: SiteLayout,
  found: Found,
): Promise<string> {
  const { parse, stringify } = await import('yaml');
  if (existsSync(layout.config)) {
    const { site }: { site?: unknown } = parse(readFileSync(layout.config, 'utf8')) ?? {};
    if (site === token.site) return `${layout.config} is there already`;
    throw new GridError(
      'ALREADY_EXISTS',
      `${layout.config} is of site '${String(site)}', not ${token.site}: name another --dir`,
    );
  }
  const admins = [...input.list('admin'), ...ownDn(context)];
  const settings = {
    site: token.site,
    listen: await listenAt(token.address),
    certificate: 'hostcert.pem',
    key: 'hostkey.pem',
    trust: 'certificates',
    authority: peekToken(token.enrolment).address,
    'broker-dn': token.brokerDn,
    spool: layout.spool,
    lrms: found.lrms,
    ...found.settings,
    ...(input.on('owner') ? { owner: {} } : {}),
    ...(admins.length === 0 ? {} : { admins: [...new Set(admins)] }),
  };
  ensureDirectory(layout.spool, 0o700);
  const head =
    '# Made by `grid site enrol`; `grid site serve --config FILE --print-config` explains every setting.\n';
  await writeAtomic(layout.config, head + stringify(settings), 0o600);
  return layout.config;
}

/** Who enrols a site and has a certificate of the grid administers the site, too. */
function ownDn({ env }: Context): readonly string[] {
  const home = homeOf(env, env['HOME'] ?? '/');
  const file = env['X509_USER_CERT'] ?? join(home, 'usercert.pem');
  if (!existsSync(file)) return [];
  return certificatesFromPem(readFileSync(file, 'utf8'))
    .slice(0, 1)
    .map(({ subject }) => subject);
}

/** All addresses of the machine; the loopback alone where its name means nothing else. */
async function listenAt(address: string): Promise<string> {
  const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(address) ?? [];
  const found = await lookup(host, { all: true }).catch(() => []);
  const inside = found.length > 0 && found.every((one) => /^(?:127\.|::1$)/.test(one.address));
  return `${inside ? '127.0.0.1' : '0.0.0.0'}:${port}`;
}
