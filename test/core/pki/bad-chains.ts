import type { Anchor } from '../../../core/pki/cert.ts';
import type { PathCode } from '../../../core/pki/refusals.ts';
import {
  basicConstraints,
  extendedKeyUsage,
  extension,
  keyUsage,
} from '../../../service/pki/certificate-writer.ts';
import { readCrl } from '../../../service/pki/crl.ts';
import { boolean, oid, sequence } from '../../../service/pki/der.ts';
import { OID } from '../../../service/pki/oids.ts';
import {
  anchorOf,
  crlOf,
  DAY_MS,
  type Entity,
  forge,
  HOUR_MS,
  makeAuthority,
  makeUser,
  NOON_MS,
  newKey,
} from '../../fakes/test-ca.ts';
import { alice, bob, both, type Case, proxy, ROOT, root, sub, trusted } from './world.ts';

const user = (details: Parameters<typeof makeUser>[2], name = 'Mallory'): Case => ({
  chain: [makeUser(root, `/DC=org/DC=test/CN=${name}`, details)],
});
const under = (anchor: Partial<Anchor>, chain: readonly Entity[] = [alice]): Case => ({
  chain,
  anchors: [{ ...trusted, ...anchor }],
});
const withCrl = (details: Parameters<typeof crlOf>[1]): Case => ({
  chain: [alice],
  anchors: [anchorOf(root, crlOf(root, details))],
});
/** A user of an authority that the root signed with these details. */
const bySub = (details: Parameters<typeof makeAuthority>[1]): Case => {
  const authority = makeAuthority('/DC=org/DC=test/CN=Odd', details, root);
  const chain = [makeUser(authority, '/DC=org/DC=test/CN=Carol'), authority];
  return { chain, anchors: [trusted, anchorOf(authority)] };
};
const caExtensions = (...more: readonly Uint8Array[]): readonly Uint8Array[] => [
  basicConstraints(true),
  ...more,
];
const evil = makeAuthority('/DC=org/DC=evil/CN=Evil');
const impostor = makeAuthority(ROOT);
const signature = keyUsage('digitalSignature');
const sha1 = sequence(oid('1.2.840.10045.4.1'));
const noSignature = makeUser(root, '/DC=org/DC=test/CN=Nosign', {
  extensions: [basicConstraints(false), keyUsage('keyEncipherment')],
});
const nameConstraints = extension(OID.nameConstraints, true, sequence());

/** Two installed authorities, each issued by the other, and no root. */
function circle(): Case {
  const one = makeAuthority('/DC=org/DC=test/CN=One');
  const two = makeAuthority('/DC=org/DC=test/CN=Two', {}, one);
  const oneByTwo = makeAuthority('/DC=org/DC=test/CN=One', { key: one.key }, two);
  const chain = [makeUser(two, '/DC=org/DC=test/CN=Dizzy')];
  return { chain, anchors: [anchorOf(oneByTwo), anchorOf(two)] };
}

