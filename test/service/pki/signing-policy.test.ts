import { describe, expect, test } from 'vitest';
import { dn } from '../../../core/ids.ts';
import { coversName } from '../../../core/pki/signing-policy.ts';
import { parseSigningPolicy } from '../../../service/pki/signing-policy.ts';
import { formatSigningPolicy } from '../../../service/trust/trust-dir.ts';

const CA = dn('/C=DE/O=Grid/CN=Grid CA/emailAddress=ca@grid.test');

describe('a signing policy file', () => {
  test('of Globus is read with its comments, quotes and several subjects', () => {
    const text = `# EACL of the grid
 access_id_CA      X509         '/C=DE/O=Grid/CN=Grid CA/Email=ca@grid.test'
 pos_rights        globus        CA:sign
 cond_subjects     globus     '"/C=DE/O=Grid/*" "/O=Other/*"'
`;
    expect(parseSigningPolicy(text, CA)).toEqual(['/C=DE/O=Grid/*', '/O=Other/*']);
  });

  test('of our making is read back', () => {
    expect(parseSigningPolicy(formatSigningPolicy(CA, ['/a/*', '/b b/*']), CA)).toEqual([
      '/a/*',
      '/b b/*',
    ]);
  });

  test('may hold several authorities and gives each its own subjects', () => {
    const text = formatSigningPolicy(dn('/CN=Other'), ['/x/*']) + formatSigningPolicy(CA, ['/y/*']);
    expect(parseSigningPolicy(text, CA)).toEqual(['/y/*']);
  });

  test('that does not name the authority is none', () => {
    expect(parseSigningPolicy(formatSigningPolicy(CA, ['/*']), dn('/CN=Other'))).toBeUndefined();
    expect(parseSigningPolicy('', CA)).toBeUndefined();
  });

  test.for(['neg_rights globus CA:sign', 'pos_rights globus CA:other', ''])(
    'with the rights `%s` allows nothing',
    (rights) => {
      const text = `access_id_CA X509 '${CA}'\n${rights}\ncond_subjects globus '"/*"'\n`;
      expect(parseSigningPolicy(text, CA)).toEqual([]);
    },
  );
});

describe('a pattern covers a name', () => {
  test.for([
    ['/DC=org/DC=test/*', '/DC=org/DC=test/CN=Alice', true],
    ['/DC=org/DC=test/*', '/DC=org/DC=testing/CN=Alice', false],
    ['/DC=org/DC=test/*', '/DC=org/DC=test', false],
    ['/O=Grid/*/CN=*', '/O=Grid/OU=a/OU=b/CN=x', true],
    ['/O=Grid/*/CN=*', '/O=Grid/OU=a', false],
    ['/O=Grid/CN=?', '/O=Grid/CN=x', true],
    ['/O=Grid/CN=?', '/O=Grid/CN=xy', false],
    ['/O=Grid/CN=?', '/O=Grid/CN=', false],
    ['/O=Grid.(x)+', '/O=Grid.(x)+', true],
    ['/O=Grid.', '/O=GridX', false],
    ['/O=Grid/Email=*', '/O=Grid/emailAddress=a@b', true],
    ['*', '', true],
    ['', '/O=x', false],
    ['/o=grid/*', '/O=Grid/CN=x', false],
  ] as const)('%s and %s: %s', ([pattern, name, covered]) => {
    expect(coversName(pattern, name)).toBe(covered);
  });

  test('in time that does not explode', () => {
    const name = 'a'.repeat(2_000);
    expect(coversName(`${'*a'.repeat(200)}b`, name)).toBe(false);
  });
});
