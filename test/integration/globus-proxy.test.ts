import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BrokerService } from '../../proto/gen/grid/v1/broker.ts';
import { loadCredential } from '../../service/pki/credential.ts';
import { makeProxy, type ProxyRequest } from '../../service/pki/proxy-cert.ts';
import { openClient } from '../../service/rpc/grpc-client.ts';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
import { type Entity, HOUR_MS, keyPemOf, newKey, pemOf } from '../fakes/test-ca.ts';
import { needs } from '../setup/needs.ts';

/** Debian's account `games`: as root, Globus clients look for a host certificate instead of a proxy. */
const GAMES = { uid: 5, gid: 60 };

let grid: LiveGrid;
let alice: Entity;
let userDir: string;

beforeAll(async () => {
  needs('grid-proxy-init', 'globus-proxy-utils');
  // Globus signs proxies with what signed the certificate, and knows only RSA there.
  grid = await openLiveGrid({ key: newKey('rsa-2048') });
  alice = grid.user('Alice Globus', { key: newKey('rsa-2048') });
  userDir = join(grid.dir, 'alice');
  mkdirSync(userDir);
  keep('usercert.pem', pemOf(alice), 0o644);
  keep('userkey.pem', keyPemOf(alice), 0o400);
  chmodSync(grid.dir, 0o755);
  chownToGames(userDir);
});
afterAll(() => grid[Symbol.asyncDispose]());

const isRoot = process.getuid?.() === 0;

function chownToGames(path: string): void {
  if (isRoot) chownSync(path, GAMES.uid, GAMES.gid);
}

function keep(name: string, text: string, mode: number): string {
  const file = join(userDir, name);
  writeFileSync(file, text, { mode });
  chownToGames(file);
  return file;
}

/** Runs a Globus program as a normal user; gives its output. */
function globus(program: string, ...args: readonly string[]): string {
  return execFileSync(program, args, {
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: userDir,
      X509_CERT_DIR: grid.trustDir,
      X509_USER_CERT: join(userDir, 'usercert.pem'),
      X509_USER_KEY: join(userDir, 'userkey.pem'),
    },
    cwd: userDir,
    encoding: 'utf8',
    ...(isRoot ? GAMES : {}),
  });
}

/** Calls the broker with a proxy file, the way the CLI does. */
async function whoAmI(proxyFile: string) {
  const { certPem, keyPem } = loadCredential({
    home: userDir,
    env: { X509_USER_PROXY: proxyFile },
  });
  const trust = grid.credentialsOf();
  const credentials = { ...trust, certPem, keyPem };
  using broker = openClient(BrokerService, 'broker', `127.0.0.1:${grid.server.port}`, credentials);
  return await broker.call.whoAmI({});
}

const DN = '/DC=org/DC=test/CN=Alice Globus';

describe('a proxy made by grid-proxy-init authenticates', () => {
  test.for<[string, readonly string[], object]>([
    ['full', [], { rejectedAttributes: [] }],
    ['limited', ['-limited'], { rejectedAttributes: ['limited'] }],
    ['of 2048 bits', ['-bits', '2048'], {}],
    ['with a path length', ['-path-length', '3'], {}],
  ])('%s', async ([name, args, more]) => {
    const file = join(userDir, `globus ${name}`);
    globus('grid-proxy-init', '-rfc', '-verify', '-bits', '2048', '-out', file, ...args);
    expect(await whoAmI(file)).toMatchObject({ caller: { dn: DN }, proxyDepth: 1, ...more });
  });

  test('but not one of the kind before RFC 3820', async () => {
    const file = join(userDir, 'globus-draft');
    globus('grid-proxy-init', '-draft', '-bits', '2048', '-out', file);
    await expect(whoAmI(file)).rejects.toThrow('PROXY_LEGACY');
  });

  test('and our proxy below it does, too', async () => {
    const file = join(userDir, 'globus-parent');
    globus('grid-proxy-init', '-rfc', '-bits', '2048', '-out', file);
    const text = readFileSync(file, 'utf8');
    const child = await ours({ certPem: text, keyPem: text, kind: 'limited' });
    expect(await whoAmI(keep('child', child.fileText, 0o600))).toMatchObject({
      caller: { dn: DN },
      proxyDepth: 2,
      rejectedAttributes: ['limited'],
    });
  });
});

const ours = (more: Partial<ProxyRequest>) =>
  makeProxy({
    certPem: pemOf(alice),
    keyPem: keyPemOf(alice),
    lifetimeMs: 12 * HOUR_MS,
    nowMs: Date.now(),
    kind: 'full',
    keyKind: 'rsa',
    ...more,
  });

describe('a proxy of our making is one to Globus', () => {
  test.for<[string, Partial<ProxyRequest>, string]>([
    ['full', {}, 'RFC 3820 compliant impersonation proxy'],
    ['limited', { kind: 'limited' }, 'RFC 3820 compliant limited proxy'],
    ['with an EC key', { keyKind: 'ec' }, 'RFC 3820 compliant impersonation proxy'],
  ])('%s', async ([name, more, type]) => {
    const { fileText } = await ours(more);
    const file = keep(`ours-${name}`, fileText, 0o600);
    expect(globus('grid-proxy-info', '-file', file, '-type').trim()).toBe(type);
    expect(globus('grid-proxy-info', '-file', file, '-identity').trim()).toBe(DN);
    expect(globus('grid-proxy-info', '-file', file, '-exists', '-hours', '11')).toBe('');
    expect(await whoAmI(file)).toMatchObject({ caller: { dn: DN }, proxyDepth: 1 });
  });
});
