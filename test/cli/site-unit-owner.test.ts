import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { unitOf } from '../../cli/site/unit.ts';
import { dnOfUnit } from '../../cli/site/unit-owner.ts';
import { testDirs } from '../support/test-dirs.ts';

const freshDir = testDirs('unit-owner');

test('a unit is that of the site whose certificate its configuration names', () => {
  const dir = join(freshDir(), 'my sites', '50% $x "y"');
  mkdirSync(dir, { recursive: true });
  const config = join(dir, 'site.yaml');
  const unit = unitOf({
    site: 'campus',
    layout: { config, spool: dir },
    user: 'root',
    systemd: 252,
  });
  expect(dnOfUnit(unit)).toBeUndefined();
  writeFileSync(config, 'site: campus\ncertificate: hostcert.pem\n');
  expect(dnOfUnit(unit)).toBeUndefined();
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      '/DC=org/CN=campus.example',
      '-keyout',
      'key',
      '-out',
      'hostcert.pem',
    ],
    { cwd: dir, stdio: 'ignore' },
  );
  expect(dnOfUnit(unit)).toBe('/DC=org/CN=campus.example');
});
