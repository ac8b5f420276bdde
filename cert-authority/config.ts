import * as z from 'zod';
import { isDnText } from '../core/pki/name.ts';
import { duration, filePath, hostPort } from '../service/config.ts';

/** Settings of the authority; `ca init` writes a file with the ones that have no default. */
export const AUTHORITY_CONFIG = z.object({
  listen: hostPort().prefault('127.0.0.1:7440').describe('address to serve at'),
  public: z
    .string()
    .regex(/^.+:\d{1,5}$/, 'must be host:port, for instance ca.example.org:7440')
    .optional()
    .describe(
      'address that others reach it at; it goes into tokens and attributes (default: listen)',
    ),
  certificate: filePath().describe('host certificate, PEM, with the certificate of the authority'),
  key: filePath().describe('key of the host certificate, PEM, mode 0600'),
  'ca-certificate': filePath().describe('certificate of the authority, PEM'),
  'ca-key': filePath().describe('key of the authority, PEM, mode 0600'),
  state: filePath().describe('directory of the ledger and of the VO signers'),
  trust: filePath().describe('trust directory; the authority publishes its own CRL there'),
  vomsdir: filePath().describe('directory of <vo>/<host>.lsc files; the authority adds its VOs'),
  crl: z.enum(['require', 'optional']).default('require').describe('what an absent CRL means'),
  admins: z
    .array(z.string().refine(isDnText, 'must be a DN such as /DC=org/DC=example/CN=Alice'))
    .default([])
    .describe('DNs of those who may make tokens and VOs, revoke and list'),
  'crl-lifetime': duration().prefault('7d').describe('how long relying parties may use a CRL'),
  'crl-interval': duration()
    .prefault('6h')
    .describe('how often a new CRL is published without need'),
  'log-level': z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('least level that is logged'),
});

/** The parsed file. */
export type AuthorityConfig = z.output<typeof AUTHORITY_CONFIG>;
