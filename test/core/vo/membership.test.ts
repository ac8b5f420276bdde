import { expect, test } from 'vitest';
import { voName } from '../../../core/ids.ts';
import { fqansToSign, managerFqan, memberFqans } from '../../../core/vo/membership.ts';

const VO = voName('biomed');

test('plain membership comes first, and a role brings the group that it is in', () => {
  expect(memberFqans(VO, ['/biomed/imaging/Role=operator', '/biomed'])).toEqual([
    '/biomed',
    '/biomed/imaging',
    '/biomed/imaging/Role=operator',
  ]);
});

test.for(['/cms', '/biomedical', 'biomed', '/biomed/', '/biomed/Role=', '/biomed/a b'])(
  '%j is no FQAN of biomed',
  (text) => {
    expect(() => memberFqans(VO, [text])).toThrow('is no FQAN');
  },
);

const HELD = memberFqans(VO, ['/biomed/imaging/Role=operator', managerFqan(VO)]);

test('without a wish all groups are signed, and no role', () => {
  expect(fqansToSign(VO, HELD, [])).toEqual(['/biomed', '/biomed/imaging']);
});

test('a role is signed when it is asked for, first, and membership with it', () => {
  expect(fqansToSign(VO, HELD, ['/biomed/Role=manager'])).toEqual([
    '/biomed/Role=manager',
    '/biomed',
  ]);
});

test('what the member lacks is refused by name', () => {
  expect(() => fqansToSign(VO, HELD, ['/biomed', '/biomed/Role=admin'])).toThrow(
    "not yours in 'biomed': /biomed/Role=admin (yours: /biomed",
  );
});

test('VOMS spellings of no role are the same FQAN', () => {
  expect(fqansToSign(VO, HELD, ['/biomed/imaging/Role=NULL/Capability=NULL'])).toEqual([
    '/biomed/imaging',
    '/biomed',
  ]);
});
