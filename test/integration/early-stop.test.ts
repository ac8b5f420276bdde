import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GRID } from '../support/local-grid.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'hanse-early-stop-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const COMMON = 'listen: 127.0.0.1:0\ncertificate: c.pem\nkey: k.pem\n';
const CONFIGS = {
  authority: `${COMMON}public: localhost:1\nca-certificate: ca.pem\nca-key: ca.key\nstate: state\ntrust: trust\nvomsdir: voms\n`,
  broker: `${COMMON}trust: trust\nstate: state\nvos: [demo]\n`,
  site: `${COMMON}trust: trust\nsite: here\nspool: spool\nbroker-dn: /CN=broker\n`,
};

test.concurrent.each(['authority', 'broker', 'site'] as const)(
  'grid %s serve ends by a signal that comes while it reads its configuration',
  async (service) => {
    const config = join(dir, `${service}.yaml`);
    execFileSync('mkfifo', [config]);
    const child = spawn(GRID, [service, 'serve', '--config', config], { stdio: 'ignore' });
    const ended = once(child, 'exit');
    // It has the file open now, and does nothing else but wait for what is in it.
    const file = await open(config, 'w');
    child.kill('SIGTERM');
    await file.write(CONFIGS[service]);
    await file.close();
    expect(await ended).toEqual([null, 'SIGTERM']);
  },
);
