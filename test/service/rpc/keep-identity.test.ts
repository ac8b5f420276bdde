import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { pause } from '../../../service/background.ts';
import { systemClock } from '../../../service/clock.ts';
import type { ServerIdentity } from '../../../service/rpc/grid-listener.ts';
import { type KeptIdentity, keepIdentity } from '../../../service/rpc/keep-identity.ts';
import {
  DAY_MS,
  type Entity,
  HOUR_MS,
  keyPemOf,
  makeAuthority,
  makeHost,
  pemOf,
} from '../../fakes/test-ca.ts';

const LOOK_MS = 20;
const lasting = (ms: number) => ({
  notBeforeMs: Date.now() - HOUR_MS,
  notAfterMs: Date.now() + ms,
});
const root = makeAuthority('/DC=org/DC=test/CN=Root', lasting(900 * DAY_MS));
const host = (ms = 90 * DAY_MS): Entity =>
  makeHost(root, '/DC=org/DC=test/CN=host', ['127.0.0.1'], lasting(ms));

let dir = '';
let files = { certificate: '', key: '' };
let said: { msg: string; level: number }[] = [];
let aheadMs = 0;
const clock = {
  nowMs: () => Date.now() + aheadMs,
  monotonicMs: () => systemClock.monotonicMs() + aheadMs,
};
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'identity-'));
  files = { certificate: join(dir, 'cert.pem'), key: join(dir, 'key.pem') };
  said = [];
  aheadMs = 0;
});
afterEach(() => rmSync(dir, { recursive: true }));

const putCert = (pem: string): void => writeFileSync(files.certificate, pem);
const putKey = (entity: Entity): void =>
  writeFileSync(files.key, keyPemOf(entity), { mode: 0o600 });
const put = (entity: Entity): void => {
  putKey(entity);
  putCert(pemOf(entity));
};
const keep = (): KeptIdentity => {
  const write = (line: string): void => void said.push(JSON.parse(line));
  return keepIdentity(files, { clock, log: pino({}, { write }), lookMs: LOOK_MS });
};
const warnings = (): readonly string[] =>
  said.filter(({ level }) => level >= 40).map(({ msg }) => msg);
/** The machine may be busy. */
const soon = (holds: () => void): Promise<void> =>
  vi.waitFor(holds, { timeout: 15_000, interval: LOOK_MS });
const looks = (): Promise<void> => pause(8 * LOOK_MS);

test('a pair that replaces the one before is shown, at once to whoever follows', async () => {
  const [old, fresh] = [host(), host()];
  put(old);
  using kept = keep();
  const shown: ServerIdentity[] = [];
  kept.follow((identity) => shown.push(identity));
  put(fresh);
  const pair = { certPem: pemOf(fresh), keyPem: keyPemOf(fresh) };
  await soon(() => expect(kept.current()).toEqual(pair));
  expect(shown).toEqual([{ certPem: pemOf(old), keyPem: keyPemOf(old) }, pair]);
  expect(warnings()).toEqual([]);
});

test('between the writing of a key and that of its certificate nobody is warned', async () => {
  put(host());
  using kept = keep();
  // Shorter than what lies between two looks, and often enough that some look falls into it.
  for (const fresh of Array.from({ length: 8 }, () => host())) {
    putKey(fresh);
    await pause(0.75 * LOOK_MS);
    putCert(pemOf(fresh));
    await soon(() => expect(kept.current().certPem).toBe(pemOf(fresh)));
  }
  expect(warnings()).toEqual([]);
});

test.for([
  ['the certificate of another key', () => putCert(pemOf(host())), 'it is not the key of'],
  ['half a certificate', () => putCert(pemOf(host()).slice(0, 300)), 'there is no certificate'],
  [
    'half a chain',
    (old: Entity) => putCert(pemOf(old) + pemOf(root).slice(0, 300)),
    'was it cut off?',
  ],
  ['nothing', () => rmSync(files.certificate), 'it is not there (any more)'],
  ['a key for all', () => rewriteKey(0o644), 'others may read or change it'],
] as const)('%s leaves the old pair where it is, and is told of once', async ([, spoil, words]) => {
  const old = host();
  put(old);
  using kept = keep();
  spoil(old);
  await soon(() => expect(warnings()).toHaveLength(1));
  await looks();
  const [warning] = warnings();
  expect(warnings()).toEqual([expect.stringContaining(words)]);
  expect(warning).toContain('the one from before stays: put a certificate and its key there');
  expect(kept.trouble()).toBe(warning);
  expect(kept.current()).toEqual({ certPem: pemOf(old), keyPem: keyPemOf(old) });
  const fresh = host();
  rmSync(files.key);
  put(fresh);
  await soon(() => expect(kept.current().certPem).toBe(pemOf(fresh)));
  expect(kept.trouble()).toBe('');
});

const rewriteKey = (mode: number): void => {
  rmSync(files.key);
  writeFileSync(files.key, keyPemOf(host()), { mode });
};

test('a pair that has ended, or has yet to begin, waits until it is good', async () => {
  const old = host();
  put(old);
  using kept = keep();
  put(host(-1_000));
  await soon(() => expect(kept.trouble()).toMatch(/has ended at/));
  const later = { notBeforeMs: Date.now() + HOUR_MS, notAfterMs: Date.now() + 90 * DAY_MS };
  const fresh = makeHost(root, '/DC=org/DC=test/CN=host', ['127.0.0.1'], later);
  put(fresh);
  await soon(() => expect(kept.trouble()).toMatch(/is not valid before/));
  expect(kept.current().certPem).toBe(pemOf(old));
  aheadMs = 2 * HOUR_MS;
  await soon(() => expect(kept.current().certPem).toBe(pemOf(fresh)));
});

test('a certificate that ends soon is told of each day until another one is there', async () => {
  put(host(31 * DAY_MS));
  using kept = keep();
  await looks();
  expect(warnings()).toEqual([]);
  for (const day of [2, 3]) {
    aheadMs = day * DAY_MS;
    await looks();
  }
  expect(warnings()).toEqual(
    Array(2).fill(expect.stringMatching(/^the host certificate ends at /)),
  );
  expect(kept.trouble()).toBe(warnings()[0]);
  put(host(90 * DAY_MS));
  await soon(() => expect(kept.trouble()).toBe(''));
});
