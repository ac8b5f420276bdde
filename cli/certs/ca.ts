import type { CertificateRecord } from '../../proto/gen/grid/v1/authority.ts';
import type { Context } from '../context.ts';
import { argument, type Input } from '../input.ts';
import { instantText, table } from '../render.ts';
import { serveOptions } from '../serve.ts';
import { namedAuthority, openCa } from './authority-client.ts';

/** `grid ca init`. */
export async function initCa(context: Context, input: Input): Promise<number> {
  const { initAuthority } = await import('../../cert-authority/main.ts');
  const hostNames = input.list('host-name');
  const made = await initAuthority({
    dir: argument(input, 0),
    name: required(input, 'name'),
    keyKind: keyKindOf(input),
    listen: input.text('listen'),
    public: input.text('public'),
    admin: input.text('admin'),
    trust: input.text('trust'),
    vomsdir: input.text('vomsdir'),
    hostNames: hostNames.length === 0 ? undefined : hostNames,
  });
  const { configFile, dn, trust, vomsdir, adminToken } = made;
  if (context.json) {
    context.terminal.out(JSON.stringify({ dn, configFile, trust, vomsdir, adminToken }));
    return 0;
  }
  const { out, note } = context.terminal;
  out(`authority ${dn}`);
  out(`  serve it:  grid authority serve --config ${configFile}`);
  out(`  trust:     ${trust}`);
  out(`  VOs:       ${vomsdir}`);
  if (adminToken !== undefined) {
    note(`token for ${adminToken.dn}, until ${instantText(adminToken.expiresAtMs)}:`);
    out(`  grid cert request --token ${adminToken.token}`);
  }
  return 0;
}

/** `grid authority serve`. */
export async function serveTheAuthority(context: Context, input: Input): Promise<number> {
  const { serveAuthority } = await import('../../cert-authority/main.ts');
  await serveAuthority(required(input, 'config'), serveOptions(context, input));
  return 0;
}

/** `grid ca token`. */
export async function makeToken(context: Context, input: Input): Promise<number> {
  const token = await (input.text('dir') === undefined
    ? tokenFromServer(context, input)
    : tokenFromFiles(input));
  if (context.json) {
    context.terminal.out(JSON.stringify(token));
    return 0;
  }
  const until = instantText(token.expiresAtMs);
  context.terminal.note(`for ${token.dn}, once, until ${until}: grid cert request --token TOKEN`);
  context.terminal.out(token.token);
  return 0;
}

async function tokenFromFiles(input: Input) {
  const { makeOfflineToken } = await import('../../cert-authority/main.ts');
  return makeOfflineToken(required(input, 'dir'), {
    profile: profileOf(input),
    commonName: required(input, 'name'),
    altNames: input.list('alt-name'),
    lifetimeMs: input.lifetime('lifetime') ?? 0,
  });
}

async function tokenFromServer(context: Context, input: Input) {
  const { CertProfile } = await import('../../proto/gen/grid/v1/authority.ts');
  const wire = {
    user: CertProfile.CERT_PROFILE_USER,
    host: CertProfile.CERT_PROFILE_HOST,
    robot: CertProfile.CERT_PROFILE_ROBOT,
  };
  using ca = await openCa(context);
  const request = {
    profile: wire[profileOf(input)],
    commonName: required(input, 'name'),
    altNames: [...input.list('alt-name')],
    tokenLifetimeMs: input.lifetime('lifetime') ?? 0,
  };
  return await ca.call.createToken(request, { signal: context.signal });
}

/** `grid ca ls`. */
export async function listCertificates(context: Context, input: Input): Promise<number> {
  using ca = await openCa(context);
  const request = { dn: input.text('dn') ?? '' };
  const { certificates } = await ca.call.listCertificates(request, { signal: context.signal });
  const rows = certificates.map((record) => ({
    serial: record.serial,
    dn: record.dn,
    profile: PROFILE_NAMES.get(record.profile) ?? 'unknown',
    notBeforeMs: record.notBeforeMs,
    notAfterMs: record.notAfterMs,
    state: stateOf(record),
    ...(record.revokedAtMs === 0
      ? {}
      : { revokedAtMs: record.revokedAtMs, reason: record.revocationReason }),
  }));
  if (context.json) {
    context.terminal.out(JSON.stringify(rows));
    return 0;
  }
  const cells = rows.map((row) => [
    row.state,
    instantText(row.notAfterMs),
    row.profile,
    row.dn,
    row.serial,
  ]);
  const headings = ['state', 'until', 'profile', 'subject', 'serial'];
  context.terminal.out(table(headings, cells, context.colours, context.terminal.columns));
  return 0;
}

const PROFILE_NAMES: ReadonlyMap<number, string> = new Map([
  [1, 'user'],
  [2, 'host'],
  [3, 'robot'],
]);

function stateOf(record: CertificateRecord): 'revoked' | 'expired' | 'valid' {
  if (record.revokedAtMs > 0) return 'revoked';
  return record.notAfterMs <= Date.now() ? 'expired' : 'valid';
}

/** `grid ca revoke`. */
export async function revokeCertificate(context: Context, input: Input): Promise<number> {
  const serial = argument(input, 0).replaceAll(':', '').toLowerCase();
  using ca = await openCa(context);
  const reason = input.text('reason') ?? 'unspecified';
  await ca.call.revoke({ serial, reason }, { signal: context.signal });
  if (context.json) context.terminal.out(JSON.stringify({ serial, reason, revoked: true }));
  else context.terminal.out(`revoked ${serial}`);
  context.terminal.note('others refuse it as soon as they have fetched the new revocation list');
  return 0;
}

/** `grid ca trust`. */
export async function refreshTrust(context: Context, input: Input): Promise<number> {
  const settings = await context.settings();
  const { fetchTrust, installTrust, meetAuthority, parseFingerprint } = await import(
    '../../service/trust/fetch-trust.ts'
  );
  const { signal } = context;
  const address = input.text('authority') ?? namedAuthority(settings);
  const dir = input.text('dir') ?? settings.trust;
  const fingerprint = input.text('fingerprint');
  const caPem =
    fingerprint === undefined
      ? (await import('../../service/trust/read-trust.ts')).readAuthorities(dir)
      : await meetAuthority(address, parseFingerprint(fingerprint), signal);
  const trusted = await fetchTrust(address, caPem, signal);
  await installTrust(trusted, { dir, vomsDir: input.text('vomsdir') });
  const vos = trusted.vos.map(({ vo }) => vo);
  if (context.json) {
    context.terminal.out(JSON.stringify({ dn: trusted.certificate.subject, dir, vos }));
    return 0;
  }
  context.terminal.out(`${trusted.certificate.subject} is trusted in ${dir}`);
  return 0;
}

/** An option that commander has made sure of. */
function required(input: Input, name: string): string {
  const value = input.text(name);
  if (value === undefined) throw new TypeError(`--${name} is required`);
  return value;
}

/** `--key-kind`; undefined where it was not given. */
export function keyKindOf(input: Input): 'ec' | 'rsa' | undefined {
  const kind = input.text('key-kind');
  return kind === 'ec' || kind === 'rsa' ? kind : undefined;
}

function profileOf(input: Input): 'user' | 'host' | 'robot' {
  const profile = input.text('profile');
  if (profile === 'host' || profile === 'robot') return profile;
  return 'user';
}
