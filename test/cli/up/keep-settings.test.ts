import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { keepSettings, writeSettings } from '../../../cli/up/keep-settings.ts';
import { testDirs } from '../../support/test-dirs.ts';

const newDir = testDirs('keep-settings');
const settings = {
  listen: '127.0.0.1:2',
  vos: ['demo'],
  staging: { servers: ['tls://localhost:2'], keys: '/g/nats/broker' },
};

test('what somebody wrote into the settings of a local grid stays, with its comments', () => {
  const edited =
    'listen: 127.0.0.1:1\nvos: [demo, lab] # the second one\nstaging:\n  quota: 5G\n  servers: [old]\nmax-rate: 50M\n';
  const kept = keepSettings(edited, settings, 'broker.yaml');
  expect(parse(kept)).toEqual({
    listen: '127.0.0.1:2',
    vos: ['demo', 'lab'],
    staging: { quota: '5G', servers: ['tls://localhost:2'], keys: '/g/nats/broker' },
    'max-rate': '50M',
  });
  expect(kept).toContain('# the second one');
});

test('settings that are no map are refused with their file, and left as they are', async () => {
  const file = join(newDir(), 'site.yaml');
  await writeSettings(file, settings);
  expect(existsSync(file) && parse(readFileSync(file, 'utf8'))).toEqual(settings);
  for (const bad of ['', 'vos: [demo', '- a\n', 'staging: 3\n']) {
    writeFileSync(file, bad);
    await expect(writeSettings(file, settings)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(file),
    });
    expect(readFileSync(file, 'utf8')).toBe(bad);
  }
});
