import type { CommandSpec, OptionSpec } from '../command.ts';

const ID_ARGUMENT = ['<id>', 'flow id'] as const;
const VO_OPTION: OptionSpec = { flags: '--vo <name>', about: 'VO to act under' };
const KEY_OPTION: OptionSpec = {
  flags: '--submit-key <key>',
  about: 'the same key with the same jobs submits them once only',
};

/** Everything about flows. */
export const FLOW_COMMANDS: readonly CommandSpec[] = [
  {
    path: 'flow submit',
    summary: 'submit the jobs of a file that come after one another, and print the flow’s id',
    details:
      'The file has `jobs: {NAME: {...}}`, each as in a job file; `after: [NAME]` and inputs `job:NAME=DIR` tie them together, `defaults:` holds for all of them. At most 1000 jobs, accepted all or none. docs/jobs.md explains it.',
    args: [['<file>', 'flow file (YAML or JSON); `-` is stdin']],
    options: [
      VO_OPTION,
      KEY_OPTION,
      { flags: '--dry-run', about: 'check everything, show the plan, send nothing' },
    ],
    examples: [
      ['flow submit study.yaml --dry-run', 'what comes after what?'],
      ['flow submit study.yaml', 'prints the flow’s id'],
    ],
    run: async (context, input) =>
      (await import('../flows/flow-submit.ts')).submitFlow(context, input),
  },
  {
    path: 'flow ls',
    summary: 'list your flows, newest first',
    options: [
      { flags: '-a, --all', about: 'also the flows of others in your VO' },
      { flags: '-l, --limit <n>', about: 'at most so many (20)' },
    ],
    examples: [['flow ls', 'the last twenty']],
    run: async (context, input) =>
      (await import('../flows/flow-status.ts')).listFlows(context, input),
  },
  {
    path: 'flow status',
    summary: 'show where a flow and its jobs stand',
    args: [ID_ARGUMENT],
    examples: [['flow status f0j4k2', 'job by job, each behind those it comes after']],
    run: async (context, input) =>
      (await import('../flows/flow-status.ts')).showFlow(context, input),
  },
  {
    path: 'flow wait',
    summary: 'wait until a flow has ended',
    details:
      'Ends with 0 when every job is done or was not needed, 1 when not, 124 when the time ran out.',
    args: [ID_ARGUMENT],
    options: [{ flags: '--timeout <duration>', about: 'wait no longer than this' }],
    examples: [['flow wait f0j4k2', 'tells of each job as it ends']],
    run: async (context, input) =>
      (await import('../flows/flow-status.ts')).waitForFlow(context, input),
  },
  {
    path: 'flow resume',
    summary: 'run again what is not done of a flow that has ended',
    details:
      'Jobs that are done are kept, unless they come after one that runs again. With a file the jobs that run are those of the file, with what was mended in it; jobs that it adds run too.',
    args: [ID_ARGUMENT, ['[file]', 'the flow file as it is now; the jobs as they were without it']],
    options: [
      VO_OPTION,
      KEY_OPTION,
      { flags: '--dry-run', about: 'show what would run again, send nothing' },
    ],
    examples: [
      ['flow resume f0j4k2', 'once more, the same'],
      ['flow resume f0j4k2 study.yaml', 'with what was mended in the file'],
    ],
    run: async (context, input) =>
      (await import('../flows/flow-submit.ts')).resumeFlow(context, input),
  },
  {
    path: 'flow cancel',
    summary: 'end all jobs of a flow',
    args: [ID_ARGUMENT],
    options: [{ flags: '--reason <text>', about: 'why, for the history' }],
    examples: [['flow cancel f0j4k2', 'also what would come after']],
    run: async (context, input) =>
      (await import('../flows/flow-status.ts')).cancelFlow(context, input),
  },
];
