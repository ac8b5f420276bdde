import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AuthorityCli, authorityCli } from '../support/grid-cli.ts';

let cli: AuthorityCli;
beforeAll(async () => {
  cli = await authorityCli();
  await cli.grid(['vo', 'create', 'demo']);
});
afterAll(() => cli[Symbol.asyncDispose]());

describe('the doctor', () => {
  test('finds a healthy person healthy', async () => {
    const { grid, json } = cli;
    await grid(['login']);
    const { healthy, findings } = await json(['cert', 'doctor']);
    expect(healthy).toBe(true);
    const verdicts = findings.map(({ check, verdict }) => `${check} ${verdict}`);
    expect(verdicts).toEqual([
      'certificate ok',
      'key ok',
      'proxy ok',
      'trust ok',
      'crl ok',
      'path ok',
      'authority ok',
      'clock ok',
      'broker warn',
    ]);
  });

  test.for([
    ['no certificate', (dir: string) => rmSync(join(dir, 'usercert.pem')), 'no certificate in'],
    [
      'an open key',
      (dir: string) => execFileSync('chmod', ['644', join(dir, 'userkey.pem')]),
      'can be read by others (mode 644)',
    ],
    [
      'the key of somebody else',
      (dir: string) =>
        writeFileSync(join(dir, 'userkey.pem'), readFileSync(join(cli.home, 'userkey.pem'))),
      'is not the key of',
    ],
    [
      'a proxy that is none',
      (dir: string) => writeFileSync(join(dir, 'proxy.pem'), 'x', { mode: 0o600 }),
      'proxy.pem holds no certificate',
    ],
    [
      'no trust',
      (dir: string) => rmSync(join(dir, 'certificates'), { recursive: true }),
      'cannot be read',
    ],
    [
      'no revocation list',
      (dir: string) => execFileSync('sh', ['-c', 'rm "$1"/*.r0', 'sh', join(dir, 'certificates')]),
      'none of',
    ],
    [
      'trust in nobody',
      (dir: string) => {
        rmSync(join(dir, 'certificates'), { recursive: true });
        mkdirSync(join(dir, 'certificates'));
      },
      'holds no authority',
    ],
  ] as const)('notices %s', async ([what, harm, words]) => {
    const { grid, newcomer } = cli;
    const dir = await newcomer(`Patient with ${what}`);
    harm(dir);
    const { exit, out } = await grid(['cert', 'doctor'], dir);
    expect(exit).toBe(3);
    expect(out).toMatch(new RegExp(`^fail .*${words.replace(/[()]/g, '\\$&')}.*\\n +-> `, 'm'));
  });
});
