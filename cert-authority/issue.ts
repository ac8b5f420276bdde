import { GridError } from '../core/errors.ts';
import type { CertInfo } from '../core/pki/cert.ts';
import { canonicalDn } from '../core/pki/name.ts';
import {
  type CertificateTemplate,
  type Entitlement,
  planCertificate,
  templateDifferences,
} from '../core/pki/profile.ts';
import type { Clock } from '../service/clock.ts';
import {
  authorityKeyId,
  basicConstraints,
  extendedKeyUsage,
  keyUsage,
  makeCertificate,
  randomSerial,
  subjectAltName,
  subjectKeyId,
} from '../service/pki/certificate-writer.ts';
import { readSigningRequest } from '../service/pki/csr.ts';
import { nameFromDn } from '../service/pki/name.ts';
import { readCertificate, signedBy } from '../service/pki/x509.ts';
import type { AuthorityKeys } from './keys.ts';
import type { Ledger, LedgerTransaction } from './ledger.ts';

/** What the host name of every VO's signer begins with; the VO's name follows. */
export const SIGNER_PREFIX = 'vo-signer.';

/** What issuing needs of its surroundings. */
export interface Issuing {
  readonly keys: AuthorityKeys;
  readonly ledger: Ledger;
  readonly clock: Clock;
}

/** A request that has been authorised: by a token, by an older certificate, or by whoever holds the files. */
export interface IssueRequest {
  readonly wanted: Entitlement;
  /** PKCS#10, DER; only its key counts. */
  readonly csr: Uint8Array;
  /** 0 for the profile's default. */
  readonly lifetimeMs: number;
  /** For the audit: who or what authorised it. */
  readonly actor: string;
  /** Id of the token that this uses up. */
  readonly jti?: string;
  /** It is for the signer of a VO: nobody else gets a name that begins like theirs. */
  readonly forSigner?: true;
}

/**
 * Certifies the key of a signing request. Decide, sign, read back what was signed and compare, record, and only then
 * let it out. Throws REQUEST_INVALID (key, name), ALREADY_EXISTS (a name like another's) and TOKEN_INVALID (used).
 */
export async function issue(around: Issuing, request: IssueRequest): Promise<CertInfo> {
  const { keys, clock } = around;
  const { profile, commonName } = request.wanted;
  if (profile === 'host' && commonName.startsWith(SIGNER_PREFIX) && request.forSigner !== true) {
    throw new GridError('REQUEST_INVALID', `'${commonName}' is a name for the signer of a VO`);
  }
  const key = await readSigningRequest(request.csr);
  const nowMs = clock.nowMs();
  const template = planCertificate({
    wanted: request.wanted,
    base: keys.base,
    key,
    lifetimeMs: request.lifetimeMs,
    issuer: keys.certificate,
    nowMs,
  });
  const certificate = readCertificate(sign(keys, template, key.spki));
  const differences = templateDifferences(template, certificate, keys.certificate);
  if (differences.length > 0 || !signedBy(certificate, keys.certificate)) {
    const what = differences.join(', ') || 'signature';
    throw new GridError('INTERNAL', `the signed certificate is not what was decided: ${what}`);
  }
  await record(around, request, certificate, nowMs);
  return certificate;
}

function sign(
  keys: AuthorityKeys,
  template: CertificateTemplate,
  publicKey: Uint8Array,
): Uint8Array {
  const subject = nameFromDn(template.dn);
  if (subject === undefined) throw new GridError('INTERNAL', `'${template.dn}' cannot be encoded`);
  const altNames = [...template.dnsNames, ...template.ipAddresses];
  return makeCertificate(
    {
      subject,
      publicKey,
      serial: randomSerial(),
      notBeforeMs: template.notBeforeMs,
      notAfterMs: template.notAfterMs,
      extensions: [
        basicConstraints(false),
        keyUsage(...template.keyUsage),
        extendedKeyUsage(...template.extendedKeyUsage),
        subjectKeyId(publicKey),
        authorityKeyId(keys.keyId),
        ...(altNames.length === 0 ? [] : [subjectAltName(altNames)]),
      ],
    },
    { name: keys.name, key: keys.key },
  );
}

async function record(
  { ledger }: Issuing,
  request: IssueRequest,
  certificate: CertInfo,
  nowMs: number,
): Promise<void> {
  const { wanted, actor, jti } = request;
  const { subject: dn, serial } = certificate;
  const detail = { serial, profile: wanted.profile, notAfterMs: certificate.notAfterMs };
  await ledger.change({ actor, action: 'issue', subject: dn, detail }, async (db) => {
    await refuseLookAlikes(db, certificate);
    await db
      .insertInto('certificate')
      .values({
        serial,
        dn,
        canonical_dn: canonicalDn(dn),
        profile: wanted.profile,
        common_name: wanted.commonName,
        alt_names: wanted.altNames.join('\n'),
        not_before_ms: certificate.notBeforeMs,
        not_after_ms: certificate.notAfterMs,
        issued_at_ms: nowMs,
        key_sha256: certificate.keySha256,
        der: certificate.der,
      })
      .execute();
    if (jti === undefined) return;
    const used = await db
      .insertInto('token')
      .values({ jti, serial, used_at_ms: nowMs })
      .onConflict((conflict) => conflict.column('jti').doNothing())
      .executeTakeFirst();
    if (used.numInsertedOrUpdatedRows !== 1n) {
      throw new GridError('TOKEN_INVALID', 'the token has been used before');
    }
  });
}

/** Two names that people take for one, and one key twice, are never certified. */
async function refuseLookAlikes(db: LedgerTransaction, certificate: CertInfo): Promise<void> {
  const dn: string = certificate.subject;
  const like = await db
    .selectFrom('certificate')
    .select('dn')
    .where('canonical_dn', '=', canonicalDn(dn))
    .where('dn', '!=', dn)
    .executeTakeFirst();
  if (like !== undefined) {
    throw new GridError('ALREADY_EXISTS', `'${dn}' would be taken for '${like.dn}'`);
  }
  const sameKey = await db
    .selectFrom('certificate')
    .select('serial')
    .where('key_sha256', '=', certificate.keySha256)
    .executeTakeFirst();
  if (sameKey !== undefined) {
    throw new GridError(
      'REQUEST_INVALID',
      `this key has been certified before (serial ${sameKey.serial}): make a new one`,
    );
  }
}
