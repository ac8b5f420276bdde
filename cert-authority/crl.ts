import { formatName } from '../core/pki/name.ts';
import { makeCrl } from '../service/crl.ts';
import { toPem } from '../service/pem.ts';
import { formatSigningPolicy, type TrustFiles, writeTrust } from '../service/trust-dir.ts';
import type { Issuing } from './issue.ts';
import { isReason, REVOCATION_REASONS } from './revoke.ts';

/** What publishing needs of its surroundings. */
export interface Publishing extends Issuing {
  readonly trustDir: string;
  readonly crlLifetimeMs: number;
}

/** Clocks of relying parties may be this much behind ours. */
const BACKDATE_MS = 300_000;

/** Makes the next CRL out of the ledger, records it, and puts it into the trust directory. */
export async function publishCrl(around: Publishing): Promise<TrustFiles> {
  const { keys, ledger, clock } = around;
  const nowMs = clock.nowMs();
  const nextUpdateMs = nowMs + around.crlLifetimeMs;
  const revoked = await ledger.db
    .selectFrom('revocation')
    .innerJoin('certificate', 'certificate.serial', 'revocation.serial')
    .select(['revocation.serial', 'revoked_at_ms', 'reason'])
    // RFC 5280, 3.3: an entry stays until one CRL after the certificate has ended by itself.
    .where('not_after_ms', '>', nowMs - around.crlLifetimeMs)
    .execute();
  const der = await ledger.db.transaction().execute(async (db) => {
    const last = await db
      .selectFrom('crl')
      .select(({ fn }) => fn.max('number').as('number'))
      .executeTakeFirst();
    const number = (last?.number ?? 0) + 1;
    const made = makeCrl(
      {
        number,
        thisUpdateMs: nowMs - BACKDATE_MS,
        nextUpdateMs,
        authorityKeyId: keys.keyId,
        revoked: revoked.map((row) => ({
          serial: row.serial,
          revokedAtMs: row.revoked_at_ms,
          reason: isReason(row.reason) ? REVOCATION_REASONS[row.reason] : 'unspecified',
        })),
      },
      { name: keys.name, key: keys.key },
    );
    await db
      .deleteFrom('crl')
      .where('number', '<', number - KEPT_CRLS)
      .execute();
    await db
      .insertInto('crl')
      .values({ number, next_update_ms: nextUpdateMs, der: made })
      .execute();
    return made;
  });
  const files = trustFilesOf(around, der);
  await writeTrust(around.trustDir, files);
  return files;
}

const KEPT_CRLS = 100;

/** The last CRL that was made, with what goes beside it; undefined before the first. */
export async function currentTrust(around: Publishing): Promise<TrustFiles | undefined> {
  const last = await around.ledger.db
    .selectFrom('crl')
    .select('der')
    .orderBy('number', 'desc')
    .executeTakeFirst();
  return last === undefined ? undefined : trustFilesOf(around, last.der);
}

const trustFilesOf = ({ keys }: Publishing, crl: Uint8Array): TrustFiles => ({
  certificatePem: keys.certificatePem,
  crlPem: toPem('X509 CRL', crl),
  signingPolicy: formatSigningPolicy(keys.certificate.subject, [`${formatName(keys.base)}/*`]),
});
