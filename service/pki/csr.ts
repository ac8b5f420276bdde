import 'reflect-metadata';
import { createHash, createPublicKey, type KeyObject, webcrypto } from 'node:crypto';
import { Pkcs10CertificateRequest, Pkcs10CertificateRequestGenerator } from '@peculiar/x509';
import { GridError } from '../../core/errors.ts';
import type { PublicKeyFacts } from '../../core/pki/profile.ts';
import { toPem } from './pem.ts';
import { describeKey } from './x509.ts';

/** Kinds of key pairs that we make: P-256, or RSA-2048 for older grids. */
export type KeyKind = 'ec' | 'rsa';

/** A new key pair with a signing request for it; the private key is PKCS#8. */
export interface SigningRequest {
  readonly keyPem: string;
  readonly csr: Uint8Array;
}

/** What a signing request proves: somebody holds the private key of this public key. */
export interface ProvenKey extends PublicKeyFacts {
  /** Subject public key info, DER. */
  readonly spki: Uint8Array;
  readonly publicKey: KeyObject;
}

const ALGORITHMS = {
  ec: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  rsa: {
    name: 'RSASSA-PKCS1-v1_5',
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: 'SHA-256',
  },
} as const;
/** The largest RSA request (8192 bits, some attributes) has 2 KiB. */
const MAX_CSR_BYTES = 16_384;

/** Makes a key pair and a signing request for it. `commonName` is a proposal: the authority decides the name. */
export async function makeSigningRequest(
  kind: KeyKind,
  commonName: string,
): Promise<SigningRequest> {
  const algorithm = ALGORITHMS[kind];
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const csr = await Pkcs10CertificateRequestGenerator.create(
    { name: [{ CN: [commonName] }], keys, signingAlgorithm: algorithm },
    webcrypto,
  );
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { keyPem: toPem('PRIVATE KEY', new Uint8Array(key)), csr: new Uint8Array(csr.rawData) };
}

/** PKCS#10 (DER) -> its public key; throws REQUEST_INVALID unless the request is signed by that very key. */
export async function readSigningRequest(der: Uint8Array): Promise<ProvenKey> {
  if (der.length > MAX_CSR_BYTES) throw invalid(`it has ${der.length} bytes`);
  const spki = await provenSpki(der);
  try {
    return {
      spki,
      publicKey: createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' }),
      keySha256: createHash('sha256').update(spki).digest('hex'),
      ...describeKey(spki),
    };
  } catch (error) {
    throw invalid('its key cannot be read', error);
  }
}

async function provenSpki(der: Uint8Array): Promise<Uint8Array> {
  let request: Pkcs10CertificateRequest;
  let proven: boolean;
  try {
    request = new Pkcs10CertificateRequest(Uint8Array.from(der));
    proven = await request.verify(webcrypto);
  } catch (error) {
    throw invalid('it is no PKCS#10 of a known key type', error);
  }
  if (!proven) throw invalid('its signature was not made by its own key');
  return new Uint8Array(request.publicKey.rawData);
}

const invalid = (why: string, cause?: unknown): GridError =>
  new GridError(
    'REQUEST_INVALID',
    `the signing request is refused: ${why}`,
    cause === undefined ? {} : { cause },
  );
