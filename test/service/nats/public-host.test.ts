import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { publicHost } from '../../../service/nats/public-host.ts';
import { writeTlsIdentity } from '../../fakes/tls-identity.ts';
import { testDirs } from '../../support/test-dirs.ts';

const newDir = testDirs('public-host');

test.for([
  ['0.0.0.0', ['n1.example.org', 'n1'], 'n1.example.org'],
  ['10.0.0.1', ['*.example.org', 'n1.example.org'], 'n1.example.org'],
  ['n1', ['n1.example.org', 'n1'], 'n1'],
  ['127.0.0.1', ['nats.localhost', '127.0.0.1'], '127.0.0.1'],
  ['::', ['10.0.0.1'], '10.0.0.1'],
  ['0.0.0.0', ['*.example.org'], '0.0.0.0'],
] as const)(
  'who listens at %s with a certificate for %j is reached as %s',
  async ([host, names, reached]) => {
    const general = names.map((value) => ({
      type: /^[\d.]+$/.test(value) ? ('ip' as const) : ('dns' as const),
      value,
    }));
    const { certFile } = await writeTlsIdentity(newDir(), general);
    expect(publicHost(readFileSync(certFile, 'utf8'), host)).toBe(reached);
  },
);
