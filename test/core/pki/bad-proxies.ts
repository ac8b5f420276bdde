import type { PathCode } from '../../../core/pki/refusals.ts';
import {
  basicConstraints,
  extendedKeyUsage,
  extension,
  keyUsage,
  proxyCertInfo,
  subjectAltName,
} from '../../../service/pki/certificate-writer.ts';
import { boolean, octetString, oid, sequence } from '../../../service/pki/der.ts';
import { OID } from '../../../service/pki/oids.ts';
import {
  DAY_MS,
  type Entity,
  HOUR_MS,
  makeTestProxy,
  makeUser,
  NOON_MS,
  nameBelow,
  newKey,
} from '../../fakes/test-ca.ts';
import { alice, type Case, proxy, root } from './world.ts';

const below = (details: Parameters<typeof makeTestProxy>[1]): Case => ({
  chain: [makeTestProxy(alice, details), alice],
});
const signature = keyUsage('digitalSignature');
const depth9 = Array.from({ length: 9 }).reduce<readonly Entity[]>(
  (chain) => [makeTestProxy(chain[0] ?? alice), ...chain],
  [alice],
);
const limited = makeTestProxy(alice, { language: OID.limited });
const noDelegation = makeTestProxy(alice, { pathLength: 0 });
const noSignature = makeUser(root, '/DC=org/DC=test/CN=Nosign', {
  extensions: [basicConstraints(false), keyUsage('keyEncipherment')],
});
const pciWithBody = extension(
  OID.proxyCertInfo,
  true,
  sequence(sequence(oid(OID.inheritAll), octetString([1, 2, 3]))),
);
const softPci = extension(OID.proxyCertInfo, false, sequence(sequence(oid(OID.inheritAll))));

/** Chains that fail at a proxy: code, what is wrong, and the chain. */
export const BAD_PROXIES: readonly (readonly [PathCode, string, Case])[] = [
  ['NOT_V3', 'a proxy of version 2', below({ version: 2 })],
  ['WEAK_KEY', 'a proxy with a weak key', below({ key: newKey('rsa-1024') })],
  ['EXPIRED', 'a proxy of an hour ago', below({ notAfterMs: NOON_MS - HOUR_MS })],
  [
    'EXPIRED',
    'a proxy below one that has ended',
    (() => {
      const dead = makeTestProxy(alice, { notAfterMs: NOON_MS - HOUR_MS });
      return { chain: [makeTestProxy(dead), dead, alice] };
    })(),
  ],
  [
    'CRITICAL_EXTENSION',
    'an unknown one in a proxy',
    below({ more: [extension('1.2.3.4', true, boolean(true))] }),
  ],
  ['EKU', 'a proxy for mail only', below({ more: [extendedKeyUsage('1.3.6.1.5.5.7.3.4')] })],
  ['BAD_SIGNATURE', 'a proxy signed by another key', below({ signingKey: newKey() })],
  ['PROXY_WITHOUT_EEC', 'proxies alone', { chain: [makeTestProxy(proxy), proxy] }],
  [
    'PROXY_ABOVE_EEC',
    'an end entity issued by a proxy',
    {
      chain: [makeUser(proxy, '/DC=org/DC=test/CN=Root'), proxy, alice],
    },
  ],
  ['PROXY_LEGACY', 'GT2', below({ subject: nameBelow(alice, 'proxy'), only: [signature] })],
  [
    'PROXY_LEGACY',
    'GT2 limited',
    below({ subject: nameBelow(alice, 'limited proxy'), only: [signature] }),
  ],
  [
    'PROXY_LEGACY',
    'GT3 draft',
    below({
      only: [signature, extension('1.3.6.1.4.1.3536.1.222', true, sequence())],
    }),
  ],
  ['PROXY_DEPTH', 'nine proxies', { chain: depth9 }],
  ['PROXY_PCI_NOT_CRITICAL', 'proxyCertInfo not critical', below({ only: [signature, softPci] })],
  [
    'PROXY_ISSUER',
    'the end entity of somebody else',
    {
      chain: [proxy, makeUser(root, '/DC=org/DC=test/CN=Eve')],
    },
  ],
  ['PROXY_SUBJECT', 'a name of its own', below({ subject: '/DC=org/DC=test/CN=Root' })],
  ['PROXY_SUBJECT', 'two CNs more', below({ subject: nameBelow(alice, '1', '2') })],
  ['PROXY_SUBJECT', 'an OU instead of a CN', below({ subject: '/DC=org/DC=test/CN=Alice/OU=1' })],
  [
    'PROXY_ISSUER_KEY_USAGE',
    'an issuer without digitalSignature',
    {
      chain: [makeTestProxy(noSignature), noSignature],
    },
  ],
  ['PROXY_IS_CA', 'a proxy with basicConstraints CA', below({ more: [basicConstraints(true)] })],
  [
    'PROXY_KEY_USAGE',
    'a proxy with keyCertSign',
    below({
      only: [keyUsage('digitalSignature', 'keyCertSign'), proxyCertInfo(OID.inheritAll)],
    }),
  ],
  ['PROXY_ALT_NAME', 'a proxy with another name', below({ more: [subjectAltName(['root.test'])] })],
  ['PROXY_LANGUAGE', 'an unknown policy language', below({ language: '1.2.3.4' })],
  ['PROXY_POLICY', 'a full proxy with a policy', below({ only: [signature, pciWithBody] })],
  ['PROXY_INDEPENDENT', 'an independent proxy', below({ language: OID.independent })],
  [
    'PROXY_LIMITED',
    'a full proxy below a limited one',
    {
      chain: [makeTestProxy(limited), limited, alice],
    },
  ],
  [
    'PROXY_PATHLEN',
    'a proxy below path length 0',
    {
      chain: [makeTestProxy(noDelegation), noDelegation, alice],
    },
  ],
  ['PROXY_LIFETIME', 'a proxy for a month', below({ notAfterMs: NOON_MS + 30 * DAY_MS })],
];
