import type { CommandSpec } from '../command.ts';

/** up, down, demo, simulate: a whole grid on this machine. */
export const LOCAL_COMMANDS: readonly CommandSpec[] = [
  {
    path: 'demo',
    summary: 'a whole grid on this machine, a real study through it, and its result',
    details:
      'Makes an authority, a VO, certificates, nats-server, a broker and two sites in a fresh directory, runs a study of\n' +
      'the genome of phage lambda over both sites, shows the result, and ends everything again.',
    options: [
      { flags: '--output <dir>', about: 'where gc.csv and gc.svg go (default: hanse-demo)' },
      { flags: '--keep', about: 'keep the directory of the grid, with all logs' },
    ],
    examples: [['demo', 'see a job go from a certificate to a result']],
    run: async (context, input) => (await import('../demo/demo.ts')).demo(context, input),
  },
  {
    path: 'up',
    summary: 'a grid on this machine, to stay',
    details:
      'The first time it makes the grid in the directory; later it starts the same grid again with all its jobs.\n' +
      'Without --detach it runs until Ctrl-C.',
    options: [
      { flags: '--dir <dir>', about: 'directory of the grid (default: ~/.hanse/grid)' },
      { flags: '--sites <n>', about: 'sites of a new grid, 1 to 20 (default: 2)' },
      {
        flags: '--cpus <n>',
        about: 'CPUs that each site of a new grid offers (default: all, shared out)',
      },
      {
        flags: '--nats-cluster',
        about: 'three nats-servers, three copies of each chunk, and a leaf node at the first site',
      },
      { flags: '--print-env', about: 'only print the environment of the grid that is there' },
      { flags: '--detach', about: 'return once everything runs; `grid down` ends it' },
    ],
    examples: [
      ['up --detach', 'start it and go on working'],
      ['up --dir /tmp/g --sites 3', 'three sites, in the foreground'],
      ['up --nats-cluster', 'one of three nats-servers may end, and nothing is lost'],
    ],
    run: async (context, input) => (await import('../up/up.ts')).up(context, input),
  },
  {
    path: 'down',
    summary: 'end the grid that `grid up` started',
    details: 'Running tasks go on; the next `grid up` finds them again. --end-tasks ends them too.',
    options: [
      { flags: '--dir <dir>', about: 'directory of the grid (default: ~/.hanse/grid)' },
      { flags: '--end-tasks', about: 'cancel all jobs first' },
    ],
    examples: [['down', 'end it; jobs and results stay']],
    run: async (context, input) => (await import('../up/down.ts')).down(context, input),
  },
  {
    path: 'simulate',
    summary: 'try scheduling policies on a workload, without any grid',
    details:
      'Runs the broker’s own scheduling round under a virtual clock, over the sites and the workload of a YAML file (or a\n' +
      'trace in the Standard Workload Format), once for each policy of the file, and compares waits, utilisation, shares\n' +
      'and slowdowns. The same file and seed always give the same figures.',
    args: [['<file>', 'scenario: sites, workload, shares, policies']],
    options: [
      { flags: '--seed <n>', about: 'seed of all chance, instead of the file’s' },
      { flags: '--policy <name>', about: 'only this policy of the file', repeat: true },
      { flags: '--until <duration>', about: 'stop after so much virtual time' },
      {
        flags: '--swf <trace>',
        about: 'jobs of a trace besides, as text or gzipped',
        repeat: true,
      },
      { flags: '--report <dir>', about: 'write report.md, report.json and plots as SVG' },
    ],
    examples: [
      ['simulate examples/simulate/campus.yaml', 'compare the policies of the example'],
      [
        'simulate sites.yaml --swf trace.swf.gz --report out',
        'a trace of the Parallel Workloads Archive on your own sites, with plots',
      ],
    ],
    run: async (context, input) => (await import('../simulate.ts')).simulateGrid(context, input),
  },
];
