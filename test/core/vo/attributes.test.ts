import { describe, expect, test } from 'vitest';
import { dn } from '../../../core/ids.ts';
import { PATH_DEFAULTS } from '../../../core/pki/options.ts';
import {
  type AttributeCertificate,
  type AttributeCode,
  type AttributeContext,
  judgeAttributes,
} from '../../../core/vo/attributes.ts';
import { formatFqan } from '../../../core/vo/fqan.ts';
import {
  type AttributeTemplate,
  makeAttributeCertificate,
  readAttributeCertificate,
} from '../../../service/pki/attribute-cert.ts';
import { signedBy } from '../../../service/pki/x509.ts';
import {
  anchorOf,
  crlOf,
  DAY_MS,
  HOUR_MS,
  makeAuthority,
  makeHost,
  makeTestProxy,
  makeUser,
  NOON_MS,
  newKey,
} from '../../fakes/test-ca.ts';

const root = makeAuthority('/DC=org/DC=test/CN=Root');
const alice = makeUser(root, '/DC=org/DC=test/CN=Alice');
const voms = makeHost(root, '/DC=org/DC=test/CN=voms.test', ['voms.test']);
const mallory = makeHost(root, '/DC=org/DC=test/CN=mallory.test', ['mallory.test']);
const foreign = makeAuthority('/DC=org/DC=evil/CN=Evil');

const context: AttributeContext = {
  endEntity: alice.cert,
  trust: { anchors: [anchorOf(root)], signedBy },
  options: { ...PATH_DEFAULTS, nowMs: NOON_MS },
  lsc: [[voms.cert.subject, root.cert.subject]],
};

const signerOf = ({ cert, key }: typeof voms) => ({ certificate: cert, key });
const issued = (more: Partial<AttributeTemplate> = {}): AttributeCertificate =>
  readAttributeCertificate(
    makeAttributeCertificate({
      holder: alice.cert,
      signer: signerOf(voms),
      vo: 'demo',
      address: 'voms.test:15000',
      fqans: ['/demo', '/demo/imaging/Role=manager'],
      nowMs: NOON_MS,
      notAfterMs: NOON_MS + 12 * HOUR_MS,
      ...more,
    }),
  );

describe('attributes that a VO signed for this certificate count', () => {
  test('with all their FQANs, in order, until they end', () => {
    const verdict = judgeAttributes(issued(), context);
    expect(verdict).toMatchObject({ kind: 'granted', expiresAtMs: NOON_MS + 12 * HOUR_MS });
    expect(verdict.kind === 'granted' && verdict.fqans.map(formatFqan)).toEqual([
      '/demo',
      '/demo/imaging/Role=manager',
    ]);
  });

  test('with the NULL parts of old servers dropped', () => {
    const verdict = judgeAttributes(
      issued({ fqans: ['/demo/Role=NULL/Capability=NULL'] }),
      context,
    );
    expect(verdict).toMatchObject({ fqans: [{ vo: 'demo', groups: [] }] });
  });

  test('with the holder named by its issuer, as RFC 5755 has it', () => {
    const byIssuer = { ...issued(), holderKey: alice.cert.issuerKey };
    expect(judgeAttributes(byIssuer, context)).toMatchObject({ kind: 'granted' });
  });

  test('by any of several .lsc chains', () => {
    const lsc = [[dn('/CN=other'), dn('/CN=CA')], ...context.lsc];
    expect(judgeAttributes(issued(), { ...context, lsc })).toMatchObject({ kind: 'granted' });
  });
});

const good = issued();
const proxyOfAlice = makeTestProxy(alice);
const stranger = makeHost(foreign, '/DC=org/DC=evil/CN=voms.test', ['voms.test']);
const revoked = anchorOf(
  root,
  crlOf(root, { revoked: [{ serial: voms.cert.serial, revokedAtMs: NOON_MS }] }),
);

const BAD: readonly [AttributeCode, string, AttributeCertificate, Partial<AttributeContext>?][] = [
  ['AC_VO', 'no VO', { ...good, vo: undefined }],
  ['AC_VO', 'a VO that climbs out of the directory', { ...good, vo: '..' }],
  ['AC_HOLDER', 'of another person', issued({ holder: mallory.cert })],
  ['AC_HOLDER', 'of another certificate of the same person', { ...good, holderSerial: '01' }],
  [
    'AC_EXPIRED',
    'of yesterday',
    issued({ nowMs: NOON_MS - DAY_MS, notAfterMs: NOON_MS - HOUR_MS }),
  ],
  ['AC_NOT_YET_VALID', 'of tomorrow', { ...good, notBeforeMs: NOON_MS + 61_000 }],
  ['AC_LIFETIME', 'for eight days', issued({ notAfterMs: NOON_MS + 8 * DAY_MS })],
  ['AC_TARGETS', 'for certain hosts', { ...good, extensions: ['2.5.29.55'] }],
  ['AC_CRITICAL_EXTENSION', 'with an unknown one', { ...good, criticalExtensions: ['1.2.3'] }],
  ['AC_NO_SIGNER', 'without a certificate', { ...good, signerChain: [] }],
  ['AC_NO_SIGNER', 'with another certificate', { ...good, signerChain: [mallory.cert] }],
  ['AC_LSC', 'by a host that is no server of the VO', issued({ signer: signerOf(mallory) })],
  ['AC_LSC', 'of a VO without .lsc files', good, { lsc: [] }],
  ['AC_LSC', 'with an .lsc file that names no authority', good, { lsc: [[voms.cert.subject]] }],
  [
    'AC_SIGNER',
    'by the server of an untrusted authority',
    issued({ signer: signerOf(stranger) }),
    { lsc: [[stranger.cert.subject, foreign.cert.subject]] },
  ],
  ['AC_SIGNER', 'by a revoked server', good, { trust: { anchors: [revoked], signedBy } }],
  [
    'AC_SIGNER',
    'by a proxy',
    issued({ signer: signerOf(proxyOfAlice) }),
    { lsc: [[proxyOfAlice.cert.subject, alice.cert.subject]] },
  ],
  ['AC_SIGNATURE', 'by another key', issued({ signer: { certificate: voms.cert, key: newKey() } })],
  ['AC_FQAN', 'of another VO', issued({ fqans: ['/demo', '/atlas/Role=admin'] })],
  ['AC_FQAN', 'that is none', issued({ fqans: ['/demo/../atlas x'] })],
  ['AC_FQAN', 'of a VO whose name only begins the same', issued({ fqans: ['/demo2'] })],
];

describe('attributes that do not stand up give no rights', () => {
  test.for(BAD)('%s: %s', ([code, , attributes, more]) => {
    expect(judgeAttributes(attributes, { ...context, ...more })).toMatchObject({
      kind: 'refused',
      code,
    });
  });
});
