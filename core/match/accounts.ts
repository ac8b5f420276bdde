import type { Dn, VoName } from '../ids.ts';
import { coversName } from '../pki/signing-policy.ts';
import { parseFqan } from '../vo/fqan.ts';

/** Whose jobs a site runs under an account, or refuses. The account is no business of the grid and is left out. */
export interface AccountRule {
  /** Pattern of a DN, `*` and `?` as in a signing policy; '' for anybody. */
  readonly dn: string;
  /** Pattern of an attribute of the VO that the job runs under; '' for none wanted. */
  readonly fqan: string;
  readonly denied: boolean;
}

/** Whose job it is. */
export interface AccountWish {
  readonly owner: Dn;
  readonly vo: VoName;
  /** Attributes as text, of any VO. */
  readonly fqans: readonly string[];
}

/** Place of the first rule that covers the owner of a job; -1 for none. Attributes of other VOs than the job's do not count. */
export function accountRuleAt(rules: readonly AccountRule[], wish: AccountWish): number {
  const own = wish.fqans.filter((fqan) => parseFqan(fqan)?.vo === wish.vo);
  return rules.findIndex(
    ({ dn, fqan }) =>
      (dn === '' || coversName(dn, wish.owner)) &&
      (fqan === '' || own.some((one) => coversName(fqan, one))),
  );
}

/** Why a site has no account for a job; undefined where it has one, and where it needs none because it has no rules. */
export function withoutAccount(
  rules: readonly AccountRule[],
  wish: AccountWish,
): string | undefined {
  if (rules.length === 0) return undefined;
  const at = accountRuleAt(rules, wish);
  const who = `${wish.owner} in VO ${wish.vo}`;
  if (at < 0) return `the site has no account for ${who}`;
  return rules[at]?.denied === true ? `the site denies an account to ${who}` : undefined;
}
