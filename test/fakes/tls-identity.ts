import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** A throw-away authority and a certificate of it for 127.0.0.1, or only for what is named, as PEM files in `dir`. */
export async function writeTlsIdentity(
  dir: string,
  names: readonly x509.JsonGeneralName[] = [{ type: 'ip', value: '127.0.0.1' }],
): Promise<{ readonly certFile: string; readonly keyFile: string; readonly caPem: string }> {
  x509.cryptoProvider.set(webcrypto);
  const [caKeys, hostKeys] = await Promise.all([newKeys(), newKeys()]);
  const dates = {
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 86_400_000),
  };
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=Test Authority',
    keys: caKeys,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
    ...dates,
  });
  const host = await x509.X509CertificateGenerator.create({
    subject: 'CN=127.0.0.1',
    issuer: ca.subject,
    publicKey: hostKeys.publicKey,
    signingKey: caKeys.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.SubjectAlternativeNameExtension([...names]),
      // Server and client: the servers of a cluster are both.
      new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']),
    ],
    ...dates,
  });
  const key = await webcrypto.subtle.exportKey('pkcs8', hostKeys.privateKey);
  const certFile = join(dir, 'host.pem');
  const keyFile = join(dir, 'host.key');
  await writeFile(certFile, host.toString('pem'));
  await writeFile(keyFile, x509.PemConverter.encode(key, 'PRIVATE KEY'), { mode: 0o600 });
  return { certFile, keyFile, caPem: ca.toString('pem') };
}

const newKeys = () => webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
