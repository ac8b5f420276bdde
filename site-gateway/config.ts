import * as z from 'zod';
import { type FetchRule, parseFetchRule } from '../core/data/fetch-rules.ts';
import { dn, isSiteId, isVoName, voName } from '../core/ids.ts';
import { SANDBOXES } from '../core/job/sandbox.ts';
import { isLicenceName } from '../core/job/spec.ts';
import { isDnText } from '../core/pki/name.ts';
import { byteSize, duration, filePath, hostPort } from '../service/config.ts';
import { checkExpression } from '../service/expression/expression-check.ts';
import { GPUS_CONFIG } from './lrms/fork/gpu-settings.ts';
import { BATCH_SETTINGS } from './lrms/settings.ts';
import { OWNER_CONFIG } from './owner/settings.ts';
import { CONTAINERS_CONFIG, MODULES_CONFIG } from './software/settings.ts';

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const distinguishedName = (): z.ZodType<string, string> =>
  z.string().refine(isDnText, 'must be a DN such as /DC=org/DC=example/CN=broker.example.org');

const count = (least: number): z.ZodNumber => z.int().min(least).max(1_000_000);

/** Settings of a site gateway. */
export const SITE_CONFIG = z.object({
  listen: hostPort().prefault('127.0.0.1:7460').describe('address to serve the broker at'),
  certificate: filePath().describe('host certificate, PEM, with what links it to its authority'),
  key: filePath().describe('key of the host certificate, PEM, mode 0600'),
  trust: filePath().describe('trust directory'),
  vomsdir: filePath().optional().describe('directory of <vo>/<host>.lsc files'),
  crl: z.enum(['require', 'optional']).default('require').describe('what an absent CRL means'),
  authority: z
    .string()
    .regex(/^.+:\d{1,5}$/, 'must be host:port, for instance ca.example.org:7440')
    .optional()
    .describe('authority that the gateway fetches revocation lists from by itself'),
  'trust-every': duration()
    .prefault('6h')
    .refine((ms) => ms >= 1_000 && ms <= 24 * 86_400_000, 'must be from 1s to 24d')
    .describe('how often it does'),
  'log-level': z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('least level that is logged'),
  site: z
    .string()
    .refine(isSiteId, 'must be lower-case letters, digits and inner hyphens, at most 40')
    .describe('id of the site'),
  'broker-dn': distinguishedName().describe('DN of the broker: nobody else may call'),
  spool: filePath().describe('directory of the journal, the attempts and the cache'),
  cpus: count(1).optional().describe('CPU cores that the grid may fill (default: all)'),
  memory: byteSize().optional().describe('memory that the grid may fill (default: all)'),
  gpus: GPUS_CONFIG,
  'gpu-models': z
    .array(z.string().min(1).max(128))
    .max(64)
    .default([])
    .describe(
      'models of the GPUs of a batch system that does not tell them, as jobs may ask for them',
    ),
  disk: byteSize()
    .optional()
    .describe(
      'scratch space that the grid may fill (default: all of the file system of the spool)',
    ),
  licences: z
    .record(z.string().refine(isLicenceName, 'must be letters, digits and ._@+-'), count(1))
    .default({})
    .describe('licences that the grid may hold, by name'),
  price: z
    .number()
    .min(0)
    .max(1_000_000)
    .default(0)
    .describe('of a core for an hour, in whatever unit the sites of the grid agreed on'),
  'pin-cpus': z.boolean().default(true).describe('bind each task to as many cores as it asked for'),
  sandbox: z
    .enum(['auto', ...SANDBOXES])
    .default('auto')
    .describe('class of every task; auto for what its job demands, in control groups if possible'),
  accounts: z
    .array(
      z
        .strictObject({
          dn: z.string().min(1).optional().describe('pattern of DNs, with * and ?'),
          fqan: z
            .string()
            .startsWith('/', 'must be like /biomed/imaging/Role=production, with * and ?')
            .optional()
            .describe('pattern of attributes'),
          account: z
            .string()
            .regex(/^[^\s:/-][^\s:/]*$/, 'must be the name of an account')
            .optional()
            .describe('local account'),
          deny: z.boolean().default(false).describe('in place of an account: they get none'),
          system: z.boolean().default(false).describe('an account below uid 1000 is meant'),
        })
        .refine(
          ({ dn: name, fqan }) => name !== undefined || fqan !== undefined,
          "names nobody: give 'dn' or 'fqan'; '*' as 'dn' is for all",
        )
        .refine(
          ({ account, deny }) => (account !== undefined) !== deny,
          "must have either 'account' or 'deny: true'",
        ),
    )
    .default([])
    .describe('local accounts that tasks run as, the first that fits; empty for the gateway’s own'),
  features: z
    .array(z.string().min(1))
    .default([])
    .describe('software and abilities beyond the programs that are found'),
  owner: OWNER_CONFIG,
  modules: MODULES_CONFIG,
  containers: CONTAINERS_CONFIG,
  vos: z
    .array(z.string().refine(isVoName, 'must be the name of a VO'))
    .default([])
    .describe('VOs that the site serves; empty for all'),
  policy: z
    .string()
    .default('')
    .superRefine((text, context) => {
      if (text === '') return;
      for (const { line, column, message } of checkExpression('policy', text))
        context.addIssue(`${line}:${column}: ${message}`);
    })
    .describe('CEL over job and caller; empty welcomes all'),
  backlog: count(0)
    .optional()
    .describe('tasks taken beyond what can start now (default: 2 * cpus)'),
  admins: z.array(distinguishedName()).default([]).describe('DNs that may drain the site'),
  'max-walltime': duration().prefault('0s').describe('longest walltime; 0s for no limit'),
  'min-free-disk': byteSize().prefault('100M').describe('below this the site takes nothing new'),
  'nats-servers': z
    .array(z.string().min(1))
    .default([])
    .describe('nats-servers to try before those of the grid, such as a leaf node: tls://host:port'),
  'data-paths': z
    .array(
      z.strictObject({
        path: filePath().describe(
          'absolute; whoever may write to it besides the gateway is trusted',
        ),
        vos: z
          .array(z.string().refine(isVoName, 'must be the name of a VO').transform(voName))
          .default([])
          .describe('VOs all of whose members may'),
        users: z
          .array(distinguishedName().transform(dn))
          .default([])
          .describe('DNs that may, whatever their VO'),
        access: z.enum(['read', 'write']).default('read').describe('write allows both'),
      }),
    )
    .default([])
    .describe('directories of the site that `grid data cp` may reach; none by default'),
  'cache-high': byteSize()
    .prefault('50G')
    .describe('when the cache of input files is larger than this it is cleared'),
  'cache-low': byteSize()
    .optional()
    .describe('size down to which it is cleared, the longest unused first (default: 80 % of it)'),
  transfers: z
    .strictObject({
      most: count(1).default(16).describe('transfers in flight at the site'),
      'per-vo': count(1).default(16).describe('of those, for one VO'),
    })
    .prefault({})
    .describe('how many transfers of files run at a time; the others wait, users in turn'),
  'live-every': duration()
    .prefault('30s')
    .refine((ms) => ms >= 1_000 && ms <= 86_400_000, 'must be from 1s to 1d')
    .describe('how often live outputs of a running task go to the store'),
  'fetch-from': z
    .array(
      z
        .string()
        .refine(
          (text) => parseFetchRule(text) !== undefined,
          'must be a host, *.domain or *, each also with a port: host:port',
        ),
    )
    .default(['*'])
    .describe('hosts that inputs are fetched from; what is not public must be named itself'),
  'fetch-ca': filePath()
    .optional()
    .describe('further authorities of these hosts, PEM; those of the machine are always trusted'),
  'fetch-min-rate': byteSize()
    .prefault('1K')
    .describe(
      'bytes in a second: a host that sends fewer for staging-patience, and a minute at least, is given up',
    ),
  lrms: z
    .enum(['fork', 'slurm', 'gridengine', 'htcondor', 'command'])
    .default('fork')
    .describe('batch system behind the site; fork runs tasks on this machine'),
  ...BATCH_SETTINGS,
  path: z.string().default(DEFAULT_PATH).describe('PATH of tasks'),
  'keep-attempts': duration()
    .prefault('10m')
    .describe(
      'how long the directory of an attempt stays after its end was acknowledged, if its task left anything',
    ),
  'max-rate': byteSize()
    .refine((bytes) => bytes >= 1_024, 'must be at least 1K')
    .optional()
    .describe('most bytes in a second that staging moves, in each direction (default: no limit)'),
  'staging-patience': duration()
    .prefault('10m')
    .describe('how long staging waits for a nats-server, or a server elsewhere, that is away'),
});

/** The parsed file. */
export type SiteConfig = z.output<typeof SITE_CONFIG>;

/** Which hosts the site fetches inputs from. */
export const fetchRules = (config: Pick<SiteConfig, 'fetch-from'>): readonly FetchRule[] =>
  config['fetch-from'].flatMap((text) => parseFetchRule(text) ?? []);
