import * as z from 'zod';
import { isVoName } from '../core/ids.ts';
import { isDnText } from '../core/pki/name.ts';
import { byteSize, duration, filePath, hostPort } from '../service/config.ts';

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
  staging: z
    .object({
      servers: z.array(z.string().min(1)).min(1).describe('nats-servers, tls://host:port'),
      keys: filePath().describe("directory of the operator's seed and of the system's credentials"),
      quota: byteSize().optional().describe('most bytes that the chunks of one VO may take'),
    })
    .optional()
    .describe('the staging service; without it jobs cannot have files'),
});

/** The parsed file. */
export type BrokerConfig = z.output<typeof BROKER_CONFIG>;
