import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadAuthorityKeys } from '../../cert-authority/keys.ts';
import { makeOfflineToken } from '../../cert-authority/main.ts';
import { makeCrl } from '../../service/pki/crl.ts';
import { toPem } from '../../service/pki/pem.ts';
import { AUTHORITY_BASE, liveAuthority } from '../fakes/live-authority.ts';
import { type AuthorityCli, authorityCli } from '../support/grid-cli.ts';

const ADA = `${AUTHORITY_BASE}/OU=People/CN=Ada Lovelace`;

let cli: AuthorityCli;
beforeAll(async () => {
  cli = await authorityCli();
});
afterAll(() => cli[Symbol.asyncDispose]());

describe('a newcomer with a token', () => {
  test('has key, certificate, trust and the authority’s address afterwards', () => {
    const { authority, home } = cli;
    expect(statSync(join(home, 'userkey.pem')).mode & 0o777).toBe(0o600);
    const verified = execFileSync(
      'openssl',
      ['verify', '-crl_check', '-CApath', join(home, 'certificates'), join(home, 'usercert.pem')],
      { encoding: 'utf8' },
    );
    expect(verified).toMatch(/: OK\n$/);
    expect(readFileSync(join(home, 'config.yaml'), 'utf8')).toBe(
      `authority: ${authority.address}\n`,
    );
  });

  test('does not lose a good certificate by mistake', async () => {
    const { authority, grid } = cli;
    const wanted = { profile: 'user', commonName: 'Ada Lovelace', altNames: [] } as const;
    const { token } = await makeOfflineToken(authority.dir, wanted);
    const { exit, err } = await grid(['cert', 'request', '--token', token]);
    expect(exit).toBe(4);
    expect(err).toContain('use --force to replace it');
  });

  test('trusts nobody when another authority answers', async () => {
    const { authority, root, grid } = cli;
    const dir = join(root, 'impostor-meets');
    await using impostor = await liveAuthority();
    const wanted = { profile: 'user', commonName: 'Victim', altNames: [] } as const;
    const { token } = await makeOfflineToken(authority.dir, wanted);
    const [header, claims = '', signature] = token.split('.');
    const moved = Buffer.from(claims, 'base64url')
      .toString()
      .replace(authority.address, impostor.address);
    const forged = [header, Buffer.from(moved).toString('base64url'), signature].join('.');
    const { exit, err } = await grid(['cert', 'request', '--token', forged], dir);
    expect(exit).toBe(3);
    expect(err).toContain('has the fingerprint');
    expect(existsSync(dir)).toBe(false);
  });

  test('keeps the token where the key or the certificate cannot be written', async () => {
    const { authority, root, grid } = cli;
    const dir = join(root, 'careless');
    const wanted = { profile: 'user', commonName: 'Careless', altNames: [] } as const;
    const { token } = await makeOfflineToken(authority.dir, wanted);
    const request = ['cert', 'request', '--token', token];
    const refused = await grid([...request, '--out-key', '/dev/null/key.pem'], dir);
    expect(refused.err).toContain('FILE_UNWRITABLE');
    expect(await grid(request, dir)).toMatchObject({ exit: 0 });
    expect(readdirSync(dir).toSorted()).toEqual(readdirSync(cli.home).toSorted());
  });

  test('is told when a token is damaged', async () => {
    const { root, grid } = cli;
    const { exit, err } = await grid(
      ['cert', 'request', '--token', 'eyJhbGci'],
      join(root, 'nobody'),
    );
    expect(exit).toBe(3);
    expect(err).toContain('TOKEN_INVALID: this is no enrolment token');
  });
});

