import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { GridError } from '../../core/errors.ts';
import type { CertInfo } from '../../core/pki/cert.ts';
import { maySign } from '../../core/pki/certificate-rules.ts';
import { describeRefusal, type PathCode, refuse } from '../../core/pki/refusals.ts';
import { formatInstant } from '../../core/units.ts';
import { attributesExtension } from './attribute-cert.ts';
import {
  authorityKeyId,
  keyIdOf,
  keyUsage,
  makeCertificate,
  proxyCertInfo,
  randomSerial,
  spkiOf,
  subjectKeyId,
} from './certificate-writer.ts';
import { childrenOf, readDer, sequence, TAG } from './der.ts';
import { OID_CN, rdnOf } from './name.ts';
import { OID } from './oids.ts';
import { toPem } from './pem.ts';
import { certificatesFromPem, readCertificateParts } from './x509.ts';

/** What a proxy is made from and how far it reaches. */
export interface ProxyRequest {
  /** The certificate that signs (end entity or proxy) and what stands above it, without the root. */
  readonly certPem: string;
  readonly keyPem: string;
  /** Of an encrypted key. */
  readonly passphrase?: string;
  /** The proxy ends at the latest with the certificate that signs. */
  readonly lifetimeMs: number;
  readonly nowMs: number;
  /** A limited proxy may move data, not submit jobs. */
  readonly kind: 'full' | 'limited';
  /** How many proxies may follow below; undefined for no limit. */
  readonly pathLength?: number;
  /** Attribute certificates of VOs, DER. */
  readonly attributeCertificates?: readonly Uint8Array[];
  /** `rsa` for Globus tools, which can delegate no other. */
  readonly keyKind: 'ec' | 'rsa';
}

/** A proxy with its key. */
export interface Proxy {
  /** The proxy alone. */
  readonly certPem: string;
  /** PKCS#8, because Globus reads no `EC PRIVATE KEY`. */
  readonly keyPem: string;
  /** The proxy and what stands above it: what is shown in a handshake. */
  readonly chainPem: string;
  /** The proxy file that all grid tools read: proxy, key, chain. To be kept at mode 0600. */
  readonly fileText: string;
  readonly expiresAtMs: number;
}

/** Clocks of others may be behind. */
const BACKDATE_MS = 300_000;

/**
 * Makes a key pair and an RFC 3820 proxy for it. Throws UNAUTHENTICATED where the certificate has ended or may not
 * delegate (any more), CERT_INVALID where key and certificate are damaged or do not belong together.
 */
export async function makeProxy(request: ProxyRequest): Promise<Proxy> {
  const [issuer] = certificatesFromPem(request.certPem);
  if (issuer === undefined)
    throw new GridError('CERT_INVALID', 'no certificate to make a proxy from');
  const issuerKey = openPrivateKey(request.keyPem, request.passphrase);
  requireMatch(issuer, issuerKey);
  const { privateKey, publicKey } = await newKeyPair(request.keyKind);
  const certificate = signProxy({ ...request, issuer, issuerKey, publicKey: spkiOf(publicKey) });
  const certPem = toPem('CERTIFICATE', certificate);
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const above = certificatesFromPem(request.certPem)
    .filter((cert) => cert.subjectKey !== cert.issuerKey)
    .map(({ der }) => toPem('CERTIFICATE', der))
    .join('');
  return {
    certPem,
    keyPem,
    chainPem: certPem + above,
    fileText: certPem + keyPem + above,
    expiresAtMs: readCertificateParts(certificate).notAfterMs,
  };
}

/** What a proxy for somebody else's key is signed from: delegation, where the key never travels. */
export interface ProxyToSign
  extends Pick<
    ProxyRequest,
    'lifetimeMs' | 'nowMs' | 'kind' | 'pathLength' | 'attributeCertificates'
  > {
  readonly issuer: CertInfo;
  readonly issuerKey: KeyObject;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
}

