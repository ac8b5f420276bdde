import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GridError } from '../../../core/errors.ts';
import { formatFqan } from '../../../core/vo/fqan.ts';
import type { Clock } from '../../../service/clock.ts';
import {
  attributesExtension,
  makeAttributeCertificate,
} from '../../../service/pki/attribute-cert.ts';
import type { Authenticator } from '../../../service/rpc/grid-listener.ts';
import { openAuthenticator } from '../../../service/trust/authenticator.ts';
import { TrustStore } from '../../../service/trust/trust-store.ts';
import {
  crlOf,
  type Entity,
  HOUR_MS,
  installIn,
  makeAuthority,
  makeHost,
  makeTestProxy,
  makeUser,
  NOON_MS,
} from '../../fakes/test-ca.ts';

const root = makeAuthority('/DC=org/DC=test/CN=Root');
const alice = makeUser(root, '/DC=org/DC=test/CN=Alice');
const voms = makeHost(root, '/DC=org/DC=test/CN=voms.test', ['voms.test']);
const clock: Clock = { nowMs: () => NOON_MS, monotonicMs: () => 0 };

let dir: string;
let trust: TrustStore;
let authenticator: Authenticator;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hanse-trust-'));
  const certificates = join(dir, 'certificates');
  await installIn(certificates, root, crlOf(root));
  const vomsDir = join(dir, 'vomsdir');
  for (const vo of ['demo', 'bio']) {
    mkdirSync(join(vomsDir, vo), { recursive: true });
    const lsc = `${voms.cert.subject}\n${root.cert.subject}\n`;
    writeFileSync(join(vomsDir, vo, 'voms.test.lsc'), lsc);
  }
  const log = pino({ level: 'silent' });
  trust = TrustStore.open({ dir: certificates, crl: 'require', clock, log, reloadMs: 0 });
  authenticator = openAuthenticator({ trust, vomsDir, clock });
});
afterAll(() => {
  trust.close();
  rmSync(dir, { recursive: true });
});

const peerOf = (...chain: readonly Entity[]) =>
  authenticator.authenticate(chain.map(({ der }) => der));

const attributes = (vo: string, fqans: readonly string[], holder = alice, endsMs = 6 * HOUR_MS) =>
  makeAttributeCertificate({
    holder: holder.cert,
    signer: { certificate: voms.cert, key: voms.key },
    vo,
    address: 'voms.test:15000',
    fqans,
    nowMs: NOON_MS,
    notAfterMs: NOON_MS + endsMs,
  });
const carrying = (issuer: Entity, ...certificates: readonly Uint8Array[]): Entity =>
  makeTestProxy(issuer, { more: [attributesExtension(certificates)] });
const fqansOf = (...chain: readonly Entity[]): readonly string[] =>
  peerOf(...chain).fqans.map(formatFqan);

describe('the attributes of a proxy', () => {
  test('of two VOs all count, and the peer ends with the first', () => {
    const proxy = carrying(
      alice,
      attributes('demo', ['/demo', '/demo/Role=manager']),
      attributes('bio', ['/bio'], alice, 2 * HOUR_MS),
    );
    expect(fqansOf(proxy, alice)).toEqual(['/demo', '/demo/Role=manager', '/bio']);
    expect(peerOf(proxy, alice).expiresAtMs).toBe(NOON_MS + 2 * HOUR_MS);
  });

  test('are inherited by a proxy below, until one brings its own', () => {
    const first = carrying(alice, attributes('demo', ['/demo/Role=manager']));
    expect(fqansOf(makeTestProxy(first), first, alice)).toEqual(['/demo/Role=manager']);
    const second = carrying(first, attributes('demo', ['/demo']));
    expect(fqansOf(second, first, alice)).toEqual(['/demo']);
  });

  test('are reported when they give no rights, and nothing else is granted instead', () => {
    const first = carrying(alice, attributes('demo', ['/demo/Role=manager']));
    const stolen = carrying(first, attributes('demo', ['/demo'], voms));
    expect(peerOf(stolen, first, alice)).toMatchObject({
      dn: '/DC=org/DC=test/CN=Alice',
      fqans: [],
      rejectedAttributes: [expect.stringMatching(/^AC_HOLDER: /)],
    });
  });

  test.for<[string, Uint8Array]>([
    ['no DER', Uint8Array.from([1, 2, 3])],
    ['something else', voms.der],
  ])('that are %s are reported as unreadable', ([, bytes]) => {
    expect(peerOf(carrying(alice, bytes), alice)).toMatchObject({
      fqans: [],
      rejectedAttributes: [expect.stringMatching(/^AC_UNREADABLE: /)],
    });
  });

  test('of a VO that nobody vouches for are reported', () => {
    expect(peerOf(carrying(alice, attributes('atlas', ['/atlas'])), alice)).toMatchObject({
      rejectedAttributes: [expect.stringMatching(/^AC_LSC: /)],
    });
  });
});

describe('a chain of which a single bit was flipped', () => {
  const proxy = makeTestProxy(alice);
  const sound = [makeTestProxy(proxy), proxy, alice].map(({ der }) => der);
  const bits = sound.reduce((sum, der) => sum + der.length * 8, 0);
  /** A prime, so that all bytes and all bits of a byte have their turn. */
  const STRIDE = 13;

  /** The chain with bit `n` of all its bits flipped. */
  const flipped = (n: number): readonly Uint8Array[] => {
    let at = n;
    return sound.map((der) => {
      const copy = Uint8Array.from(der);
      const inside = at >= 0 && at < der.length * 8;
      copy.forEach((byte, index) => {
        copy[index] = inside && index === at >> 3 ? byte ^ (0x80 >> (at & 7)) : byte;
      });
      at -= der.length * 8;
      return copy;
    });
  };
  const outcomeOf = (n: number): string => {
    try {
      return `bit ${n} accepted as ${authenticator.authenticate(flipped(n)).dn}`;
    } catch (error) {
      const refused = error instanceof GridError && error.code === 'UNAUTHENTICATED';
      return refused && /^[A-Z_0-9]+: /.test(error.message)
        ? 'refused'
        : `bit ${n}: ${String(error)}`;
    }
  };

  test('is refused, wherever the bit is, and never throws anything else', () => {
    expect(authenticator.authenticate(sound)).toMatchObject({ proxyDepth: 2 });
    const outcomes = Array.from({ length: Math.floor(bits / STRIDE) }, (_, at) =>
      outcomeOf(at * STRIDE),
    );
    expect(outcomes.length).toBeGreaterThan(500);
    expect(outcomes.filter((outcome) => outcome !== 'refused')).toEqual([]);
  });
});