describe('logging in', () => {
  test('yields a proxy of mode 0600, with the membership of the only VO', async () => {
    const { home, grid, json } = cli;
    await grid(['vo', 'create', 'demo']);
    expect(await json(['login'])).toMatchObject({ dn: ADA, vo: 'demo', fqans: ['/demo'] });
    expect(statSync(join(home, 'proxy.pem')).mode & 0o777).toBe(0o600);
    expect(await json(['cert', 'show'])).toMatchObject({
      chain: [
        { kind: 'proxy', memberships: [{ vo: 'demo', fqans: ['/demo'] }] },
        { kind: 'certificate', subject: ADA },
      ],
    });
  });

  test('takes roles, a shorter life and limits', async () => {
    const { root, json } = cli;
    const out = join(root, 'role.pem');
    const wish = ['--fqan', '/demo/Role=manager', '--lifetime', '1h', '--limited', '--out', out];
    const made = await json(['login', ...wish]);
    expect(made.fqans).toEqual(['/demo/Role=manager', '/demo']);
    const denied = await cli.grid(['login', '--fqan', '/demo/Role=boss']);
    expect(denied.err).toContain('/demo/Role=boss (yours: /demo, /demo/Role=manager)');
    expect((made.expiresAtMs - Date.now()) / 3_600_000).toBeCloseTo(1, 1);
    expect(await json(['cert', 'show', out])).toMatchObject({
      chain: [{ kind: 'limited proxy' }, {}],
    });
  });

  test('for longer than a membership is signed says so, and for no time is refused', async () => {
    const { root, grid, json } = cli;
    const out = join(root, 'long.pem');
    const { exit, err } = await grid(['login', '--lifetime', '9999d', '--out', out]);
    expect({ exit, err }).toMatchObject({
      exit: 0,
      err: expect.stringContaining('the authority vouches for a membership for no longer'),
    });
    // Neither does the proxy outlast it.
    const [, until = ''] =
      /"notAfterMs":(\d+)/.exec(JSON.stringify(await json(['cert', 'show', out]))) ?? [];
    expect((Number(until) - Date.now()) / 3_600_000).toBeCloseTo(24, 0);
    // Nor is there one of a year without a membership: nobody would take it.
    const plain = await grid(['login', '--plain', '--lifetime', '300d', '--out', out]);
    expect(plain).toMatchObject({ exit: 0, err: expect.stringContaining('of more than 7d') });
    expect(plain.out).toMatch(/^until .*\((?:6d 23h|7d 0h)\)$/m);
    for (const [wish, answer] of [
      ['30s', 'at least 1m'],
      ['0s', "'0s' is not a duration of more than nothing"],
    ] as const) {
      const short = await grid(['login', '--lifetime', wish, '--out', out]);
      expect(short).toMatchObject({ exit: 2, err: expect.stringContaining(answer) });
    }
  });

  test('without a VO works, and says so', async () => {
    const { grid, newcomer } = cli;
    const dir = await newcomer('Lonely Person');
    const { exit, err } = await grid(['login'], dir);
    expect(exit).toBe(0);
    expect(err).toContain('you are in no VO yet');
  });

  test('opens an encrypted key', async () => {
    const { grid, newcomer } = cli;
    const dir = await newcomer('Careful Person');
    const key = join(dir, 'userkey.pem');
    execFileSync(
      'openssl',
      ['pkcs8', '-topk8', '-in', key, '-out', `${key}.new`, '-passout', 'pass:s3cret'],
      { stdio: 'pipe' },
    );
    writeFileSync(key, readFileSync(`${key}.new`));
    const login = ['login', '--plain', '--passphrase-stdin'];
    expect((await grid(login, dir, 's3cret\n')).exit).toBe(0);
    const wrong = await grid(login, dir, 'guess\n');
    expect(wrong.exit).toBe(3);
    expect(wrong.err).toMatch(/KEY_LOCKED: .*the pass phrase is wrong\n.*`grid login`/);
    expect((await grid(login, dir, '')).err).toContain('it needs its pass phrase');
  });

  test('replaces a revocation list that has run out', async () => {
    const { grid, newcomer } = cli;
    const dir = await newcomer('Back From Holiday');
    const lists = join(dir, 'certificates');
    const old = endedList();
    for (const name of readdirSync(lists).filter((file) => file.endsWith('.r0')))
      writeFileSync(join(lists, name), old);
    const stale = await grid(['vo', 'ls'], dir);
    expect(stale.exit).toBe(5);
    expect((await grid(['login'], dir)).exit).toBe(0);
    expect((await grid(['vo', 'ls'], dir)).exit).toBe(0);
  });

  test('does not go back to an older revocation list', async () => {
    const { grid, newcomer } = cli;
    const dir = await newcomer('Replayed Person');
    const lists = join(dir, 'certificates');
    const ahead = endedList(1_000_000);
    for (const name of readdirSync(lists).filter((file) => file.endsWith('.r0')))
      writeFileSync(join(lists, name), ahead);
    const { exit, err } = await grid(['login'], dir);
    expect(exit).toBe(3);
    expect(err).toContain('is older than the one in');
  });
});

