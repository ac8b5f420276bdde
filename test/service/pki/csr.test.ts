import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { makeSigningRequest, readSigningRequest } from '../../../service/pki/csr.ts';

test.for([
  ['ec', 'ec-prime256v1'],
  ['rsa', 'rsa-2048'],
] as const)('a request for an %s key proves that key', async ([kind, keyKind]) => {
  const { keyPem, csr } = await makeSigningRequest(kind, 'Ada Lovelace');
  expect(keyPem).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
  const proven = await readSigningRequest(csr);
  expect(proven).toMatchObject({ keyKind, keyWeak: false });
  expect(proven.spki).toEqual(
    new Uint8Array(proven.publicKey.export({ type: 'spki', format: 'der' })),
  );
});

test('a request is refused when any byte of its signature differs', async () => {
  const { csr } = await makeSigningRequest('ec', 'Ada Lovelace');
  csr.set([(csr.at(-1) ?? 0) ^ 1], csr.length - 1);
  await expect(readSigningRequest(csr)).rejects.toThrow('not made by its own key');
});

test('a request that carries the key of somebody else is refused', async () => {
  const { csr } = await makeSigningRequest('ec', 'Ada Lovelace');
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const own = (await readSigningRequest(csr)).spki;
  const at = Buffer.from(csr).indexOf(Buffer.from(own));
  expect(at).toBeGreaterThan(0);
  csr.set(publicKey.export({ type: 'spki', format: 'der' }), at);
  await expect(readSigningRequest(csr)).rejects.toThrow('not made by its own key');
});

test.for([
  [new Uint8Array(), 'no PKCS#10'],
  [new Uint8Array([0x30, 0x03, 1, 1, 1]), 'no PKCS#10'],
  [new Uint8Array(20_000), 'it has 20000 bytes'],
] as const)('%# is refused', async ([bytes, why]) => {
  await expect(readSigningRequest(bytes)).rejects.toMatchObject({
    code: 'REQUEST_INVALID',
    message: expect.stringContaining(why),
  });
});