/** Signs a proxy (DER); throws UNAUTHENTICATED where the issuer has ended or may not delegate (any more). */
export function signProxy(wanted: ProxyToSign): Uint8Array {
  const { issuer, issuerKey, publicKey, nowMs } = wanted;
  requireDelegable(wanted);
  const parts = readCertificateParts(issuer.der);
  const serial = randomSerial();
  // RFC 3820, 3.4: the issuer's name, byte by byte, and one CN that is unique below it.
  const name = BigInt(`0x${Buffer.from(serial).toString('hex')}`).toString();
  const rdns = childrenOf(readDer(parts.subject)).map(({ raw }) => raw);
  const { attributeCertificates: attributes = [] } = wanted;
  return makeCertificate(
    {
      subject: sequence(...rdns, rdnOf(OID_CN, name, TAG.printableString)),
      publicKey,
      serial,
      notBeforeMs: Math.max(nowMs - BACKDATE_MS, issuer.notBeforeMs),
      notAfterMs: Math.min(nowMs + wanted.lifetimeMs, issuer.notAfterMs),
      extensions: [
        ...(attributes.length === 0 ? [] : [attributesExtension(attributes)]),
        keyUsage('digitalSignature', 'keyEncipherment'),
        subjectKeyId(publicKey),
        authorityKeyId(keyIdOf(parts.publicKey)),
        proxyCertInfo(wanted.kind === 'full' ? OID.inheritAll : OID.limited, wanted.pathLength),
      ],
    },
    { name: parts.subject, key: issuerKey },
  );
}

function no(code: PathCode, detail: string): never {
  throw new GridError('UNAUTHENTICATED', describeRefusal(refuse(code, detail)));
}

function requireDelegable({ issuer, nowMs, kind }: ProxyToSign): void {
  const name = `'${issuer.subject}'`;
  if (nowMs >= issuer.notAfterMs) no('EXPIRED', `${name} at ${formatInstant(issuer.notAfterMs)}`);
  if (!maySign(issuer)) no('PROXY_ISSUER_KEY_USAGE', name);
  if (issuer.proxy?.pathLength === 0) no('PROXY_PATHLEN', `${name} allows 0`);
  if (issuer.proxy?.language === 'limited' && kind === 'full') no('PROXY_LIMITED', name);
}

const generate = promisify(generateKeyPair);

/** Off the main thread: an RSA key takes a tenth of a second. */
const newKeyPair = (
  kind: ProxyRequest['keyKind'],
): Promise<{ readonly privateKey: KeyObject; readonly publicKey: KeyObject }> =>
  kind === 'rsa'
    ? generate('rsa', { modulusLength: 2048 })
    : generate('ec', { namedCurve: 'P-256' });

/** PEM -> private key; throws KEY_LOCKED for a missing or wrong pass phrase, CERT_INVALID for a damaged key. */
export function openPrivateKey(pem: string, passphrase?: string): KeyObject {
  try {
    return createPrivateKey({ key: pem, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (error) {
    const encrypted = /BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: 4,ENCRYPTED/.test(pem);
    const what = 'the private key cannot be read';
    if (!encrypted) throw new GridError('CERT_INVALID', `${what}: it is damaged`, { cause: error });
    const lacks = passphrase === undefined || passphrase === '';
    const why = lacks ? 'it needs its pass phrase' : 'the pass phrase is wrong';
    throw new GridError('KEY_LOCKED', `${what}: ${why}`, { cause: error });
  }
}

/** Throws CERT_INVALID unless the key belongs to the certificate. */
function requireMatch(certificate: CertInfo, key: KeyObject): void {
  const own = readCertificateParts(certificate.der).publicKey;
  if (Buffer.compare(spkiOf(createPublicKey(key)), own) !== 0) {
    throw new GridError(
      'CERT_INVALID',
      `the private key is not the one of '${certificate.subject}'`,
    );
  }
}
