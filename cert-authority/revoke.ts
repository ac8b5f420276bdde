import { GridError } from '../core/errors.ts';
import type { Dn } from '../core/ids.ts';
import type { Entitlement, ProfileName } from '../core/pki/profile.ts';
import type { RevocationReason as CrlReason } from '../service/pki/crl.ts';
import type { Issuing } from './issue.ts';

/** Why a certificate is revoked, as people write it, with the CRL's word for it. */
export const REVOCATION_REASONS = {
  unspecified: 'unspecified',
  'key-compromise': 'keyCompromise',
  superseded: 'superseded',
  'cessation-of-operation': 'cessationOfOperation',
} as const satisfies Record<string, CrlReason>;

type RevocationReason = keyof typeof REVOCATION_REASONS;

export const isReason = (text: string): text is RevocationReason =>
  Object.hasOwn(REVOCATION_REASONS, text);

/** A certificate as recorded. */
export interface CertificateEntry extends Entitlement {
  readonly serial: string;
  readonly dn: string;
  readonly profile: ProfileName;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly revokedAtMs: number | undefined;
  readonly reason: string | undefined;
}

/** What was issued, newest first; `dn` empty for all. */
export async function certificates(
  { ledger }: Issuing,
  filter: { readonly dn?: string; readonly serial?: string },
): Promise<readonly CertificateEntry[]> {
  let query = ledger.db
    .selectFrom('certificate')
    .leftJoin('revocation', 'revocation.serial', 'certificate.serial')
    .select([
      'certificate.serial',
      'dn',
      'profile',
      'common_name',
      'alt_names',
      'not_before_ms',
      'not_after_ms',
      'revoked_at_ms',
      'reason',
    ])
    .orderBy('issued_at_ms', 'desc')
    .orderBy('certificate.serial');
  if (filter.dn !== undefined) query = query.where('dn', '=', filter.dn);
  if (filter.serial !== undefined) query = query.where('certificate.serial', '=', filter.serial);
  const rows = await query.execute();
  return rows.map((row) => ({
    serial: row.serial,
    dn: row.dn,
    profile: row.profile,
    commonName: row.common_name,
    altNames: row.alt_names === '' ? [] : row.alt_names.split('\n'),
    notBeforeMs: row.not_before_ms,
    notAfterMs: row.not_after_ms,
    revokedAtMs: row.revoked_at_ms ?? undefined,
    reason: row.reason ?? undefined,
  }));
}

/** The certificate with this serial; throws CERT_NOT_FOUND. */
export async function certificateBySerial(
  around: Issuing,
  serial: string,
): Promise<CertificateEntry> {
  const [found] = await certificates(around, { serial });
  if (found !== undefined) return found;
  const shown = JSON.stringify(serial.slice(0, 64));
  throw new GridError('CERT_NOT_FOUND', `no certificate with serial ${shown} was issued here`);
}

/** Records a revocation; one that stands already stays as it is. The CRL is the caller's next step. */
export async function revoke(
  around: Issuing,
  request: { readonly serial: string; readonly reason: string; readonly by: Dn },
): Promise<void> {
  const { serial, by } = request;
  const reason = request.reason === '' ? 'unspecified' : request.reason;
  if (!isReason(reason)) {
    const known = Object.keys(REVOCATION_REASONS).join(', ');
    throw new GridError('REQUEST_INVALID', `'${reason.slice(0, 40)}' is none of ${known}`);
  }
  const { dn, revokedAtMs } = await certificateBySerial(around, serial);
  if (revokedAtMs !== undefined) return;
  const change = { actor: by, action: 'revoke', subject: dn, detail: { serial, reason } } as const;
  await around.ledger.change(change, (db) =>
    db
      .insertInto('revocation')
      .values({ serial, reason, revoked_at_ms: around.clock.nowMs(), revoked_by: by })
      .onConflict((conflict) => conflict.column('serial').doNothing())
      .execute(),
  );
}
