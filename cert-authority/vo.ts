import { join } from 'node:path';
import { GridError } from '../core/errors.ts';
import { type Dn, dn, isVoName, type VoName } from '../core/ids.ts';
import { isDnText } from '../core/pki/name.ts';
import { managerFqan, memberFqans } from '../core/vo/membership.ts';
import { ensureDirectory } from '../service/directories.ts';
import { writeAtomic } from '../service/write-atomic.ts';
import type { LedgerTransaction } from './ledger.ts';
import { makeSigner, type Signers } from './signers.ts';

/** What VO membership needs of its surroundings. */
export interface Membership extends Signers {
  /** Where `<vo>/<host>.lsc` is published. */
  readonly vomsDir: string;
  /** `host:port` that stands in the URI of attribute certificates. */
  readonly address: string;
}

/** A member as recorded. */
export interface Member {
  readonly dn: Dn;
  readonly fqans: readonly string[];
  readonly addedAtMs: number;
  readonly addedBy: Dn;
}

/** A VO as recorded. */
export interface Vo {
  readonly name: VoName;
  readonly members: readonly Member[];
  readonly lsc: string;
}

/** Host part of `host:port`, which the `.lsc` file is named after. */
export const hostOf = (address: string): string =>
  address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');

/** Makes a VO with a signer of its own and `creator` as its manager; throws ALREADY_EXISTS. Gives its `.lsc`. */
export async function createVo(around: Membership, name: string, creator: Dn): Promise<string> {
  const vo = voNameOf(name);
  const { ledger, clock, keys } = around;
  if ((await voRow(around, vo)) !== undefined) throw alreadyThere(vo);
  const signer = await makeSigner(around, vo);
  const lsc = lscOf(signer.subject, keys.certificate.subject);
  const change = { actor: creator, action: 'create-vo', subject: vo, detail: {} } as const;
  await ledger.change(change, async (db) => {
    const inserted = await db
      .insertInto('vo')
      .values({
        name: vo,
        signer_dn: signer.subject,
        created_at_ms: clock.nowMs(),
        created_by: creator,
      })
      .onConflict((conflict) => conflict.column('name').doNothing())
      .executeTakeFirst();
    if (inserted.numInsertedOrUpdatedRows !== 1n) throw alreadyThere(vo);
    const manager = { dn: creator, fqans: memberFqans(vo, [managerFqan(vo)]) };
    await saveMember(db, vo, { ...manager, addedAtMs: clock.nowMs(), addedBy: creator });
  });
  await publishLsc(around, vo, lsc);
  return lsc;
}

/** Writes the VO's `.lsc` to where relying parties beside us look. */
async function publishLsc(around: Membership, vo: VoName, lsc: string): Promise<void> {
  const dir = join(around.vomsDir, vo);
  ensureDirectory(dir);
  await writeAtomic(join(dir, `${hostOf(around.address)}.lsc`), lsc, 0o644);
}

/** Publishes the `.lsc` of every VO, for instance after the address has changed. */
export async function publishAllLsc(around: Membership): Promise<void> {
  for (const vo of await allVos(around)) await publishLsc(around, vo.name, vo.lsc);
}

/** All VOs with their members, by name. */
export async function allVos({ ledger, keys }: Membership): Promise<readonly Vo[]> {
  const vos = await ledger.db.selectFrom('vo').selectAll().orderBy('name').execute();
  const members = await ledger.db.selectFrom('member').selectAll().orderBy('dn').execute();
  return vos.map((row) => ({
    name: voNameOf(row.name),
    lsc: lscOf(row.signer_dn, keys.certificate.subject),
    members: members.filter((member) => member.vo === row.name).map(memberOf),
  }));
}

/** A VO's members by DN; throws VO_NOT_FOUND. */
export async function membersOf(around: Membership, name: string): Promise<readonly Member[]> {
  const vo = await existingVo(around, name);
  const rows = await around.ledger.db
    .selectFrom('member')
    .selectAll()
    .where('vo', '=', vo)
    .orderBy('dn')
    .execute();
  return rows.map(memberOf);
}

