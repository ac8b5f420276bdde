import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BROKER_CONFIG, ledgerPlace } from '../../broker/config.ts';
import { loadConfig } from '../../service/config.ts';
import { formatSettings } from '../../service/config-text.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'broker-config-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const load = (...lines: readonly string[]) => {
  const file = join(dir, 'broker.yaml');
  const needed = ['certificate: c', 'key: k', 'trust: t', 'state: state', 'vos: [demo]'];
  writeFileSync(file, [...needed, ...lines].join('\n'));
  return loadConfig(BROKER_CONFIG, file);
};
const writePassword = (mode: number): void => {
  writeFileSync(join(dir, 'password'), 'secret\n');
  chmodSync(join(dir, 'password'), mode);
};
const ON_POSTGRES = ['ledger: postgres://hanse@db/grid', 'ledger-password: password'] as const;

test('the ledger is a file in the state directory, or a PostgreSQL database', () => {
  const file = join(dir, 'state', 'ledger.db');
  expect(ledgerPlace(load().config)).toEqual({ kind: 'sqlite', file });
  writePassword(0o600);
  const url = 'postgres://hanse@db/grid';
  expect(ledgerPlace(load(...ON_POSTGRES).config)).toEqual({
    kind: 'postgres',
    url,
    password: 'secret',
  });
});

test('a password is neither shown nor taken from the settings, nor from a file that others may read', () => {
  writePassword(0o640);
  const { config, settings } = load(...ON_POSTGRES);
  expect(formatSettings(settings)).not.toContain('secret');
  expect(() => ledgerPlace(config)).toThrow(/may be read by others \(mode 0640\): chmod 600/);
  rmSync(join(dir, 'password'));
  expect(() => ledgerPlace(config)).toThrow(/cannot read .*password/);
});

test.each([
  ['postgres://hanse:secret@db/grid', 'a password does not belong here'],
  ['postgres://hanse@db/grid?password=secret', 'a password does not belong here'],
  ['mysql://db', "'mysql://db' is no ledger"],
  ['ledger.db', "'ledger.db' is no ledger"],
])('%s is refused as a ledger', (ledger, message) => {
  expect(() => load(`ledger: ${ledger}`)).toThrow(
    expect.objectContaining({
      problems: [expect.objectContaining({ message: expect.stringContaining(message) })],
    }),
  );
});

test('a store is swept every 24 days at least: no timer is longer', () => {
  const fault = expect.objectContaining({ message: expect.stringContaining('from 1s to 24d') });
  expect(() => load('staging:', '  servers: [s]', '  keys: k', '  sweep-every: 25d')).toThrow(
    expect.objectContaining({ problems: [fault] }),
  );
});