/** A revocation list of the authority's own that ended an hour ago. */
function endedList(number = 0): string {
  const { dir } = cli.authority;
  const keys = loadAuthorityKeys({ certificate: join(dir, 'ca.pem'), key: join(dir, 'ca.key') });
  const nowMs = Date.now();
  const times = { thisUpdateMs: nowMs - 7_200_000, nextUpdateMs: nowMs - 3_600_000 };
  const template = { ...times, number, revoked: [], authorityKeyId: keys.keyId };
  return toPem('X509 CRL', makeCrl(template, { name: keys.name, key: keys.key }));
}

describe('administration', () => {
  test('tokens, listing, revocation and renewal work from the command line', async () => {
    const { root, grid, json } = cli;
    const made = await json(['ca', 'token', '--profile', 'host', '--name', 'gw.example.org']);
    const out = join(root, 'gateway');
    const host = await json(['cert', 'request', '--token', made.token, '--out', out]);
    const files = ['--cert', join(out, 'hostcert.pem'), '--key', join(out, 'hostkey.pem')];
    const trust = ['--trust', join(out, 'certificates')];
    const renewed = await json(['cert', 'renew', ...files, ...trust]);
    expect(renewed.dn).toBe(`${AUTHORITY_BASE}/OU=Hosts/CN=gw.example.org`);
    expect((await grid(['ca', 'revoke', host.serial, '--reason', 'superseded'])).exit).toBe(0);
    const listed = await json(['ca', 'ls', '--dn', renewed.dn]);
    expect(listed).toHaveLength(2);
    expect(listed).toContainEqual(
      expect.objectContaining({ serial: renewed.serial, state: 'valid' }),
    );
    expect(listed).toContainEqual(
      expect.objectContaining({ serial: host.serial, state: 'revoked', reason: 'superseded' }),
    );
  });

  test('trust is fetched against a fingerprint, with what VOs need', async () => {
    const { authority, root, grid } = cli;
    const pem = join(authority.dir, 'ca.pem');
    const print = ['x509', '-in', pem, '-noout', '-fingerprint', '-sha256'];
    const [, fingerprint = ''] = execFileSync('openssl', print, { encoding: 'utf8' })
      .trim()
      .split('=');
    const at = [
      'ca',
      'trust',
      '--authority',
      authority.address,
      '--dir',
      join(root, 'svc', 'trust'),
    ];
    const vomsdir = join(root, 'svc', 'vomsdir');
    const nobody = join(root, 'svc');
    expect((await grid(at, nobody)).exit).not.toBe(0);
    const wrong = fingerprint.replace(/^../, fingerprint.startsWith('00') ? '11' : '00');
    expect((await grid([...at, '--fingerprint', wrong], nobody)).err).toContain('TRUST_MISSING');
    const good = [...at, '--fingerprint', fingerprint, '--vomsdir', vomsdir];
    expect((await grid(good, nobody)).exit).toBe(0);
    expect(readFileSync(join(vomsdir, 'demo', 'localhost.lsc'), 'utf8')).toContain(
      'vo-signer.demo',
    );
    expect((await grid(at, nobody)).exit).toBe(0);
  });

  test('a VO’s members are listed, added and removed', async () => {
    const { grid, json } = cli;
    const dn = `${AUTHORITY_BASE}/OU=People/CN=Grace Hopper`;
    expect((await grid(['vo', 'add', 'demo', dn, '--fqan', '/demo/imaging'])).exit).toBe(0);
    expect((await grid(['vo', 'members', 'demo'])).out).toMatch(
      /Grace Hopper +\/demo \/demo\/imaging/,
    );
    expect((await grid(['vo', 'remove', 'demo', dn])).exit).toBe(0);
    expect((await grid(['vo', 'members', 'demo'])).out).not.toContain('Grace');
    expect(await json(['vo', 'ls'])).toMatchObject([{ vo: 'demo', members: 1 }]);
  });
});
