import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import type { AuthorityKeys } from '../../cert-authority/keys.ts';
import { checkToken, makeToken } from '../../cert-authority/tokens.ts';
import { peekToken, TOKEN_TYPE } from '../../service/pki/enrolment-token.ts';
import { authorityKeys } from '../fakes/authority-keys.ts';

const NOW_MS = Date.UTC(2026, 5, 1, 12);
const HOUR_MS = 3_600_000;
const ADDRESS = 'ca.example.org:7440';
const NAME = '/DC=org/DC=example/CN=Example Grid CA';
const ADA = { profile: 'user', commonName: 'Ada Lovelace', altNames: [] } as const;

let keys: AuthorityKeys;
let impostor: AuthorityKeys;
beforeAll(async () => {
  keys = await authorityKeys(NAME, NOW_MS);
  impostor = await authorityKeys(NAME, NOW_MS);
});

const make = (by = keys, lifetimeMs = 0) =>
  makeToken(by, { wanted: ADA, address: ADDRESS, lifetimeMs, nowMs: NOW_MS });
const check = (token: string, nowMs = NOW_MS, address = ADDRESS) =>
  checkToken(keys, token, { address, nowMs });

describe('a token', () => {
  test('entitles to what it was made for', async () => {
    const gateway = { profile: 'host', commonName: 'gw.example.org', altNames: ['gw'] } as const;
    const { token, dn } = await makeToken(keys, {
      wanted: gateway,
      address: ADDRESS,
      lifetimeMs: HOUR_MS,
      nowMs: NOW_MS,
    });
    expect(dn).toBe('/DC=org/DC=example/OU=Hosts/CN=gw.example.org');
    expect((await check(token)).wanted).toEqual(gateway);
  });

  test('tells a newcomer where to go and whom to expect', async () => {
    expect(peekToken((await make()).token)).toEqual({
      address: ADDRESS,
      fingerprint: keys.fingerprint,
      dn: '/DC=org/DC=example/OU=People/CN=Ada Lovelace',
      commonName: 'Ada Lovelace',
      profile: 'user',
    });
  });

  test('lives for a day unless it is told otherwise', async () => {
    const { token, expiresAtMs } = await make();
    expect(expiresAtMs).toBe(NOW_MS + 24 * HOUR_MS);
    await expect(check(token, expiresAtMs - 1_000)).resolves.toBeDefined();
    await expect(check(token, expiresAtMs)).rejects.toThrow('the token has expired');
  });

  test('lives for 30 days at most', async () => {
    await expect(make(keys, 31 * 24 * HOUR_MS)).rejects.toThrow('at most 30 days');
  });

  test('is signed with RSA by an authority that has an RSA key', async () => {
    const rsa = await authorityKeys(NAME, NOW_MS, 'rsa');
    const { token } = await make(rsa);
    expect(decodeProtectedHeader(token).alg).toBe('RS256');
    const checked = await checkToken(rsa, token, { address: ADDRESS, nowMs: NOW_MS });
    expect(checked.wanted).toEqual(ADA);
  });
});

describe('refused is', () => {
  const REFUSED = { code: 'TOKEN_INVALID' };

  test('a token of another authority of the same name', async () => {
    const { token } = await make(impostor);
    await expect(check(token)).rejects.toMatchObject({
      ...REFUSED,
      message: 'the token was not made by this authority',
    });
  });

  test('a token for another address', async () => {
    const { token } = await make();
    await expect(check(token, NOW_MS, 'other.example.org:7440')).rejects.toThrow(
      'for another address than other.example.org:7440',
    );
  });

  test('a token whose claims were changed', async () => {
    const [header, , signature] = (await make()).token.split('.');
    const claims = { ...decodeJwt((await make()).token), cn: 'Mallory' };
    const forged = Buffer.from(JSON.stringify(claims)).toString('base64url');
    await expect(check(`${header}.${forged}.${signature}`)).rejects.toMatchObject(REFUSED);
  });

  test('a token without a signature', async () => {
    const [, claims] = (await make()).token.split('.');
    const header = Buffer.from(JSON.stringify({ alg: 'none', typ: TOKEN_TYPE }));
    await expect(check(`${header.toString('base64url')}.${claims}.`)).rejects.toMatchObject(
      REFUSED,
    );
  });

  test('a token that takes the public key for a shared secret', async () => {
    const secret = Buffer.from(keys.certificatePem);
    const token = await new SignJWT(decodeJwt((await make()).token))
      .setProtectedHeader({ alg: 'HS256', typ: TOKEN_TYPE })
      .sign(secret);
    await expect(check(token)).rejects.toMatchObject(REFUSED);
  });

  test('a token of another type that the same key has signed', async () => {
    const token = await new SignJWT(decodeJwt((await make()).token))
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
      .sign(keys.key);
    await expect(check(token)).rejects.toMatchObject(REFUSED);
    expect(() => peekToken(token)).toThrow('not for enrolling');
  });

  test('a token whose subject is not what its name comes to', async () => {
    const { token } = await make();
    const twisted = await new SignJWT({ ...decodeJwt(token), sub: '/CN=Mallory' })
      .setProtectedHeader({ alg: 'ES256', typ: TOKEN_TYPE })
      .sign(keys.key);
    await expect(check(twisted)).rejects.toThrow('two different subjects');
  });

  test.for(['', 'nonsense', 'a.b.c', 'x'.repeat(10_000)])('%j', async (text) => {
    await expect(check(text)).rejects.toMatchObject(REFUSED);
    expect(() => peekToken(text)).toThrow('no enrolment token');
  });
});
