import { formatName } from '../core/pki/name.ts';
import { makeCrl } from '../service/pki/crl.ts';
import { toPem } from '../service/pki/pem.ts';
import { formatSigningPolicy, type TrustFiles, writeTrust } from '../service/trust/trust-dir.ts';
import type { Issuing } from './issue.ts';
import type { LedgerTransaction } from './ledger.ts';
import { isReason, REVOCATION_REASONS } from './revoke.ts';
import type { WorkQueue } from './work-queue.ts';

/** What publishing needs of its surroundings. */
export interface Publishing extends Issuing {
  readonly trustDir: string;
  readonly crlLifetimeMs: number;
  /** One CRL at a time. */
  readonly inTurn: WorkQueue;
}

/** Clocks of relying parties may be this much behind ours. */
const BACKDATE_MS = 300_000;

/**
 * Makes the next CRL out of the ledger, records it, and puts it into the trust directory. In turn: of two at once, the
 * one with the higher number must have seen all revocations, and must be the one that stays in the directory.
 */
export function publishCrl(around: Publishing): Promise<TrustFiles> {
  return around.inTurn(async () => {
    const nowMs = around.clock.nowMs();
    const der = await around.ledger.db
      .transaction()
      .execute((db) => recordNextCrl(around, db, nowMs));
    const files = trustFilesOf(around, der);
    await writeTrust(around.trustDir, files);
    return files;
  });
}

async function recordNextCrl(
  { keys, crlLifetimeMs }: Publishing,
  db: LedgerTransaction,
  nowMs: number,
): Promise<Uint8Array> {
  const revoked = await db
    .selectFrom('revocation')
    .innerJoin('certificate', 'certificate.serial', 'revocation.serial')
    .select(['revocation.serial', 'revoked_at_ms', 'reason'])
    // RFC 5280, 3.3: an entry stays until one CRL after the certificate has ended by itself.
    .where('not_after_ms', '>', nowMs - crlLifetimeMs)
    .execute();
  const last = await db
    .selectFrom('crl')
    .select(({ fn }) => fn.max('number').as('number'))
    .executeTakeFirst();
  const number = (last?.number ?? 0) + 1;
  const nextUpdateMs = nowMs + crlLifetimeMs;
  const der = makeCrl(
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
    .where('number', '<=', number - KEPT_CRLS)
    .execute();
  await db.insertInto('crl').values({ number, next_update_ms: nextUpdateMs, der }).execute();
  return der;
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