/** Chains that fail above the proxies: code, what is wrong, and the chain. */
export const BAD_CHAINS: readonly (readonly [PathCode, string, Case])[] = [
  ['NO_CERT', 'nothing', { chain: [] }],
  ['CHAIN_TOO_LONG', '13 certificates', { chain: [alice, ...Array<Entity>(12).fill(root)] }],
  ['CHAIN_TOO_LONG', 'authorities that certify one another', circle()],
  ['NOT_V3', 'version 1', user({ version: 1, extensions: [] })],
  ['WEAK_ALG', 'SHA-1', user({ innerAlgorithm: sha1, hash: 'sha1' })],
  ['WEAK_ALG', 'two algorithms', user({ outerAlgorithm: sequence(oid('1.2.840.10045.4.3.3')) })],
  ['WEAK_KEY', 'RSA of 1024 bits', user({ key: newKey('rsa-1024') })],
  ['WEAK_KEY', 'an unusual curve', user({ key: newKey('secp256k1') })],
  ['EXPIRED', 'an end entity of yesterday', user({ notAfterMs: NOON_MS - 61_000 })],
  ['EXPIRED', 'an authority that has ended', bySub({ notAfterMs: NOON_MS - DAY_MS })],
  ['NOT_YET_VALID', 'a certificate of tomorrow', user({ notBeforeMs: NOON_MS + 61_000 })],
  [
    'CRITICAL_EXTENSION',
    'an unknown one',
    user({ extensions: [basicConstraints(false), extension('1.2.3.4', true, boolean(true))] }),
  ],
  ['KEY_USAGE', 'an end entity without digitalSignature', { chain: [noSignature] }],
  [
    'EKU',
    'a server certificate as a client',
    user({ extensions: [basicConstraints(false), signature, extendedKeyUsage(OID.serverAuth)] }),
  ],
  ['EEC_IS_CA', 'an authority', { chain: [sub] }],
  [
    'EEC_IS_CA',
    'a person that may sign certificates',
    user({ extensions: [basicConstraints(false), keyUsage('digitalSignature', 'keyCertSign')] }),
  ],
  ['NO_SUBJECT', 'no name', { chain: [makeUser(root, '/CN=x', { subject: sequence() })] }],
  ['UNTRUSTED_ISSUER', 'somebody’s own root', { chain: [makeUser(evil, '/CN=Alice'), evil] }],
  ['UNTRUSTED_ISSUER', 'a self-signed person', { chain: [forge({ subject: '/CN=Me' })] }],
  [
    'UNTRUSTED_ISSUER',
    'an installed authority whose root is not',
    { chain: [bob], anchors: [anchorOf(sub)] },
  ],
  [
    'ISSUER_NOT_CA',
    'a certificate signed by a person',
    { chain: [makeUser(alice, '/DC=org/DC=test/CN=Root Admin'), alice] },
  ],
  [
    'CA_PATHLEN',
    'an authority below one that allows none',
    (() => {
      const low = makeAuthority('/DC=org/DC=test/CN=Low', {}, sub);
      return {
        chain: [makeUser(low, '/DC=org/DC=test/CN=Dan')],
        anchors: [...both, anchorOf(low)],
      };
    })(),
  ],
  ['CA_KEY_USAGE', 'no keyCertSign', bySub({ extensions: caExtensions(keyUsage('cRLSign')) })],
  [
    'NAME_CONSTRAINTS',
    'an authority with them',
    bySub({ extensions: caExtensions(nameConstraints) }),
  ],
  [
    'BAD_SIGNATURE',
    'an authority of the same name',
    { chain: [makeUser(impostor, '/DC=org/DC=test/CN=Alice'), impostor] },
  ],
  ['BAD_SIGNATURE', 'a signature by another key', user({ signingKey: newKey() })],
  ['NO_SIGNING_POLICY', 'an authority that was sent, not installed', { chain: [bob, sub] }],
  [
    'NAMESPACE',
    'a name of another organisation',
    {
      chain: [makeUser(root, '/DC=org/DC=other/CN=Alice')],
    },
  ],
  ['NAMESPACE', 'a policy that allows nothing', under({ subjectPatterns: [] })],
  [
    'NO_CRL',
    'no revocation list',
    {
      chain: [alice],
      anchors: [{ cert: root.cert, subjectPatterns: ['/*'] }],
    },
  ],
  [
    'NO_CRL',
    'none of the intermediate authority',
    {
      chain: [bob],
      anchors: [trusted, { cert: sub.cert, subjectPatterns: ['/*'] }],
    },
  ],
  ['CRL_EXPIRED', 'a list of yesterday', withCrl({ nextUpdateMs: NOON_MS - 61_000 })],
  ['CRL_NOT_YET_VALID', 'a list of tomorrow', withCrl({ thisUpdateMs: NOON_MS + 61_000 })],
  [
    'CRL_SIGNATURE',
    'a list by another key',
    {
      chain: [alice],
      anchors: [anchorOf(root, crlOf(impostor))],
    },
  ],
  [
    'CRL_SIGNATURE',
    'a list of another authority',
    {
      chain: [alice],
      anchors: [anchorOf(root, crlOf({ ...sub, key: root.key }))],
    },
  ],
  ['CRL_KEY_USAGE', 'no cRLSign', bySub({ extensions: caExtensions(keyUsage('keyCertSign')) })],
  [
    'CRL_CRITICAL_EXTENSION',
    'a delta',
    under({
      crl: { ...readCrl(crlOf(root), root.cert), criticalExtensions: ['2.5.29.27'] },
    }),
  ],
  [
    'REVOKED',
    'a revoked person',
    withCrl({
      revoked: [{ serial: alice.cert.serial, revokedAtMs: NOON_MS - HOUR_MS }],
    }),
  ],
  [
    'REVOKED',
    'the proxy of a revoked person',
    {
      chain: [proxy, alice],
      anchors: [
        anchorOf(
          root,
          crlOf(root, { revoked: [{ serial: alice.cert.serial, revokedAtMs: NOON_MS }] }),
        ),
      ],
    },
  ],
  [
    'REVOKED',
    'a revoked authority',
    {
      chain: [bob],
      anchors: [
        anchorOf(
          root,
          crlOf(root, { revoked: [{ serial: sub.cert.serial, revokedAtMs: NOON_MS }] }),
        ),
        anchorOf(sub),
      ],
    },
  ],
];
