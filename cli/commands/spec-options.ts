import type { OptionSpec } from '../command.ts';

/** A flag for every key of a job; docs/jobs.md explains the values. */
export const SPEC_OPTIONS: readonly OptionSpec[] = [
  { flags: '-j, --job <file>', about: 'job file (YAML or JSON) to start from; `-` is stdin' },
  { flags: '-n, --name <name>', about: 'short name for people' },
  { flags: '-c, --cpus <n>', about: 'cores on one node (1)' },
  { flags: '-m, --memory <size>', about: 'memory on one node, for instance 4G (1G)' },
  { flags: '--gpus <n>', about: 'GPUs on one node (0)' },
  { flags: '--gpu-model <model>', about: 'model of the GPUs, for instance a100' },
  { flags: '--nodes <n>', about: 'nodes, all at one site (1)' },
  { flags: '-t, --walltime <duration>', about: 'longest run time, for instance 90m (1h)' },
  { flags: '--disk <size>', about: 'scratch space, for instance 20G' },
  {
    flags: '--licence <name=count>',
    about: 'licences that it holds while it runs; NAME alone is one',
    repeat: true,
  },
  { flags: '-a, --array <values>', about: 'a task for each of 1-1000, 0-99:2, or red,green,blue' },
  { flags: '--max-running <n>', about: 'at most so many tasks of an array at sites at a time' },
  {
    flags: '-i, --input <path>',
    about:
      'file, directory or glob to send along, from anywhere on this machine (/data/x=x, ../x); FROM=TO renames it; job:ID=DIR takes the results of a job, grid:/VO/NAME=DIR a dataset, https://HOST/PATH#sha256=HEX=TO a file elsewhere',
    repeat: true,
  },
  {
    flags: '--inputs-as <how>',
    about: '`copy`: input files are its own, to be changed (most sites give read-only links)',
  },
  {
    flags: '-o, --output <glob>',
    about: 'what to bring back (stdout and stderr always come)',
    repeat: true,
  },
  {
    flags: '--live-output <glob>',
    about: 'the same, and to be had while the job runs: `grid get --live`',
    repeat: true,
  },
  {
    flags: '-e, --env <name=value>',
    about: 'variable for the job; NAME alone passes yours on',
    repeat: true,
  },
  { flags: '--stdin <path>', about: 'an input that becomes standard input' },
  {
    flags: '--requirements <cel>',
    about: 'what must be true of a site, for instance \'"cuda" in site.features\'',
  },
  { flags: '--rank <cel>', about: 'which site is best: the highest number wins' },
  {
    flags: '--after <id>',
    about: 'start when that job is done; ID:any when it has ended, ID:not-ok when not well',
    repeat: true,
  },
  { flags: '--retries <n>', about: 'further tries when the program ends with an error (0)' },
  {
    flags: '--retry-memory <factor>',
    about: 'more memory for a task that had too little, for instance x1.5',
  },
  { flags: '--vo <name>', about: 'VO to act under' },
  { flags: '--group <path>', about: 'group of the VO to charge, for instance /biomed/imaging' },
  { flags: '-s, --site <id>', about: 'only this site', repeat: true },
  { flags: '--exclude-site <id>', about: 'never this site', repeat: true },
  {
    flags: '--sandbox <class>',
    about: 'least sandbox: account, namespaces, or cgroup for limits of the kernel on top',
  },
  { flags: '--network <which>', about: 'what a task may reach: any, site or none (any)' },
  {
    flags: '--module <name>',
    about: 'environment module to load before the command, for instance gcc/13',
    repeat: true,
  },
  {
    flags: '--image <name>',
    about: 'container image to run the command in, for instance python:3.12',
  },
  {
    flags: '--on-lost <what>',
    about: 'what a site does with a running task when it loses the broker (release)',
    choices: ['release', 'keep'],
  },
];
