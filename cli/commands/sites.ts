import type { CommandSpec, OptionSpec } from '../command.ts';

const SERVE_OPTIONS: readonly OptionSpec[] = [
  { flags: '--config <file>', about: 'its YAML file', required: true },
  { flags: '--print-config', about: 'show every setting with its value and source, and end' },
];

const CACHE_CONFIG: OptionSpec = {
  flags: '--config <file>',
  about: "the gateway's YAML file",
  required: true,
};

/** Sites, and the services that an operator runs. */
export const SITE_COMMANDS: readonly CommandSpec[] = [
  {
    path: 'site ls',
    alias: 'sites',
    summary: 'list the sites with what they have and what is free',
    examples: [['sites', 'what the grid has to offer now']],
    run: async (context) => (await import('../sites.ts')).listSites(context),
  },
  {
    path: 'site enrol',
    summary: 'add a site to the grid (grid administrators)',
    args: [['<id>', 'site id: lower-case letters, digits and hyphens']],
    options: [
      { flags: '--address <host:port>', about: 'where its gateway listens', required: true },
      { flags: '--dn <dn>', about: 'subject of its host certificate', required: true },
    ],
    examples: [
      [
        'site enrol campus --address gw.campus.example:7460 --dn "/DC=org/DC=example/CN=gw.campus.example"',
        'let the gateway with this certificate offer its machines',
      ],
    ],
    run: async (context, input) => (await import('../sites.ts')).enrolSite(context, input),
  },
  {
    path: 'site drain',
    summary: 'let a site finish what it has and send it nothing new',
    args: [['<id>', 'site id']],
    examples: [['site drain campus', 'before a maintenance']],
    run: async (context, input) => (await import('../sites.ts')).drainSite(context, input),
  },
  {
    path: 'site resume',
    summary: 'let a drained or quarantined site take work again',
    args: [['<id>', 'site id']],
    examples: [['site resume campus', 'after a maintenance']],
    run: async (context, input) => (await import('../sites.ts')).resumeSite(context, input),
  },
  {
    path: 'site serve',
    summary: 'run a site gateway',
    options: SERVE_OPTIONS,
    examples: [
      ['site serve --config /etc/hanse/site.yaml', 'in the foreground, until SIGTERM'],
      ['site serve --config site.yaml --print-config', 'every setting with its source'],
    ],
    run: async (_context, input) => (await import('../serve.ts')).serveSiteGateway(input),
  },
  {
    path: 'site cache ls',
    summary: 'list what the cache of a gateway on this machine holds',
    options: [
      CACHE_CONFIG,
      { flags: '-l, --limit <n>', about: 'at most so many files, the last used first (20)' },
    ],
    examples: [
      ['site cache ls --config /etc/hanse/site.yaml', 'how much of what VO, and the newest files'],
    ],
    run: async (context, input) => (await import('../site-cache.ts')).listCache(context, input),
  },
  {
    path: 'site cache prune',
    summary: 'take from the cache what was unused for longest',
    details:
      'The gateway may run meanwhile: what a task holds, and what was used in the last minute, stays; what is gone is fetched again when a job wants it.',
    options: [
      CACHE_CONFIG,
      { flags: '--keep <size>', about: 'leave at most this much (0: nothing)', required: true },
    ],
    examples: [['site cache prune --config site.yaml --keep 10G', 'make room on the disk']],
    run: async (context, input) => (await import('../site-cache.ts')).pruneCache(context, input),
  },
  {
    path: 'site cache verify',
    summary: 'read every cached file and take out what the disk has spoiled',
    details: 'Ends with 1 where something was spoiled.',
    options: [CACHE_CONFIG],
    examples: [['site cache verify --config site.yaml', 'after trouble with a disk']],
    run: async (context, input) => (await import('../site-cache.ts')).verifyCache(context, input),
  },
  {
    path: 'broker serve',
    summary: 'run a broker',
    options: SERVE_OPTIONS,
    examples: [
      ['broker serve --config /etc/hanse/broker.yaml', 'in the foreground, until SIGTERM'],
      ['broker serve --config broker.yaml --print-config', 'every setting with its source'],
    ],
    run: async (_context, input) => (await import('../serve.ts')).serveTheBroker(input),
  },
];
