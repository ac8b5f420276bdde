import { expect, test } from 'vitest';
import { formatSiteToken, parseSiteToken } from '../../cli/site/token.ts';

const TOKEN = {
  site: 'campus',
  enrolment: 'a.b.c',
  broker: 'broker.example.org:7450',
  brokerDn: '/DC=org/DC=example/OU=Hosts/CN=broker.example.org',
  address: 'gw.campus.example:7460',
};

test('a site token says what was put into it, with blanks around it or not', () => {
  expect(parseSiteToken(`\n ${formatSiteToken(TOKEN)} \n`)).toEqual(TOKEN);
});

test.for([
  ['half of one', formatSiteToken(TOKEN).slice(0, 60), 'is it complete'],
  ['nothing', '', 'is it complete'],
  ['a certificate’s token', 'eyJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJ4In0.c2ln', '`grid site invite`'],
  ['a site id with a path', formatSiteToken({ ...TOKEN, site: '../x' }), 'is it complete'],
  ['an address without a port', formatSiteToken({ ...TOKEN, broker: 'broker' }), 'complete'],
  ['a broker without a DN', formatSiteToken({ ...TOKEN, brokerDn: 'CN=x' }), 'complete'],
] as const)('%s is refused with what to do', ([, text, words]) => {
  expect(() => parseSiteToken(text)).toThrow(
    expect.objectContaining({ code: 'TOKEN_INVALID', message: expect.stringContaining(words) }),
  );
});
