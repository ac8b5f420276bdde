import { describe, expect, test } from 'vitest';
import { oid, sequence, set, TAG, text, tlv } from '../../../service/pki/der.ts';
import { formatName, nameFromDn, rdnOf } from '../../../service/pki/name.ts';

const CN = '2.5.4.3';
const format = (...rdns: readonly Uint8Array[]): string => formatName(sequence(...rdns));

describe('no name looks like another', () => {
  test.for([
    ['a slash', 'Mallory/CN=Alice', '/CN=Mallory\\x2FCN=Alice'],
    ['a backslash', 'a\\x2Fb', '/CN=a\\x5Cx2Fb'],
    ['a line break', 'a\nb', '/CN=a\\x0Ab'],
    ['a terminal sequence', '\u001b[31m', '/CN=\\x1B[31m'],
    ['text from right to left', 'a\u202eb', '/CN=a\\xE2\\x80\\xAEb'],
    ['a NUL', 'alice\u0000.evil', '/CN=alice\\x00.evil'],
    ['what looks like a second attribute', 'a+OU=b', '/CN=a\\x2BOU=b'],
    ['a harmless plus', 'C++', '/CN=C++'],
    ['letters of the world', 'Ünal 王', '/CN=Ünal 王'],
  ] as const)('%s', ([, value, shown]) => {
    expect(format(rdnOf(CN, value))).toBe(shown);
    expect(formatName(nameFromDn(shown) ?? new Uint8Array())).toBe(shown);
  });

  test('two attributes in one part stay in one', () => {
    const both = [
      sequence(oid(CN), text(TAG.utf8String, 'a')),
      sequence(oid('2.5.4.11'), text(TAG.utf8String, 'b')),
    ];
    expect(format(set(...both))).toBe('/CN=a+OU=b');
  });

  test('an unknown attribute shows its number', () => {
    expect(format(rdnOf('1.2.3.4', 'x'))).toBe('/1.2.3.4=x');
  });

  test('strings of old encodings are read', () => {
    expect(format(rdnOf(CN, 'x', TAG.printableString))).toBe('/CN=x');
    const bmp = set(sequence(oid(CN), tlv(TAG.bmpString, [0, 0xe4, 0x73, 0x8b])));
    expect(format(bmp)).toBe('/CN=ä王');
    const latin = set(sequence(oid(CN), tlv(TAG.t61String, [0xe4])));
    expect(format(latin)).toBe('/CN=ä');
    const broken = set(sequence(oid(CN), tlv(TAG.utf8String, [0xff])));
    expect(() => format(broken)).toThrow('bad UTF-8');
  });
});

describe('a DN in text becomes a name', () => {
  test.for([
    ['/DC=org/CN=host/a.example.org', '/DC=org/CN=host\\x2Fa.example.org'],
    ['/O=x/Email=a@b', '/O=x/emailAddress=a@b'],
    ['/userid=u/cn=v', '/UID=u/CN=v'],
  ])('%s', ([given = '', shown]) =>
    expect(formatName(nameFromDn(given) ?? new Uint8Array())).toBe(shown),
  );

  test.for(['', 'CN=x', '/', '/CN=', '/nonsense=x', '//CN=x'])('but not `%s`', (given) => {
    expect(nameFromDn(given)).toBeUndefined();
  });
});
