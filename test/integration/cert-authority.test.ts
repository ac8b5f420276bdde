import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { initAuthority, makeOfflineToken } from '../../cert-authority/main.ts';
import { CertProfile } from '../../proto/gen/grid/v1/authority.ts';
import { makeSigningRequest } from '../../service/pki/csr.ts';
import { makeProxy } from '../../service/pki/proxy-cert.ts';
import { certificatesFromPem } from '../../service/pki/x509.ts';
import {
  AUTHORITY_BASE,
  type Credential,
  type LiveAuthority,
  liveAuthority,
} from '../fakes/live-authority.ts';
import { needs } from '../setup/needs.ts';

const DAY_MS = 86_400_000;
const PERSON = { profile: 'user', altNames: [] } as const;

needs('openssl', 'openssl');

let authority: LiveAuthority;
let admin: Credential;
let scratch: string;
beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'ca-test-'));
  authority = await liveAuthority();
  const { token = '' } = authority.made.adminToken ?? {};
  const { keyPem, csr } = await makeSigningRequest('ec', 'Ada');
  admin = { certPem: await enrol(token, csr), keyPem };
});
afterAll(async () => {
  await authority[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true });
});

async function enrol(token: string, csr: Uint8Array, lifetimeMs = 0): Promise<string> {
  using client = authority.ca();
  const response = await client.call.enrol({ token, csr: Buffer.from(csr), lifetimeMs });
  return response.certificatePem;
}

const tokenFor = async (commonName: string): Promise<string> =>
  (await makeOfflineToken(authority.dir, { ...PERSON, commonName })).token;

const openssl = (...args: readonly string[]): string =>
  execFileSync('openssl', args, { encoding: 'utf8', cwd: scratch, stdio: 'pipe' });

function saved(name: string, content: string | Uint8Array): string {
  const file = join(scratch, name);
  writeFileSync(file, content);
  return file;
}

const serialOf = (certPem: string): string => certificatesFromPem(certPem)[0]?.serial ?? '';

