import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as z from 'zod';
import { BROKER_CONFIG } from '../../broker/config.ts';
import { GridError } from '../../core/errors.ts';
import { loadConfig } from '../../service/config.ts';
import { SITE_CONFIG } from '../../site-gateway/config.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'hanse-config-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

const NEEDED = `site: campus
certificate: hostcert.pem
key: hostkey.pem
trust: certificates
broker-dn: /DC=org/CN=broker
spool: spool
`;

/** Faults of a site's file that ends with these lines, each as `LINE: MESSAGE`. */
function faultsOf(lines: string): readonly string[] {
  const file = join(dir, 'site.yaml');
  writeFileSync(file, NEEDED + lines);
  try {
    loadConfig(SITE_CONFIG, file);
    return [];
  } catch (error) {
    if (!(error instanceof GridError)) throw error;
    return error.problems.map(({ where, message }) => `${where.split(':')[1]}: ${message}`);
  }
}

test.for([
  ['cpu: 4', "7: file: there is no setting 'cpu'; did you mean 'cpus'?"],
  [
    'slurm:\n  partition: [batch]',
    "8: slurm: there is no setting 'partition'; did you mean 'partitions'?",
  ],
  [
    'data-paths:\n  - path: /data\n    vo: [x]',
    "9: data-paths.0: there is no setting 'vo'; did you mean 'vos'?",
  ],
  [
    'partitions: [batch]',
    "7: file: there is no setting 'partitions'; did you mean 'slurm.partitions'?",
  ],
  ['slurm: [batch]', '7: slurm: Invalid input: expected object, received array'],
  ['fetch-ca: ""', '7: fetch-ca: Too small'],
  ['cpus: 0', '7: cpus: Too small'],
] as const)('%j is a fault that says where and what was meant', ([lines, fault]) => {
  expect(faultsOf(lines)).toEqual([expect.stringContaining(fault)]);
});

/** Objects below a schema in which an unknown key would be passed over. */
function lenient(schema: unknown, path: string): readonly string[] {
  if (
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodOptional
  )
    return lenient(schema.unwrap(), path);
  if (schema instanceof z.ZodArray) return lenient(schema.element, `${path}[]`);
  if (!(schema instanceof z.ZodObject)) return [];
  const below = Object.entries(schema.shape).flatMap(([key, field]) =>
    lenient(field, `${path}.${key}`),
  );
  return schema
    .safeParse({ 'no-such-setting': 1 })
    .error?.issues.some(({ code }) => code === 'unrecognized_keys')
    ? below
    : [path, ...below];
}

test.for([
  ['site', SITE_CONFIG],
  ['broker', BROKER_CONFIG],
] as const)(
  'no section of the configuration of a %s passes over what it does not know',
  ([name, schema]) => {
    expect(lenient(schema.strict(), name)).toEqual([]);
  },
);
