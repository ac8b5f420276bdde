import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeTlsIdentity } from '../fakes/tls-identity.ts';
import { commandLine } from '../support/command-line.ts';
import { testDirs } from '../support/test-dirs.ts';

const makeDir = testDirs('cli-nats');

/** host.pem with host.key, ca.pem, and a key of another certificate in other.key. */
async function makeFiles(): Promise<string> {
  const dir = makeDir();
  const copy = (file: string, name: string): void =>
    writeFileSync(join(dir, name), readFileSync(file));
  copy((await writeTlsIdentity(dir)).keyFile, 'other.key');
  const { certFile, keyFile, caPem } = await writeTlsIdentity(dir);
  copy(certFile, 'cert.pem');
  copy(keyFile, 'host.key');
  writeFileSync(join(dir, 'ca.pem'), caPem);
  writeFileSync(join(dir, 'empty.pem'), '');
  return dir;
}

const PAIR = '--certificate cert.pem --key host.key';
const CLUSTER = '--cluster 0.0.0.0:6222 --name n1';

test.for([
  [`${PAIR} --listen 0.0.0.0:99999`, "--listen '0.0.0.0:99999' has no TCP port"],
  [`${PAIR} --listen 0.0.0.0:0`, "--listen '0.0.0.0:0' has no TCP port"],
  [`${PAIR} --listen 4222`, "--listen '4222' is not host:port"],
  [`${PAIR} --leaf-listen a:65536`, "--leaf-listen 'a:65536' has no TCP port"],
  [`${PAIR} ${CLUSTER} --ca ca.pem --peer n2:0`, "--peer 'n2:0' has no TCP port"],
  [`${PAIR} ${CLUSTER} --peer n2:1 --ca host.key`, 'host.key: there is no certificate in it'],
  [`${PAIR} ${CLUSTER} --peer n2:1 --ca none`, 'none: it is not there'],
  ['--certificate none --key host.key', '--certificate DIR/none: it is not there (any more)'],
  [
    '--certificate host.key --key cert.pem',
    '--certificate DIR/host.key: there is a private key in it, and no certificate\n' +
      '  --key DIR/cert.pem: there is a certificate in it, and no private key\n',
  ],
  ['--certificate empty.pem --key host.key', 'empty.pem: there is no certificate in it, PEM'],
  [
    '--certificate cert.pem --key other.key',
    '--key DIR/other.key: it is not the key of DIR/cert.pem',
  ],
] as const)('nats init %s is refused, and writes nothing', async ([options, words]) => {
  const dir = await makeFiles();
  const { code, stderr } = await commandLine(['nats', 'init', 'nats', ...options.split(' ')], dir);
  expect([code, stderr.replaceAll(dir, 'DIR')]).toEqual([2, expect.stringContaining(words)]);
  expect(stderr).toContain('grid nats init --help');
  expect(existsSync(join(dir, 'nats'))).toBe(false);
});

test('nats leaf looks at its files, too', async () => {
  const dir = await makeFiles();
  const leaf = (options: string) =>
    commandLine(['nats', 'leaf', 'leaf', ...options.split(' ')], dir);
  const swapped = await leaf('--certificate host.key --key cert.pem --ca ca.pem');
  expect([swapped.code, swapped.stderr]).toEqual([2, expect.stringContaining('--certificate /')]);
  const key = await leaf(`${PAIR} --ca host.key`);
  expect([key.code, key.stderr]).toEqual([2, expect.stringContaining('--ca /')]);
});

test.for<readonly [string, string]>([
  ['127.0.0.1:65535', 'listen: "127.0.0.1:65535"'],
  ['[::1]:4222', 'listen: "[::1]:4222"'],
])('nats init --listen %s is an address', async ([listen, line]) => {
  const dir = await makeFiles();
  const words = ['nats', 'init', 'nats', ...PAIR.split(' '), '--listen', listen];
  expect(await commandLine(words, dir)).toMatchObject({ code: 0, stderr: '' });
  expect(readFileSync(join(dir, 'nats/nats-server.conf'), 'utf8')).toContain(line);
});

test('a server that is alone has a chunk on its disk before it says so, one of three need not', async () => {
  const dir = await makeFiles();
  const configOf = async (options: string): Promise<string> => {
    const words = ['nats', 'init', 'nats', ...`${PAIR} ${options}`.trim().split(' ')];
    expect(await commandLine(words, dir)).toMatchObject({ code: 0, stderr: '' });
    return readFileSync(join(dir, 'nats/nats-server.conf'), 'utf8');
  };
  expect(await configOf('')).toContain('sync_interval: always');
  const cluster = await configOf(`${CLUSTER} --ca ca.pem --peer n2:6222`);
  expect(cluster).not.toContain('sync_interval');
});