describe('enrolment', () => {
  test('a token yields the certificate that it names, whatever the request says', async () => {
    const { csr } = await makeSigningRequest('ec', 'Mallory');
    const [certificate] = certificatesFromPem(await enrol(await tokenFor('Grace Hopper'), csr));
    expect(certificate?.subject).toBe(`${AUTHORITY_BASE}/OU=People/CN=Grace Hopper`);
  });

  test('a host gets its names, a robot its prefix', async () => {
    using client = authority.ca(admin);
    const host = await client.call.createToken({
      profile: CertProfile.CERT_PROFILE_HOST,
      commonName: 'gw.example.org',
      altNames: ['192.0.2.7', '2001:db8::7'],
      tokenLifetimeMs: 0,
    });
    const { csr } = await makeSigningRequest('rsa', 'x');
    const certificate = new X509Certificate(await enrol(host.token, csr));
    expect(certificate.subjectAltName).toBe(
      'DNS:gw.example.org, IP Address:192.0.2.7, IP Address:2001:DB8:0:0:0:0:0:7',
    );
    const robot = await client.call.createToken({
      profile: CertProfile.CERT_PROFILE_ROBOT,
      commonName: 'nightly',
      altNames: [],
      tokenLifetimeMs: 0,
    });
    expect(robot.dn).toBe(`${AUTHORITY_BASE}/OU=Robots/CN=Robot: nightly`);
  });

  test('of two that use one token at once, one gets a certificate', async () => {
    const token = await tokenFor('Twin');
    const requests = await Promise.all([1, 2, 3].map(() => makeSigningRequest('ec', 'Twin')));
    const outcomes = await Promise.allSettled(requests.map(({ csr }) => enrol(token, csr)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const refusals = outcomes.filter((one) => one.status === 'rejected');
    expect(refusals.map(({ reason }) => String(reason))).toEqual(
      Array(2).fill('GridError: the token has been used before'),
    );
  });

  test('a used token stays used after a restart', async () => {
    const token = await tokenFor('Patient');
    await enrol(token, (await makeSigningRequest('ec', 'x')).csr);
    await authority.restart();
    const again = enrol(token, (await makeSigningRequest('ec', 'x')).csr);
    await expect(again).rejects.toThrow('used before');
  });

  test('a refused request leaves the token good', async () => {
    const token = await tokenFor('Clumsy');
    await expect(enrol(token, new Uint8Array([1, 2, 3]))).rejects.toThrow('PKCS#10');
    const { csr } = await makeSigningRequest('ec', 'x');
    await expect(enrol(token, csr)).resolves.toContain('BEGIN CERTIFICATE');
  });

  test('an expired token, and one of another authority, are refused', async () => {
    const { csr } = await makeSigningRequest('ec', 'x');
    const clock = { nowMs: () => Date.now() - 2 * DAY_MS, monotonicMs: () => 0 };
    const wanted = { ...PERSON, commonName: 'Late' };
    const old = await makeOfflineToken(authority.dir, { ...wanted, clock });
    await expect(enrol(old.token, csr)).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
    const foreignDir = join(scratch, 'foreign');
    await initAuthority({ dir: foreignDir, name: `${AUTHORITY_BASE}/CN=Example Grid CA` });
    const foreign = await makeOfflineToken(foreignDir, wanted);
    await expect(enrol(foreign.token, csr)).rejects.toThrow('not made by this authority');
  });

  test.for([
    ['rsa:1024', [], 'rsa-1024 key is too weak'],
    ['ec', ['-pkeyopt', 'ec_paramgen_curve:secp256k1'], 'known key type'],
  ] as const)('a new %s key is refused', async ([algorithm, options, why]) => {
    const file = join(scratch, 'weak.der');
    const output = [
      '-nodes',
      '-keyout',
      join(scratch, 'weak.key'),
      '-outform',
      'der',
      '-out',
      file,
    ];
    openssl('req', '-new', '-newkey', algorithm, ...options, ...output, '-subj', '/CN=x');
    await expect(enrol(await tokenFor('Weak'), readFileSync(file))).rejects.toThrow(why);
  });

  test('a request that another key has signed is refused', async () => {
    const { csr } = await makeSigningRequest('ec', 'x');
    csr.set([(csr.at(-1) ?? 0) ^ 1], csr.length - 1);
    await expect(enrol(await tokenFor('Liar'), csr)).rejects.toThrow('not made by its own key');
  });

  test('a key is certified once only', async () => {
    const { csr } = await makeSigningRequest('ec', 'x');
    await enrol(await tokenFor('First'), csr);
    await expect(enrol(await tokenFor('Second'), csr)).rejects.toThrow('certified before');
  });

  test('a name that people would take for another’s is refused', async () => {
    await enrol(await tokenFor('Jane Doe'), (await makeSigningRequest('ec', 'x')).csr);
    const like = enrol(await tokenFor('JANE doe'), (await makeSigningRequest('ec', 'x')).csr);
    await expect(like).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  });

  test('the name of a VO’s signer is for nobody else', async () => {
    const { token } = await makeOfflineToken(authority.dir, {
      profile: 'host',
      commonName: 'vo-signer.demo',
      altNames: [],
    });
    const { csr } = await makeSigningRequest('rsa', 'x');
    await expect(enrol(token, csr)).rejects.toThrow('for the signer of a VO');
  });

  test('life is cut to what the profile allows', async () => {
    const { csr } = await makeSigningRequest('ec', 'x');
    const [certificate] = certificatesFromPem(
      await enrol(await tokenFor('Methuselah'), csr, 10_000 * DAY_MS),
    );
    const days = ((certificate?.notAfterMs ?? 0) - Date.now()) / DAY_MS;
    expect(days).toBeGreaterThan(399);
    expect(days).toBeLessThan(401);
  });
});

describe('administration', () => {
  test('is refused to others, to nobody in particular, and to limited proxies', async () => {
    const grace = await authority.enrol('Plain User');
    const limited = await makeProxy({
      ...admin,
      lifetimeMs: DAY_MS,
      nowMs: Date.now(),
      kind: 'limited',
      keyKind: 'ec',
    });
    using anonymous = authority.ca();
    using user = authority.ca(grace);
    using job = authority.ca({ certPem: limited.chainPem, keyPem: limited.keyPem });
    const ask = { dn: '' };
    await expect(anonymous.call.listCertificates(ask)).rejects.toThrow('NO_CERT');
    await expect(user.call.listCertificates(ask)).rejects.toThrow('no administrator');
    await expect(job.call.listCertificates(ask)).rejects.toThrow('limited proxy');
  });

  test('lists what was issued, newest first', async () => {
    await authority.enrol('Newest');
    using client = authority.ca(admin);
    const { certificates } = await client.call.listCertificates({ dn: '' });
    expect(certificates[0]?.dn).toBe(`${AUTHORITY_BASE}/OU=People/CN=Newest`);
    const { certificates: one } = await client.call.listCertificates({
      dn: certificates[0]?.dn ?? '',
    });
    expect(one).toHaveLength(1);
  });
});

describe('revocation', () => {
  test('the list has it at once, OpenSSL and the authority itself refuse it', async () => {
    const lost = await authority.enrol('Lost Laptop');
    using held = authority.vo(lost);
    await held.call.listVos({});
    const serial = serialOf(lost.certPem);
    using client = authority.ca(admin);
    const { crlPem } = await client.call.revoke({ serial, reason: 'key-compromise' });
    const text = openssl('crl', '-noout', '-text', '-in', saved('after.crl', crlPem));
    expect(text).toContain(serial.toUpperCase());
    expect(text).toContain('Key Compromise');
    const file = saved('lost.pem', lost.certPem);
    const check = ['-crl_check', '-CAfile', join(authority.dir, 'ca.pem'), '-CRLfile', 'after.crl'];
    expect(() => openssl('verify', ...check, file)).toThrow('certificate revoked');
    await expect(held.call.listVos({})).rejects.toMatchObject({
      code: expect.stringMatching(/^(?:UNAVAILABLE|UNAUTHENTICATED)$/),
    });
    using again = authority.vo(lost);
    await expect(again.call.listVos({})).rejects.toThrow('REVOKED');
  });

  test('the holder may do it, nobody else', async () => {
    const [one, other] = await Promise.all([authority.enrol('One'), authority.enrol('Other')]);
    using client = authority.ca(one);
    const foreign = client.call.revoke({ serial: serialOf(other.certPem), reason: '' });
    await expect(foreign).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    const unknown = client.call.revoke({ serial: 'ff', reason: '' });
    await expect(unknown).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    const own = client.call.revoke({ serial: serialOf(one.certPem), reason: 'superseded' });
    await expect(own).resolves.toMatchObject({ crlPem: expect.stringContaining('X509 CRL') });
  });

  test('of many at once, none is missing in the list that stays', async () => {
    const lost = await Promise.all([1, 2, 3, 4].map((n) => authority.enrol(`Lost ${n}`)));
    using client = authority.ca(admin);
    const serials = lost.map(({ certPem }) => serialOf(certPem));
    await Promise.all(serials.map((serial) => client.call.revoke({ serial, reason: '' })));
    const [name = ''] = readdirSync(authority.made.trust).filter((file) => file.endsWith('.r0'));
    const text = openssl('crl', '-noout', '-text', '-in', join(authority.made.trust, name));
    expect(serials.filter((serial) => !text.includes(serial.toUpperCase()))).toEqual([]);
  });

  test('unknown serials and reasons are named', async () => {
    using client = authority.ca(admin);
    const unknown = client.call.revoke({ serial: 'ff', reason: '' });
    await expect(unknown).rejects.toMatchObject({ code: 'CERT_NOT_FOUND' });
    const serial = serialOf(admin.certPem);
    const odd = client.call.revoke({ serial, reason: 'boredom' });
    await expect(odd).rejects.toThrow("'boredom' is none of unspecified");
  });
});

describe('renewal', () => {
  test('gives the same name to a new key', async () => {
    const old = await authority.enrol('Renewing');
    const { keyPem, csr } = await makeSigningRequest('ec', 'x');
    using client = authority.ca(old);
    const request = { csr: Buffer.from(csr), lifetimeMs: 0 };
    const { certificatePem } = await client.call.renewCertificate(request);
    const [before] = certificatesFromPem(old.certPem);
    const [after] = certificatesFromPem(certificatePem);
    expect(after?.subject).toBe(before?.subject);
    expect(after?.serial).not.toBe(before?.serial);
    expect(new X509Certificate(certificatePem).checkPrivateKey(createPrivateKey(keyPem))).toBe(
      true,
    );
    await expect(client.call.renewCertificate(request)).rejects.toThrow('certified before');
  });

  test('is not for proxies', async () => {
    const own = await authority.enrol('Proxied');
    const times = { lifetimeMs: DAY_MS, nowMs: Date.now() };
    const proxy = await makeProxy({ ...own, ...times, kind: 'full', keyKind: 'ec' });
    using client = authority.ca({ certPem: proxy.chainPem, keyPem: proxy.keyPem });
    const { csr } = await makeSigningRequest('ec', 'x');
    const renewal = client.call.renewCertificate({ csr: Buffer.from(csr), lifetimeMs: 0 });
    await expect(renewal).rejects.toThrow('a proxy cannot renew');
  });
});
