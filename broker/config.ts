import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { GridError } from '../core/errors.ts';
import { isVoName } from '../core/ids.ts';
import { isDnText } from '../core/pki/name.ts';
import { byteSize, duration, filePath, hostPort } from '../service/config.ts';
import type { LedgerPlace } from './ledger/open-ledger.ts';

/** Settings of a broker. */
export const BROKER_CONFIG = z.object({
  listen: hostPort().prefault('127.0.0.1:7450').describe('address to serve users and the CLI at'),
  certificate: filePath().describe('host certificate, PEM, with what links it to its authority'),
  key: filePath().describe('key of the host certificate, PEM, mode 0600'),
  trust: filePath().describe('trust directory'),
  vomsdir: filePath().optional().describe('directory of <vo>/<host>.lsc files'),
  crl: z.enum(['require', 'optional']).default('require').describe('what an absent CRL means'),
  'log-level': z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('least level that is logged'),
  state: filePath().describe('directory of the ledger and of the keys of staging accounts'),
  ledger: z
    .string()
    .default('sqlite')
    .superRefine((text, context) => {
      const fault = faultOf(text);
      if (fault !== undefined) context.addIssue(fault);
    })
    .describe('`sqlite` for a file in `state`, or postgres://user@host/database'),
  'ledger-password': filePath()
    .optional()
    .describe('file with the password of the PostgreSQL user, mode 0600'),
  'seal-key': filePath()
    .optional()
    .describe(
      'key that seals S3 credentials of jobs (default: made in `state`); brokers on one ledger share it',
    ),
  admins: z
    .array(z.string().refine(isDnText, 'must be a DN such as /DC=org/DC=example/CN=Alice'))
    .default([])
    .describe('DNs that administer the grid'),
  vos: z
    .array(z.string().refine(isVoName, 'must be the name of a VO'))
    .min(1)
    .describe('VOs that the broker serves'),
  lease: duration()
    .prefault('30s')
    .refine((ms) => ms >= 1_000 && ms <= 3_600_000, 'must be from 1s to 1h')
    .describe('how long a site may be silent before its tasks go elsewhere'),
  'keep-history': duration()
    .prefault('90d')
    .refine((ms) => ms >= 3_600_000 && ms <= 36_500 * 86_400_000, 'must be from 1h to 36500d')
    .describe('how long jobs and their results are kept after their end'),
  'share-half-life': duration()
    .prefault('7d')
    .refine((ms) => ms >= 60_000 && ms <= 3_650 * 86_400_000, 'must be from 1m to 3650d')
    .describe('after how long usage counts half in the fair share'),
  'share-weights': z
    .strictObject({
      'memory-per-cpu': byteSize()
        .prefault('4GiB')
        .refine((bytes) => bytes >= 2 ** 20, 'must be at least 1MiB')
        .describe('memory that comes with a cpu; more of it is charged as more cpus'),
      'cpus-per-gpu': z
        .number()
        .min(0)
        .max(10_000)
        .default(10)
        .describe('cpus that a GPU is charged as, beside the cpus of the task'),
    })
    .prefault({})
    .describe('what counts as how many cpus in the fair share'),
  staging: z
    .strictObject({
      servers: z.array(z.string().min(1)).min(1).describe('nats-servers, tls://host:port'),
      keys: filePath().describe("directory of the operator's seed and of the system's credentials"),
      replicas: z
        .literal([1, 3, 5])
        .default(1)
        .describe('nats-servers that keep each chunk; 3 and 5 need a cluster of as many'),
      'leaf-servers': z
        .array(z.string().min(1))
        .default([])
        .describe('where they wait for leaf nodes of sites, tls://host:port'),
      quota: byteSize().optional().describe('most bytes that the chunks of one VO may take'),
      'chunk-quota': z
        .int()
        .min(1_000)
        .default(10_000_000)
        .describe(
          'most chunks of one VO, of up to 1 MiB each: nats-server keeps the names of all in memory',
        ),
      'sweep-every': duration()
        .prefault('6h')
        .refine((ms) => ms >= 1_000 && ms <= 24 * 86_400_000, 'must be from 1s to 24d')
        .describe('how often chunks that no tree names are looked for'),
      'sweep-grace': duration()
        .prefault('24h')
        .describe(
          'how long no tree must name a chunk before it goes; longer than any upload takes',
        ),
    })
    .optional()
    .describe('the staging service; without it jobs cannot have files'),
});

/** The parsed file. */
export type BrokerConfig = z.output<typeof BROKER_CONFIG>;

function faultOf(ledger: string): string | undefined {
  if (ledger === 'sqlite') return undefined;
  const url = URL.canParse(ledger) ? new URL(ledger) : undefined;
  if (url === undefined || !['postgres:', 'postgresql:'].includes(url.protocol))
    return `'${ledger}' is no ledger: write sqlite or postgres://user@host/database`;
  if (url.password !== '' || url.searchParams.has('password'))
    return 'a password does not belong here: put it into a file and name that in ledger-password';
  return undefined;
}

/** Where the ledger lies; throws CONFIG_INVALID when the password's file is not for the broker alone. */
export function ledgerPlace(config: BrokerConfig): LedgerPlace {
  const { ledger, 'ledger-password': file, state } = config;
  if (ledger === 'sqlite') return { kind: 'sqlite', file: join(state, 'ledger.db') };
  return {
    kind: 'postgres',
    url: ledger,
    password: file === undefined ? undefined : secretIn(file),
  };
}

function secretIn(file: string): string {
  const mode = statSync(file, { throwIfNoEntry: false })?.mode;
  if (mode === undefined) throw new GridError('CONFIG_INVALID', `cannot read ${file}`);
  if ((mode & 0o077) !== 0) {
    const octal = (mode & 0o777).toString(8).padStart(4, '0');
    const message = `${file} holds a password and may be read by others (mode ${octal}): chmod 600 ${file}`;
    throw new GridError('CONFIG_INVALID', message);
  }
  return readFileSync(file, 'utf8').trimEnd();
}
