import { expect, test } from 'vitest';
import { dn, voName } from '../../../core/ids.ts';
import type { Peer } from '../../../core/vo/caller.ts';
import { parseFqan } from '../../../core/vo/fqan.ts';
import {
  chooseVo,
  mayControl,
  mayList,
  mayRead,
  maySetShares,
  maySubmit,
} from '../../../core/vo/policy.ts';

const peer = (name: string, fqans: readonly string[], details: Partial<Peer> = {}): Peer => ({
  dn: dn(`/CN=${name}`),
  fqans: fqans.flatMap((text) => parseFqan(text) ?? []),
  expiresAtMs: 0,
  proxyDepth: 1,
  limited: false,
  rejectedAttributes: [],
  leafSha256: '',
  endEntityDer: new Uint8Array(),
  ...details,
});
const ACCESS = { admins: ['/CN=Root'], vos: ['demo', 'bio'] };
const JOB = { owner: dn('/CN=Alice'), vo: voName('demo') };

test('the only VO that is served is taken, two must be told apart', () => {
  expect(chooseVo(peer('A', ['/other', '/demo/x']), '', ACCESS)).toEqual({
    allowed: true,
    vo: 'demo',
  });
  expect(chooseVo(peer('A', ['/bio', '/demo']), '', ACCESS)).toMatchObject({ code: 'VO_DENIED' });
  expect(chooseVo(peer('A', ['/bio', '/demo']), 'bio', ACCESS)).toMatchObject({ vo: 'bio' });
});

test.each([
  [[], '', 'shows no VO membership'],
  [['/other'], '', 'is a member of other'],
  [['/demo'], 'bio', 'does not show membership of VO bio'],
])('%o may not act under "%s": %s', (fqans, wanted, words) => {
  const decision = chooseVo(peer('A', fqans), wanted, ACCESS);
  expect(decision).toMatchObject({ allowed: false, code: 'VO_DENIED' });
  expect(JSON.stringify(decision)).toContain(words);
});

test.each([
  ['a member of it', ['/other']],
  ['no member of it', ['/demo']],
])('to %s a VO that the broker does not serve is not found', (_who, fqans) => {
  expect(chooseVo(peer('A', fqans), 'other', ACCESS)).toEqual({
    allowed: false,
    code: 'VO_NOT_FOUND',
    why: 'this broker does not serve VO other (serves: demo, bio)',
  });
});

test('a limited proxy neither submits nor cancels', () => {
  const limited = peer('Alice', ['/demo'], { limited: true });
  expect(maySubmit(limited, '', ACCESS)).toMatchObject({ code: 'PERMISSION_DENIED' });
  expect(mayControl(limited, JOB, ACCESS)).toBe(false);
  expect(mayRead(limited, JOB, ACCESS)).toBe(true);
});

test.each([
  ['Alice', [], [true, true, true]],
  ['Root', [], [true, true, true]],
  ['Bob', ['/demo'], [true, false, false]],
  ['Eve', ['/bio'], [false, false, false]],
])('%s with %o may list, read, cancel: %o', (name, fqans, rights) => {
  const who = peer(name, fqans);
  const found = [
    mayList(who, JOB, ACCESS),
    mayRead(who, JOB, ACCESS),
    mayControl(who, JOB, ACCESS),
  ];
  expect(found).toEqual(rights);
});

test.each([
  ['Root', [], {}, [true, true]],
  ['Mary', ['/demo', '/demo/Role=manager'], {}, [false, true]],
  ['Gus', ['/demo/x', '/demo/x/Role=manager'], {}, [false, false]],
  ['Ben', ['/bio', '/bio/Role=manager'], {}, [false, false]],
  ['Root', [], { limited: true }, [false, false]],
])('%s with %o %o may set shares of VO demo, and in it: %o', (name, fqans, details, rights) => {
  const who = peer(name, fqans, details);
  const found = [false, true].map((inside) => maySetShares(who, voName('demo'), inside, ACCESS));
  expect(found.map(({ allowed }) => allowed)).toEqual(rights);
});