/** Adds a member, or replaces what is recorded of it. */
export async function addMember(
  around: Membership,
  request: {
    readonly vo: string;
    readonly dn: string;
    readonly fqans: readonly string[];
    readonly by: Dn;
  },
): Promise<Member> {
  const vo = await existingVo(around, request.vo);
  if (!isDnText(request.dn)) {
    const shown = JSON.stringify(request.dn.slice(0, 120));
    throw new GridError('REQUEST_INVALID', `${shown} is no DN: write /DC=org/.../CN=Alice`);
  }
  const member: Member = {
    dn: dn(request.dn),
    fqans: memberFqans(vo, request.fqans),
    addedAtMs: around.clock.nowMs(),
    addedBy: request.by,
  };
  const detail = { vo, fqans: member.fqans };
  const change = { actor: request.by, action: 'add-member', subject: member.dn, detail } as const;
  await around.ledger.change(change, async (db) => {
    await saveMember(db, vo, member);
    await refuseOrphan(db, vo);
  });
  return member;
}

/** Removes a member; throws REQUEST_INVALID for one who is none, and for the last manager. */
export async function removeMember(
  around: Membership,
  request: { readonly vo: string; readonly dn: string; readonly by: Dn },
): Promise<void> {
  const vo = await existingVo(around, request.vo);
  const detail = { vo };
  const change = {
    actor: request.by,
    action: 'remove-member',
    subject: request.dn,
    detail,
  } as const;
  await around.ledger.change(change, async (db) => {
    const removed = await db
      .deleteFrom('member')
      .where('vo', '=', vo)
      .where('dn', '=', request.dn)
      .executeTakeFirst();
    if (removed.numDeletedRows !== 1n) {
      throw new GridError('REQUEST_INVALID', `'${request.dn}' is no member of '${vo}'`);
    }
    await refuseOrphan(db, vo);
  });
}

const isManager = (vo: VoName, member: { readonly fqans: readonly string[] }): boolean =>
  member.fqans.includes(managerFqan(vo));

/** What is recorded of one member; undefined for a stranger. Throws VO_NOT_FOUND. */
export async function findMember(
  around: Membership,
  name: string,
  who: Dn,
): Promise<Member | undefined> {
  const vo = await existingVo(around, name);
  const row = await around.ledger.db
    .selectFrom('member')
    .selectAll()
    .where('vo', '=', vo)
    .where('dn', '=', who)
    .executeTakeFirst();
  return row === undefined ? undefined : memberOf(row);
}

/** Whether `who` may change the VO's members. */
export async function manages(around: Membership, name: string, who: Dn): Promise<boolean> {
  const member = await findMember(around, name, who);
  return member !== undefined && isManager(voNameOf(name), member);
}

async function refuseOrphan(db: LedgerTransaction, vo: VoName): Promise<void> {
  const rows = await db.selectFrom('member').selectAll().where('vo', '=', vo).execute();
  if (rows.map(memberOf).some((member) => isManager(vo, member))) return;
  throw new GridError('REQUEST_INVALID', `'${vo}' would be left without a manager: add one first`);
}

async function saveMember(db: LedgerTransaction, vo: VoName, member: Member): Promise<void> {
  const row = {
    vo,
    dn: member.dn,
    fqans: member.fqans.join('\n'),
    added_at_ms: member.addedAtMs,
    added_by: member.addedBy,
  };
  await db
    .insertInto('member')
    .values(row)
    .onConflict((conflict) => conflict.columns(['vo', 'dn']).doUpdateSet(row))
    .execute();
}

const memberOf = (row: {
  readonly dn: string;
  readonly fqans: string;
  readonly added_at_ms: number;
  readonly added_by: string;
}): Member => ({
  dn: dn(row.dn),
  fqans: row.fqans.split('\n'),
  addedAtMs: row.added_at_ms,
  addedBy: dn(row.added_by),
});

async function existingVo(around: Membership, name: string): Promise<VoName> {
  const vo = voNameOf(name);
  if ((await voRow(around, vo)) === undefined) {
    throw new GridError('VO_NOT_FOUND', `there is no VO '${vo}' here`);
  }
  return vo;
}

const voRow = (around: Membership, vo: VoName): Promise<{ name: string } | undefined> =>
  around.ledger.db.selectFrom('vo').select('name').where('name', '=', vo).executeTakeFirst();

function voNameOf(name: string): VoName {
  if (isVoName(name)) return name;
  const shown = JSON.stringify(name.slice(0, 80));
  throw new GridError(
    'REQUEST_INVALID',
    `${shown} is no VO name: lower-case letters, digits, '.' and '-', beginning with a letter`,
  );
}

const lscOf = (signer: string, issuer: string): string => `${signer}\n${issuer}\n`;

const alreadyThere = (vo: VoName): GridError =>
  new GridError('ALREADY_EXISTS', `the VO '${vo}' is there already`);
