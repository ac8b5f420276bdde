import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { identityOf } from '../../cli/up/configs.ts';
import { certificatesFromPem } from '../../service/pki/x509.ts';
import { needs } from '../setup/needs.ts';
import { eventually, type LocalGrid, startLocalGrid } from '../support/local-grid.ts';

needs('openssl', 'openssl');

/** Files are looked at every five seconds, and read when two looks saw them alike; the machine may be busy. */
const TAKEN_MS = 90_000;
vi.setConfig({ testTimeout: 400_000 });
const SITE = 'luebeck';

let grid: LocalGrid;
beforeAll(async () => {
  grid = await startLocalGrid({ sites: 1 });
});
afterAll(() => grid[Symbol.asyncDispose]());

const brokerFiles = () => identityOf(grid.layout.broker);
const siteFiles = () => identityOf(grid.layout.site(SITE));
const serialOf = (pem: string): string => certificatesFromPem(pem)[0]?.serial ?? '';
const serialIn = (file: string): string => serialOf(readFileSync(file, 'utf8'));

/** Serial of the certificate that a service shows on a new connection. */
async function shownAt(port: number): Promise<string> {
  const connecting = promisify(execFile)('openssl', [
    's_client',
    ...['-connect', `localhost:${port}`, '-alpn', 'h2'],
    ...['-CAfile', join(grid.layout.authority, 'ca.pem'), '-verify_return_error'],
  ]);
  connecting.child.stdin?.end();
  return serialOf((await connecting).stdout);
}

const showsSoon = (port: number, serial: string): Promise<true> =>
  eventually(`${port} shows ${serial}`, TAKEN_MS, async () =>
    (await shownAt(port)) === serial ? true : undefined,
  );

/** As docs/site-admins.md says it. */
const renew = ({ certificate, key }: ReturnType<typeof brokerFiles>) =>
  grid.grid(['cert', 'renew', '--cert', certificate, '--key', key]);

const stateOf = async (): Promise<{ site: { state: string }; certificateTrouble: string }> =>
  JSON.parse((await grid.grid(['site', 'status', SITE, '--json'])).stdout);

const logOf = (name: string): string => readFileSync(join(grid.layout.logs, `${name}.log`), 'utf8');

const portOf = (): number => grid.plan.sites[0]?.port ?? 0;

test('broker and gateway show a renewed certificate to all they meet, and run on', async () => {
  const sides = [
    { files: brokerFiles(), port: grid.plan.ports.broker, pid: grid.pid('broker') },
    { files: siteFiles(), port: portOf(), pid: grid.pid(`site-${SITE}`) },
  ];
  const old: string[] = [];
  for (const { files, port } of sides) {
    const before = serialIn(files.certificate);
    old.push(before);
    expect(await shownAt(port)).toBe(before);
    expect(await renew(files)).toMatchObject({ code: 0 });
    const fresh = serialIn(files.certificate);
    expect(fresh).not.toBe(before);
    await showsSoon(port, fresh);
  }
  // With what they showed each other first they are refused from now on.
  const { length } = logOf('broker');
  for (const serial of old)
    expect(await grid.grid(['ca', 'revoke', serial])).toMatchObject({ code: 0 });
  await eventually('the link is made anew', TAKEN_MS, async () =>
    logOf('broker').slice(length).includes('site is up') ? true : undefined,
  );
  const ran = await grid.grid(['run', '--', 'echo', 'still here']);
  expect(ran).toMatchObject({ code: 0, stdout: 'still here\n' });
  for (const { pid } of sides) expect(() => process.kill(pid, 0)).not.toThrow();
});

test('a certificate of another host, and half of one, are not shown, and the site says so', async () => {
  const { certificate } = siteFiles();
  const good = readFileSync(certificate, 'utf8');
  const spoilt = [
    [readFileSync(brokerFiles().certificate, 'utf8'), 'it is not the key of'],
    [good.slice(0, 400), 'there is no certificate in it'],
  ] as const;
  for (const [text, words] of spoilt) {
    writeFileSync(certificate, text);
    await eventually(`the site says: ${words}`, TAKEN_MS, async () =>
      (await stateOf()).certificateTrouble.includes(words) ? true : undefined,
    );
    expect(logOf(`site-${SITE}`)).toContain(words);
    expect(await shownAt(portOf())).toBe(serialOf(good));
    expect((await stateOf()).site.state).toBe('up');
  }
});
