import type { Generated, Kysely, Migration } from 'kysely';
import type { ProfileName } from '../core/pki/profile.ts';

/** The ledger of the authority. Times are ms since the epoch, lists have one item a line. */
export interface LedgerSchema {
  readonly certificate: CertificateTable;
  readonly revocation: RevocationTable;
  readonly token: TokenTable;
  readonly crl: CrlTable;
  readonly vo: VoTable;
  readonly member: MemberTable;
  readonly audit: AuditTable;
}

interface CertificateTable {
  /** Lower-case hex. */
  readonly serial: string;
  readonly dn: string;
  /** Names that people would take for the same share it; see core/pki/name.ts. */
  readonly canonical_dn: string;
  readonly profile: ProfileName;
  readonly common_name: string;
  readonly alt_names: string;
  readonly not_before_ms: number;
  readonly not_after_ms: number;
  readonly issued_at_ms: number;
  readonly key_sha256: string;
  readonly der: Uint8Array;
}

interface RevocationTable {
  readonly serial: string;
  readonly revoked_at_ms: number;
  readonly reason: string;
  readonly revoked_by: string;
}

/** Tokens that have been used: a token is valid by its signature, and once. */
interface TokenTable {
  readonly jti: string;
  readonly serial: string;
  readonly used_at_ms: number;
}

interface CrlTable {
  readonly number: number;
  readonly next_update_ms: number;
  readonly der: Uint8Array;
}

interface VoTable {
  readonly name: string;
  readonly signer_dn: string;
  readonly created_at_ms: number;
  readonly created_by: string;
}

interface MemberTable {
  readonly vo: string;
  readonly dn: string;
  readonly fqans: string;
  readonly added_at_ms: number;
  readonly added_by: string;
}

interface AuditTable {
  readonly id: Generated<number>;
  readonly at_ms: number;
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  /** JSON object. */
  readonly detail: string;
}

const first: Migration = {
  up: async (db: Kysely<unknown>) => {
    const { schema } = db;
    await schema
      .createTable('certificate')
      .addColumn('serial', 'text', (column) => column.primaryKey())
      .addColumn('dn', 'text', (column) => column.notNull())
      .addColumn('canonical_dn', 'text', (column) => column.notNull())
      .addColumn('profile', 'text', (column) => column.notNull())
      .addColumn('common_name', 'text', (column) => column.notNull())
      .addColumn('alt_names', 'text', (column) => column.notNull())
      .addColumn('not_before_ms', 'integer', (column) => column.notNull())
      .addColumn('not_after_ms', 'integer', (column) => column.notNull())
      .addColumn('issued_at_ms', 'integer', (column) => column.notNull())
      .addColumn('key_sha256', 'text', (column) => column.notNull())
      .addColumn('der', 'blob', (column) => column.notNull())
      .execute();
    await schema
      .createIndex('certificate_by_name')
      .on('certificate')
      .column('canonical_dn')
      .execute();
    await schema
      .createTable('revocation')
      .addColumn('serial', 'text', (column) => column.primaryKey().references('certificate.serial'))
      .addColumn('revoked_at_ms', 'integer', (column) => column.notNull())
      .addColumn('reason', 'text', (column) => column.notNull())
      .addColumn('revoked_by', 'text', (column) => column.notNull())
      .execute();
    await schema
      .createTable('token')
      .addColumn('jti', 'text', (column) => column.primaryKey())
      .addColumn('serial', 'text', (column) => column.notNull().references('certificate.serial'))
      .addColumn('used_at_ms', 'integer', (column) => column.notNull())
      .execute();
    await schema
      .createTable('crl')
      .addColumn('number', 'integer', (column) => column.primaryKey())
      .addColumn('next_update_ms', 'integer', (column) => column.notNull())
      .addColumn('der', 'blob', (column) => column.notNull())
      .execute();
    await createVoTables(db);
    await schema
      .createTable('audit')
      .addColumn('id', 'integer', (column) => column.primaryKey().autoIncrement())
      .addColumn('at_ms', 'integer', (column) => column.notNull())
      .addColumn('actor', 'text', (column) => column.notNull())
      .addColumn('action', 'text', (column) => column.notNull())
      .addColumn('subject', 'text', (column) => column.notNull())
      .addColumn('detail', 'text', (column) => column.notNull())
      .execute();
  },
};

async function createVoTables({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .createTable('vo')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('signer_dn', 'text', (column) => column.notNull().unique())
    .addColumn('created_at_ms', 'integer', (column) => column.notNull())
    .addColumn('created_by', 'text', (column) => column.notNull())
    .execute();
  await schema
    .createTable('member')
    .addColumn('vo', 'text', (column) => column.notNull().references('vo.name'))
    .addColumn('dn', 'text', (column) => column.notNull())
    .addColumn('fqans', 'text', (column) => column.notNull())
    .addColumn('added_at_ms', 'integer', (column) => column.notNull())
    .addColumn('added_by', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('member_key', ['vo', 'dn'])
    .execute();
}

/** Run in the order of their names; one that has been released is never changed. */
export const MIGRATIONS: Readonly<Record<string, Migration>> = { '001-first': first };
