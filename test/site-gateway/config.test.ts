import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as z from 'zod';
import { BROKER_CONFIG } from '../../broker/config.ts';
import { GridError } from '../../core/errors.ts';
import { loadConfig } from '../../service/config.ts';
import { formatSettings } from '../../service/config-text.ts';
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
  [
    'slurm.partitions: [batch]',
    "7: file: there is no setting 'slurm.partitions': write `slurm:`, and `partitions:` indented below it",
  ],
  [
    'slurm: [batch]',
    '7: slurm: must be a section: lines of their own below it, `name: value`, not a list',
  ],
  [
    'slurm: {partitions: batch}',
    "7: slurm.partitions: must be a list, for instance [a, b], not 'batch'",
  ],
  ['max-walltime: 5', "7: max-walltime: '5' is no duration: write for instance 30s, 5m or 1h30m"],
  ['max-walltime: 99999999999d', "7: max-walltime: '99999999999d' is too long: at most 36500d"],
  ['trust-every: 25d', '7: trust-every: must be from 1s to 24d'],
  ['memory: 16', "7: memory: '16' is no size: write for instance 512M or 4GiB"],
  ['memory: [16]', '7: memory: must be a text, not a list'],
  ['fetch-ca: ""', '7: fetch-ca: must not be empty'],
  ['fetch-from: ["https://a"]', '7: fetch-from.0: must be a host, *.domain or *, each also with'],
  ['cpus: 0', '7: cpus: must be at least 1, not 0'],
  ['cpus: many', "7: cpus: must be a number, not 'many'"],
  ['cpus: 1.5', '7: cpus: must be a whole number, not 1.5'],
  ['cpus:', '7: cpus: has no value: it must be a number, or the line has to go'],
  ['price: 2000000', '7: price: must be at most 1000000, not 2000000'],
  ['crl: never', "7: crl: must be require or optional, not 'never'"],
] as const)('%j is a fault that says where and what was meant', ([lines, fault]) => {
  expect(faultsOf(lines)).toEqual([expect.stringContaining(fault)]);
});

test.for([
  ['text', 'nothing but words\nof a text\n', 1],
  ['list', '# settings\n- site: campus\n- spool: spool\n', 2],
  ['number', '5\n', 1],
] as const)('a file that is a %s is one fault', ([, content, line]) => {
  const file = join(dir, 'other.yaml');
  writeFileSync(file, content);
  const message = 'file: must have settings, each a line such as `name: value`';
  expect(() => loadConfig(SITE_CONFIG, file)).toThrow(
    expect.objectContaining({ problems: [{ where: `${file}:${line}`, message }] }),
  );
});

test('what is missing is said to be', () => {
  const file = join(dir, 'empty.yaml');
  writeFileSync(file, NEEDED.replace(/^spool.*\n/m, ''));
  expect(() => loadConfig(SITE_CONFIG, file)).toThrow(
    expect.objectContaining({
      problems: [{ where: `${file}:1`, message: 'spool: is missing: it must be a text' }],
    }),
  );
});

test('what --print-config shows is a configuration that says the same', () => {
  const file = join(dir, 'written.yaml');
  writeFileSync(file, `${NEEDED}slurm:\n  partitions: [batch, 'a "b"']\nmax-walltime: 1h30m\n`);
  const written = loadConfig(SITE_CONFIG, file);
  const text = formatSettings(written.settings);
  const shown = join(dir, 'shown.yaml');
  writeFileSync(shown, text);
  expect(loadConfig(SITE_CONFIG, shown).config).toEqual(written.config);
  expect(text).toContain('  partitions: ["batch","a \\"b\\""]  # line 8\n');
  // A section that means something when it is there stands as a remark.
  expect(text).toMatch(/^# owner:\n# {3}# tasks begin .*\n# {3}idle-after: "15m" {2}# default$/m);
  const remarks = text.split('\n').filter((line) => line.startsWith('#'));
  expect(Math.max(...remarks.map((line) => line.length))).toBeLessThan(101);
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
