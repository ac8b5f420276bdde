import { expect, test } from 'vitest';
import { parseIp, sameIp } from '../../../core/pki/ip.ts';
import { canonicalDn, formatName, isDnText, parseName } from '../../../core/pki/name.ts';

test('a name that the authority would write reads back as itself', () => {
  const text = "/DC=org/DC=example/OU=People/CN=Grace O'Hopper (navy)";
  expect(formatName(parseName(text))).toBe(text);
});

test.for([
  ['', 'is no DN'],
  ['CN=Alice', 'is no DN'],
  ['/CN=', 'is no name'],
  ['/XX=Alice', "'XX' in a DN is none of DC"],
  ['/CN=Alice=Bob', "has two '='"],
  ['/CN=Alice  Bob', 'has two spaces'],
  ['/CN= Alice', 'is no name'],
  ['/CN=Alice ', 'is no name'],
  ['/CN=Alice\nBob', 'Alice\\u{a}Bob'],
  ['/CN=Zoë', 'Zo\\u{eb}'],
  ['/CN=\u202eecilA', '\\u{202e}ecilA'],
  [`/CN=${'a'.repeat(65)}`, '1 to 64'],
] as const)('%j is refused because it %s', ([text, why]) => {
  expect(() => parseName(text)).toThrow(why);
});

test.for([
  ['/DC=org/CN=Alice', '/DC=ORG/CN=alice'],
  ['/CN=Ada Lovelace', '/CN=ada  lovelace'],
  ['/CN=Ada /OU=x', '/CN=Ada/OU=x'],
] as const)('people take %s and %s for one name', ([one, other]) => {
  expect(canonicalDn(one)).toBe(canonicalDn(other));
});

test('different names stay different in canonical form', () => {
  expect(canonicalDn('/CN=Ada')).not.toBe(canonicalDn('/CN=Adah'));
});

test.for([
  ['/DC=org/CN=Alice', true],
  ['/O=Grid/CN=host\\x2Fa.example.org', true],
  ['/CN=Zoë', true],
  ['CN=Alice', false],
  ['/Alice', false],
  ['/CN=Alice\n/CN=Bob', false],
] as const)('%j looks like a DN: %s', ([text, expected]) => {
  expect(isDnText(text)).toBe(expected);
});

test.for([
  ['127.0.0.1', [127, 0, 0, 1]],
  ['::1', [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]],
  ['2001:db8::ff', [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff]],
  ['256.0.0.1', undefined],
  ['1.2.3', undefined],
  ['01.2.3.4', undefined],
  ['::1::', undefined],
  ['1:2:3:4:5:6:7', undefined],
  ['1:2:3:4:5:6:7:8:9', undefined],
  ['host.example', undefined],
] as const)('%s as an address is %j', ([text, bytes]) => {
  expect(parseIp(text)).toEqual(bytes);
});

test('an address is the same however it is written', () => {
  expect(sameIp('2001:DB8:0:0:0:0:0:1', '2001:db8::1')).toBe(true);
  expect(sameIp('127.0.0.1', '127.0.0.2')).toBe(false);
  expect(sameIp('no', 'no')).toBe(false);
});
