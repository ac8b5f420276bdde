import { expect, test } from 'vitest';
import { dn, voName } from '../../../core/ids.ts';
import { accountRuleAt, withoutAccount } from '../../../core/match/accounts.ts';

const rule = (part: { dn?: string; fqan?: string; denied?: boolean }) => ({
  dn: '',
  fqan: '',
  denied: false,
  ...part,
});
const wish = (name: string, vo: string, ...fqans: readonly string[]) => ({
  owner: dn(`/O=Grid/CN=${name}`),
  vo: voName(vo),
  fqans,
});
const RULES = [
  rule({ dn: '/O=Grid/CN=Mallory', denied: true }),
  rule({ dn: '/O=Grid/*', fqan: '/bio/imaging/Role=production' }),
  rule({ fqan: '/bio*' }),
];

test('the first rule that covers the owner counts, with both parts where it has both', () => {
  const at = (...args: Parameters<typeof wish>) => accountRuleAt(RULES, wish(...args));
  expect(at('Mallory', 'bio', '/bio')).toBe(0);
  expect(at('Alice', 'bio', '/bio/imaging/Role=production', '/bio')).toBe(1);
  expect(at('Alice', 'bio', '/bio/imaging')).toBe(2);
  expect(at('Alice', 'demo', '/demo')).toBe(-1);
});

test('an attribute of another VO than that of the job gives nothing', () => {
  expect(accountRuleAt(RULES, wish('Alice', 'demo', '/demo', '/bio'))).toBe(-1);
  expect(accountRuleAt([rule({ fqan: '/bio*' })], wish('Alice', 'bio2', '/bio'))).toBe(-1);
});

test('without rules everybody may, with rules those whom one covers, and the reason says who', () => {
  expect(withoutAccount([], wish('Eve', 'demo'))).toBeUndefined();
  expect(withoutAccount(RULES, wish('Alice', 'bio', '/bio'))).toBeUndefined();
  expect(withoutAccount(RULES, wish('Eve', 'demo', '/demo'))).toBe(
    'the site has no account for /O=Grid/CN=Eve in VO demo',
  );
  expect(withoutAccount(RULES, wish('Mallory', 'bio', '/bio'))).toBe(
    'the site denies an account to /O=Grid/CN=Mallory in VO bio',
  );
});
