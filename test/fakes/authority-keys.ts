import { createPrivateKey } from 'node:crypto';
import { type AuthorityKeys, keysOf } from '../../cert-authority/keys.ts';
import {
  basicConstraints,
  keyUsage,
  makeCertificate,
} from '../../service/pki/certificate-writer.ts';
import { type KeyKind, makeSigningRequest, readSigningRequest } from '../../service/pki/csr.ts';
import { nameFromDn } from '../../service/pki/name.ts';
import { readCertificate } from '../../service/pki/x509.ts';

/** Key and certificate of an authority in memory, good for ten years around `nowMs`. */
export async function authorityKeys(
  name: string,
  nowMs: number,
  kind: KeyKind = 'ec',
): Promise<AuthorityKeys> {
  const { keyPem, csr } = await makeSigningRequest(kind, 'authority');
  const { spki } = await readSigningRequest(csr);
  const key = createPrivateKey(keyPem);
  const subject = nameFromDn(name);
  if (subject === undefined) throw new TypeError(`'${name}' is no DN`);
  const der = makeCertificate(
    {
      subject,
      publicKey: spki,
      notBeforeMs: nowMs - 1_000,
      notAfterMs: nowMs + 3_650 * 86_400_000,
      extensions: [basicConstraints(true), keyUsage('keyCertSign', 'cRLSign')],
    },
    { name: subject, key },
  );
  return keysOf(readCertificate(der), key, 'the test key');
}
