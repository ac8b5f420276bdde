import { describe, expect, test } from 'vitest';
import { OID } from '../../../service/pki/oids.ts';
import {
  anchorOf,
  DAY_MS,
  makeAuthority,
  makeTestProxy,
  makeUser,
  NOON_MS,
} from '../../fakes/test-ca.ts';
import { alice, bob, both, type Case, judge, proxy, ROOT, root, sub, trusted } from './world.ts';

describe('a good chain names its end entity', () => {
  test.for<[string, string, Case]>([
    ['an end entity', '/DC=org/DC=test/CN=Alice', { chain: [alice] }],
    ['an end entity and the root', '/DC=org/DC=test/CN=Alice', { chain: [alice, root] }],
    ['a proxy', '/DC=org/DC=test/CN=Alice', { chain: [proxy, alice] }],
    [
      'a proxy of a proxy',
      '/DC=org/DC=test/CN=Alice',
      { chain: [makeTestProxy(proxy), proxy, alice] },
    ],
    [
      'an end entity of an intermediate authority',
      '/DC=org/DC=test/CN=Bob',
      { chain: [makeTestProxy(bob), bob, sub], anchors: both },
    ],
    [
      'an intermediate authority that is not sent',
      '/DC=org/DC=test/CN=Bob',
      { chain: [bob], anchors: both },
    ],
    [
      'no revocation list where that is allowed',
      '/DC=org/DC=test/CN=Alice',
      {
        chain: [alice],
        anchors: [{ cert: root.cert, subjectPatterns: ['/DC=org/DC=test/*'] }],
        options: { crl: 'optional' },
      },
    ],
  ])('%s', ([, dn, given]) => expect(judge(given)).toMatchObject({ kind: 'identity', dn }));

  test('an authority with a new key is found by the signature', () => {
    const next = makeAuthority(ROOT);
    const user = makeUser(next, '/DC=org/DC=test/CN=New');
    expect(judge({ chain: [user], anchors: [trusted, anchorOf(next)] })).toMatchObject({
      kind: 'identity',
      dn: '/DC=org/DC=test/CN=New',
    });
  });

  test('it ends when the first of its certificates does', () => {
    const short = makeTestProxy(proxy, { notAfterMs: NOON_MS + 1_000 });
    expect(judge({ chain: [short, proxy, alice] })).toMatchObject({
      expiresAtMs: NOON_MS + 1_000,
    });
    const long = makeTestProxy(short, { notAfterMs: NOON_MS + DAY_MS });
    expect(judge({ chain: [long, short, proxy, alice] })).toMatchObject({
      expiresAtMs: NOON_MS + 1_000,
    });
  });

  test('a limited proxy stays limited below', () => {
    const limited = makeTestProxy(alice, { language: OID.limited });
    const below = makeTestProxy(limited, { language: OID.limited });
    expect(judge({ chain: [limited, alice] })).toMatchObject({ limited: true });
    expect(judge({ chain: [below, limited, alice] })).toMatchObject({ limited: true });
    expect(judge({ chain: [proxy, alice] })).toMatchObject({ limited: false });
  });

  test('the tightest path length says how many proxies may follow', () => {
    const two = makeTestProxy(alice, { pathLength: 2 });
    const five = makeTestProxy(two, { pathLength: 5 });
    expect(judge({ chain: [two, alice] })).toMatchObject({ proxiesLeft: 2 });
    expect(judge({ chain: [five, two, alice] })).toMatchObject({ proxiesLeft: 1 });
    expect(judge({ chain: [proxy, alice] })).not.toHaveProperty('proxiesLeft');
  });

  test('dates may be off by the skew and not by more', () => {
    const late = makeUser(root, '/DC=org/DC=test/CN=Late', { notAfterMs: NOON_MS - 60_000 });
    expect(judge({ chain: [late] })).toMatchObject({ kind: 'identity' });
    expect(judge({ chain: [late], options: { nowMs: NOON_MS + 1_000 } })).toMatchObject({
      code: 'EXPIRED',
    });
  });
});
