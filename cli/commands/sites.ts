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

const SITE_ARGUMENT = ['<id>', 'site id: lower-case letters, digits and hyphens'] as const;

const MOVE: OptionSpec = {
  flags: '--move',
  about: 'tasks that run there are ended, and begin again at another site',
};
const DRAIN_TIMEOUT: OptionSpec = {
  flags: '--timeout <duration>',
  about: 'wait no longer than this; it goes on draining',
};

/** Sites, and the services that an operator runs. */
export const SITE_COMMANDS: readonly CommandSpec[] = [
  {
    path: 'site ls',
    alias: 'sites',
    summary: 'list the sites with what they have and what is free',
    examples: [['sites', 'what the grid has to offer now']],
    run: async (context) => (await import('../site/sites.ts')).listSites(context),
  },
  {
    path: 'site invite',
    summary: 'print the token that makes a machine a site (grid administrators)',
    details:
      'Makes a host token at the authority and adds the site to the grid. On the machine itself `grid site enrol TOKEN` does the rest. The same again makes a new token, for one that has run out.',
    args: [SITE_ARGUMENT],
    options: [
      {
        flags: '--host <name>',
        about: 'DNS name by which the broker reaches its gateway',
        required: true,
      },
      { flags: '--port <n>', about: 'port of the gateway (7460)' },
      {
        flags: '--alt-name <name>',
        about: 'further DNS name or address of the host',
        repeat: true,
      },
      { flags: '--lifetime <duration>', about: 'how long the token lives, at most 30d (1d)' },
    ],
    examples: [
      [
        'site invite campus --host gw.campus.example',
        'give the line that it prints to the administrator there',
      ],
    ],
    run: async (context, input) => (await import('../site/invite.ts')).inviteSite(context, input),
  },
  {
    path: 'site enrol',
    summary: 'make this machine, or the batch system on it, a site of a grid',
    details:
      'Gets the host certificate, finds the batch system, writes the configuration of the gateway, starts it (under systemd where that runs the machine and you are root), and waits until the broker gives it work. It may be run again after whatever it complained of was mended: nothing is done twice.',
    args: [['<token>', 'from `grid site invite`; `-` reads stdin']],
    options: [
      {
        flags: '--lrms <name>',
        about: 'batch system, where it is not the one that is found',
        choices: ['fork', 'slurm', 'gridengine', 'htcondor'],
      },
      {
        flags: '--dir <dir>',
        about: 'for certificate and configuration (root: /etc/hanse/ID, else ~/.hanse/sites/ID)',
      },
      {
        flags: '--spool <dir>',
        about: 'for tasks and cached files; compute nodes must see it (root: /var/lib/hanse/ID)',
      },
      { flags: '--admin <dn>', about: 'who may drain the site, beside you', repeat: true },
      {
        flags: '--owner',
        about: "this machine is somebody's PC: lend it only while nobody uses it",
      },
      {
        flags: '--account <name>',
        about: 'account that the gateway and its tasks run as, for root with systemd (root)',
      },
      { flags: '--print-unit', about: 'start nothing: print a systemd unit for it instead' },
    ],
    examples: [
      ['site enrol eyJ2Ij…', 'a new site'],
      [
        'site enrol eyJ2Ij… --lrms fork --spool /scratch/hanse',
        'this machine alone, not the cluster',
      ],
      ['site enrol eyJ2Ij… --owner', 'the PC on your desk, while you are away'],
    ],
    run: async (context, input) => (await import('../site/enrol.ts')).enrolSite(context, input),
  },
  {
    path: 'site add',
    summary: 'add a site whose gateway has its certificate already (grid administrators)',
    args: [SITE_ARGUMENT],
    options: [
      { flags: '--address <host:port>', about: 'where its gateway listens', required: true },
      { flags: '--dn <dn>', about: 'subject of its host certificate', required: true },
    ],
    examples: [
      [
        'site add campus --address gw.campus.example:7460 --dn "/DC=org/DC=example/CN=gw.campus.example"',
        'let the gateway with this certificate offer its machines',
      ],
    ],
    run: async (context, input) => (await import('../site/sites.ts')).addSite(context, input),
  },
  {
    path: 'site test',
    summary: 'send a probe through the whole chain to a site, and say which link fails',
    details:
      'Your certificate, the broker, the site, its policy, the store, the gateway, staging, the batch system, the run itself, the logs and the result: one line each. Ends with 1 where a link fails, with what to do about it.',
    args: [['<id>', 'site id']],
    options: [
      { flags: '--timeout <duration>', about: 'how long the probe may wait and run (5m)' },
      { flags: '--vo <name>', about: 'VO to act under' },
    ],
    examples: [
      ['site test campus', 'after it was enrolled, and when something is wrong'],
      ['site test campus --json --timeout 1m', 'for monitoring'],
    ],
    run: async (context, input) => (await import('../site/probe.ts')).testSite(context, input),
  },
  {
    path: 'site status',
    summary: 'show what a site and its batch system have beside what the grid thinks',
    details:
      'For administrators of the grid and of the site. Each attempt with its state in the ledger, at the gateway and in the batch system; where they differ the line says how. A moment after a change they may. Ends with 1 where anything differs.',
    args: [SITE_ARGUMENT],
    examples: [['site status campus', 'queues, free, attempts, batch ids, differences']],
    run: async (context, input) => (await import('../site/status.ts')).showSite(context, input),
  },
  {
    path: 'site drain',
    summary: 'let a site finish what it has and send it nothing new',
    args: [SITE_ARGUMENT],
    options: [MOVE, { flags: '--wait', about: 'until it has no tasks any more' }, DRAIN_TIMEOUT],
    examples: [
      ['site drain campus', 'before a maintenance'],
      ['site drain campus --move --wait', 'at once: what runs there begins again elsewhere'],
    ],
    run: async (context, input) => (await import('../site/drain.ts')).drainSite(context, input),
  },
  {
    path: 'site leave',
    summary: 'take a site out of the grid: drained, removed, its certificate revoked',
    details:
      'What has not started there goes back to the queue at once, what runs is waited for. For administrators of the grid and of the site; to revoke the certificate takes an administrator of the authority. Typed by root on the machine of the gateway it also stops and removes the unit that `grid site enrol` installed; elsewhere the gateway is left for its administrator to stop.',
    args: [SITE_ARGUMENT],
    options: [
      MOVE,
      DRAIN_TIMEOUT,
      { flags: '--force', about: 'wait for nothing: the site is gone for good' },
      { flags: '--keep-certificate', about: 'do not revoke its certificate' },
    ],
    examples: [
      ['site leave campus', 'the end of a cooperation'],
      ['site leave campus --force', 'the machine is gone'],
    ],
    run: async (context, input) => (await import('../site/drain.ts')).leaveGrid(context, input),
  },
  {
    path: 'site resume',
    summary: 'let a drained or quarantined site take work again',
    args: [['<id>', 'site id']],
    examples: [['site resume campus', 'after a maintenance']],
    run: async (context, input) => (await import('../site/sites.ts')).resumeSite(context, input),
  },
  {
    path: 'site serve',
    summary: 'run a site gateway',
    options: SERVE_OPTIONS,
    examples: [
      ['site serve --config /etc/hanse/site.yaml', 'in the foreground, until SIGTERM'],
      ['site serve --config site.yaml --print-config', 'every setting with its source'],
    ],
    run: async (context, input) => (await import('../serve.ts')).serveSiteGateway(context, input),
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
    run: async (context, input) =>
      (await import('../site/site-cache.ts')).listCache(context, input),
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
    run: async (context, input) =>
      (await import('../site/site-cache.ts')).pruneCache(context, input),
  },
  {
    path: 'site cache verify',
    summary: 'read every cached file and take out what the disk has spoiled',
    details: 'Ends with 1 where something was spoiled.',
    options: [CACHE_CONFIG],
    examples: [['site cache verify --config site.yaml', 'after trouble with a disk']],
    run: async (context, input) =>
      (await import('../site/site-cache.ts')).verifyCache(context, input),
  },
  {
    path: 'broker serve',
    summary: 'run a broker',
    options: SERVE_OPTIONS,
    examples: [
      ['broker serve --config /etc/hanse/broker.yaml', 'in the foreground, until SIGTERM'],
      ['broker serve --config broker.yaml --print-config', 'every setting with its source'],
    ],
    run: async (context, input) => (await import('../serve.ts')).serveTheBroker(context, input),
  },
];
