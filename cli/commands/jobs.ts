import { JOB_STATES } from '../../core/job/state.ts';
import type { CommandSpec, OptionSpec } from '../command.ts';
import { SPEC_OPTIONS } from './spec-options.ts';

const FILE_ARGUMENT = [
  '[file]',
  'job file (YAML or JSON), or a script with `#GRID key: value` lines; `-` is stdin',
] as const;
const ID_ARGUMENT = ['<id>', 'job id'] as const;
const KEY_OPTION: OptionSpec = {
  flags: '--submit-key <key>',
  about: 'the same key with the same jobs submits them once only',
};
const TASK_OPTION: OptionSpec = {
  flags: '--task <value>',
  about: 'the task of an array, by its value (GRID_TASK)',
};
const S3_OPTION: OptionSpec = {
  flags: '--s3',
  about: 'give your S3 credential (AWS_ACCESS_KEY_ID...) for its inputs anew',
};
const TO_OPTION: OptionSpec = {
  flags: '--to <dir>',
  about: 'where to put the results (./NAME-ID)',
};
const FORCE_OPTION: OptionSpec = { flags: '--force', about: 'overwrite files that differ' };

/** Everything about jobs. */
export const JOB_COMMANDS: readonly CommandSpec[] = [
  {
    path: 'job submit',
    alias: 'submit',
    summary: 'submit a job and print its id',
    details:
      'From a job file, a script, or flags; flags win over the file. Paths in a file are relative to the file, paths in flags to the current directory. A file with several YAML documents submits several jobs, all or none. Follow with `grid status ID`, `grid wait ID`, `grid get ID`.',
    args: [FILE_ARGUMENT],
    options: [
      ...SPEC_OPTIONS,
      KEY_OPTION,
      {
        flags: '--dry-run',
        about:
          'check everything, show the job as it would be sent and what the sites say, send nothing',
      },
      { flags: '--snakemake', about: 'the file is a job script of snakemake: docs/snakemake.md' },
    ],
    takesCommand: true,
    examples: [
      ['submit -- echo hello', 'the smallest job'],
      ['submit job.yaml', 'from a file'],
      [
        'submit -c 4 -m 8G -t 2h -i data/ -o "*.csv" -- python3 fit.py data',
        'with files, and what it needs',
      ],
      ["submit -a 1-1000 -- sh -c './simulate --seed $GRID_TASK'", 'a thousand tasks'],
    ],
    run: async (context, input) => (await import('../jobs/submit.ts')).submit(context, input),
  },
  {
    path: 'job run',
    alias: 'run',
    summary: 'submit a job, show its output as it runs, fetch the results',
    details:
      'Ends with the exit code of the job. Results are fetched where the job names outputs, or with --to. Ctrl-C leaves the job running; `grid cancel ID` ends it.',
    args: [FILE_ARGUMENT],
    options: [
      ...SPEC_OPTIONS,
      KEY_OPTION,
      TO_OPTION,
      FORCE_OPTION,
      { flags: '--leave', about: 'leave the results on the grid' },
    ],
    takesCommand: true,
    examples: [
      ['run -- hostname', 'where does it run?'],
      ['run -i reads.fq -o "*.bam" --to out -- ./align reads.fq', 'results arrive in out/'],
    ],
    run: async (context, input) => (await import('../jobs/run.ts')).runJob(context, input),
  },
  {
    path: 'job ls',
    alias: 'ls',
    summary: 'list your jobs, newest first',
    options: [
      {
        flags: '-s, --state <state>',
        about: 'only jobs in this state',
        repeat: true,
        choices: JOB_STATES,
      },
      { flags: '-a, --all', about: 'also the jobs of others in your VO' },
      { flags: '-l, --limit <n>', about: 'at most so many (20)' },
      { flags: '-n, --name <name>', about: 'only jobs of this name' },
    ],
    examples: [
      ['ls', 'the last twenty'],
      ['ls --state running --state queued', 'what is not done yet'],
      ['ls --json --limit 1000', 'for a program'],
    ],
    run: async (context, input) => (await import('../jobs/ls.ts')).listJobs(context, input),
  },
  {
    path: 'job status',
    alias: 'status',
    summary: 'show where a job and its tasks stand',
    args: [ID_ARGUMENT],
    options: [
      { flags: '--tasks', about: 'every task of an array, not only the telling ones' },
      {
        flags: '--snakemake',
        about: 'put what a job made into this directory, and say running, success or failed',
      },
    ],
    examples: [
      ['status 0j4k2', 'state, times, site, reason'],
      ['status 0j4k2 --tasks', 'task by task'],
    ],
    run: async (context, input) => (await import('../jobs/status.ts')).showStatus(context, input),
  },
  {
    path: 'job why',
    alias: 'why',
    summary: 'say why a job is where it is',
    details:
      'For a job that waits: every site, with the first thing that keeps the job from running there; whose turn it is; when a start is expected; and the least change with which it could start. `grid submit --dry-run` says the same of a job before it is submitted.',
    args: [ID_ARGUMENT],
    examples: [['why 0j4k2', 'what does it wait for?']],
    run: async (context, input) => (await import('../jobs/why.ts')).showWhy(context, input),
  },
  {
    path: 'job logs',
    alias: 'logs',
    summary: 'show the output of a job, while it runs and afterwards',
    args: [ID_ARGUMENT],
    options: [
      TASK_OPTION,
      { flags: '-f, --follow', about: 'go on until the task has ended' },
      { flags: '--stderr', about: 'standard error instead of standard output' },
      {
        flags: '--file <path>',
        about: 'a file in the directory of the task, also while it grows, instead of its output',
      },
    ],
    examples: [
      ['logs 0j4k2 -f', 'as it comes'],
      ['logs 0j4k2 --task 17 --stderr', 'of one task of an array'],
      ['logs 0j4k2 --file train.log -f', 'watch a file that the job writes'],
    ],
    run: async (context, input) => (await import('../jobs/logs.ts')).showLogs(context, input),
  },
  {
    path: 'job events',
    summary: 'show the history of a job',
    args: [ID_ARGUMENT],
    options: [{ flags: '-f, --follow', about: 'go on until the job has ended' }],
    examples: [['job events 0j4k2 -f', 'each move as it happens']],
    run: async (context, input) => (await import('../jobs/events.ts')).showEvents(context, input),
  },
  {
    path: 'job get',
    alias: 'get',
    summary: 'fetch the results of a job',
    details:
      'Tasks of an array each get a directory named after their value. Tasks that have not ended yet are left out. Where no task has left results, what there is of live outputs comes instead, into NAME-ID-partial.',
    args: [ID_ARGUMENT],
    options: [
      TO_OPTION,
      TASK_OPTION,
      FORCE_OPTION,
      {
        flags: '--live',
        about: 'what there is of the live outputs of tasks without results (./NAME-ID-partial)',
      },
    ],
    examples: [
      ['get 0j4k2', 'into ./NAME-0j4k2'],
      ['get 0j4k2 --to results --task 3', 'one task'],
      ['get 0j4k2 --live', 'how far has it come?'],
    ],
    run: async (context, input) => (await import('../jobs/get.ts')).getResults(context, input),
  },
  {
    path: 'job cancel',
    alias: 'cancel',
    summary: 'end jobs',
    args: [['<ids...>', 'job ids']],
    options: [{ flags: '--reason <text>', about: 'why, for the history' }],
    examples: [['cancel 0j4k2 0j4k3', 'both of them']],
    run: async (context, input) => (await import('../jobs/cancel.ts')).cancelJobs(context, input),
  },
  {
    path: 'job hold',
    alias: 'hold',
    summary: 'keep jobs from being placed',
    details:
      'What is at a site runs on; what waits is held until `grid release`. All of the jobs are held, or none.',
    args: [['<ids...>', 'job ids']],
    options: [{ flags: '--reason <text>', about: 'why, for the history' }],
    examples: [['hold 0j4k2 --reason "the input is wrong"', 'nothing of it starts any more']],
    run: async (context, input) => (await import('../jobs/hold.ts')).holdJobs(context, input),
  },
  {
    path: 'job release',
    alias: 'release',
    summary: 'let held jobs wait for a site again',
    details:
      'Releases what `grid hold` holds and what the grid has held; `grid status` says why and what to do first.',
    args: [['<ids...>', 'job ids']],
    options: [S3_OPTION],
    examples: [['release 0j4k2', 'it waits again']],
    run: async (context, input) => (await import('../jobs/hold.ts')).releaseJobs(context, input),
  },
  {
    path: 'job retry',
    alias: 'retry',
    summary: 'try again what has failed or was cancelled',
    details:
      'The job keeps its id and its history, also when it has ended; what is done stays done. Jobs that were cancelled because they waited for it are retried one by one, after it.',
    args: [ID_ARGUMENT],
    options: [
      { flags: '--failed', about: 'leave alone what was cancelled' },
      { ...TASK_OPTION, repeat: true },
      S3_OPTION,
    ],
    examples: [
      ['retry 0j4k2', 'all that is not done'],
      ['retry 0j4k2 --failed', 'the three of a million that have failed'],
      ['retry 0j4k2 --task 17 --task 23', 'just these'],
    ],
    run: async (context, input) => (await import('../jobs/retry.ts')).retryJob(context, input),
  },
  {
    path: 'job wait',
    alias: 'wait',
    summary: 'wait until jobs have ended',
    details:
      'Ends with 0 when all are done, 1 when one has failed or was cancelled, 124 when the time ran out.',
    args: [['<ids...>', 'job ids']],
    options: [{ flags: '--timeout <duration>', about: 'wait no longer than this' }],
    examples: [
      ['wait 0j4k2 && grid get 0j4k2', 'then fetch'],
      ['wait 0j4k2 0j4k3 --timeout 30m', 'not for ever'],
    ],
    run: async (context, input) => (await import('../jobs/wait.ts')).waitForJobs(context, input),
  },
  {
    path: 'whoami',
    summary: 'show who the broker takes you for',
    examples: [['whoami', 'DN, VOs, attributes, expiry']],
    run: async (context) => (await import('../certs/whoami.ts')).showCaller(context),
  },
];
