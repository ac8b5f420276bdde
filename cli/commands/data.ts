import type { CommandSpec, OptionSpec } from '../command.ts';

const NAME_ARGUMENT = [
  '<name>',
  'dataset: NAME, /VO/NAME, or one version of it: NAME@v3 (the newest without)',
] as const;
const VO_OPTION: OptionSpec = { flags: '--vo <name>', about: 'VO of a NAME that has none' };

/** Datasets: names for trees of files in the store of a VO. */
export const DATA_COMMANDS: readonly CommandSpec[] = [
  {
    path: 'data put',
    summary: 'put a directory or file into the store and give it a name',
    details:
      'Only what the store has not is sent: of a changed directory just the change. The same content again is the same version, other content the next one. A job takes it as an input: `--input grid:/VO/NAME=DIR`.',
    args: [['<path>', 'directory or file, or job:ID for the results of a job'], NAME_ARGUMENT],
    options: [
      VO_OPTION,
      { flags: '--share', about: 'all members of the VO may use it' },
      { flags: '--keep <duration>', about: 'how long it stays, for instance 30d (for ever)' },
    ],
    examples: [
      ['data put hg38/ /biomed/hg38 --share', 'a genome for the whole VO'],
      ['data put results/ run-7 --keep 30d', 'for yourself, for a month'],
      ['data put job:0j4k2 run-7', 'what a job made, without passing through here'],
    ],
    run: async (context, input) => (await import('../data/data.ts')).putDataset(context, input),
  },
  {
    path: 'data cp',
    summary: 'copy between the store and a directory of a site, without passing through here',
    details:
      'A job of its own, which the site’s gateway carries out: it is tried again, explained by `grid why` and ended by `grid cancel` like any other, and goes on when this machine is shut. The site opens directories for it with `data-paths`. SITE: without a path is its cache: jobs with the dataset then start there at once.',
    args: [
      ['<from>', 'dataset, or SITE:/PATH of a file or directory'],
      ['<to>', 'SITE:/PATH of a directory, SITE: for its cache, or the name of a dataset'],
    ],
    options: [
      VO_OPTION,
      { flags: '--detach', about: 'print the id of the job and return at once' },
      { flags: '--force', about: 'overwrite files at the site that differ' },
      { flags: '--share', about: 'all members of the VO may use the new dataset' },
    ],
    examples: [
      ['data cp hg38 north:/data/biomed/hg38', 'to a site'],
      ['data cp north:/data/biomed/run-7 run-7', 'from a site, as a new version'],
      ['data cp hg38 north:', 'ahead of the jobs that will want it'],
    ],
    run: async (context, input) =>
      (await import('../data/data-copy.ts')).copyDataset(context, input),
  },
  {
    path: 'data get',
    summary: 'fetch a dataset',
    details: 'Begins where an earlier try was cut off; every file is verified.',
    args: [NAME_ARGUMENT, ['[dir]', 'where to (./NAME)']],
    options: [VO_OPTION, { flags: '--force', about: 'overwrite files that differ' }],
    examples: [
      ['data get hg38', 'the newest version'],
      ['data get /biomed/hg38@v3 old', 'an older one'],
    ],
    run: async (context, input) => (await import('../data/data.ts')).getDataset(context, input),
  },
  {
    path: 'data ls',
    summary: 'list the datasets that you may use, or the files of one',
    args: [['[name]', 'dataset whose files to list, or with --versions its versions']],
    options: [
      VO_OPTION,
      { flags: '--versions', about: 'every version, not only the newest' },
      { flags: '--jobs', about: 'your jobs whose results are kept, the largest first, instead' },
      { flags: '--everybody', about: 'with --jobs: of all members of the VO (managers)' },
      { flags: '--limit <n>', about: 'with --jobs: at most so many (100)' },
    ],
    examples: [
      ['data ls', 'all that you may use'],
      ['data ls --jobs', 'what could go to make room'],
      ['data ls hg38@v3', 'the files of one'],
    ],
    run: async (context, input) => (await import('../data/data.ts')).listDatasets(context, input),
  },
  {
    path: 'data du',
    summary: 'show how much room datasets take, and what they share',
    details:
      '`alone` is what would be freed if only this one were removed: what it shares with nothing else of the list.',
    args: [['[names...]', 'datasets, or job:ID for results (every version of all datasets)']],
    options: [VO_OPTION, { flags: '--jobs', about: 'also the results of your jobs, the largest' }],
    examples: [
      ['data du', 'what could be removed'],
      ['data du --jobs', 'or which results'],
    ],
    run: async (context, input) => (await import('../data/data-look.ts')).diskUsage(context, input),
  },
  {
    path: 'data quota',
    summary: 'show or set how much may be stored: by you, by a member, by a VO',
    details:
      'Datasets, inputs and results count, each chunk once. `--limit` sets it: for a VO (grid administrators), or with `--user` or `--everybody` for its members (managers, too). Managers see the members who store most, too. What is stored above a new limit stays; what would add to it is refused before it is sent.',
    args: [['[vo]', 'VO (your only one)']],
    options: [
      { flags: '--user <dn>', about: 'one member' },
      { flags: '--everybody', about: 'each member that has no limit of their own' },
      { flags: '--limit <size>', about: 'the most bytes, for instance 500G, or none' },
    ],
    examples: [
      ['data quota', 'what you and your VO store, and may store'],
      ['data quota biomed --limit 20T', 'a VO as a whole'],
      ['data quota biomed --everybody --limit 500G', 'each of its members'],
      ['data quota biomed --user "/DC=org/DC=example/CN=Ada" --limit none', 'but not her'],
    ],
    run: async (context, input) =>
      (await import('../data/data-quota.ts')).storeQuota(context, input),
  },
  {
    path: 'data diff',
    summary: 'compare two datasets, or a dataset with a directory',
    details: 'Ends with 1 where they differ.',
    args: [NAME_ARGUMENT, ['<other>', 'dataset, or a directory: `.`, `./DIR` or `../DIR`']],
    options: [VO_OPTION],
    examples: [
      ['data diff hg38@v2 hg38@v3', 'what has changed'],
      ['data diff hg38 ./hg38', 'what `data put` would send'],
    ],
    run: async (context, input) =>
      (await import('../data/data-look.ts')).diffDatasets(context, input),
  },
  {
    path: 'data verify',
    summary: 'read all of a dataset in the store and check it',
    details:
      'Ends with 1 where chunks are missing or spoiled. What is spoiled is taken out of the store, and putting the same files again mends both.',
    args: [NAME_ARGUMENT],
    options: [VO_OPTION],
    examples: [['data verify hg38', 'before a long study']],
    run: async (context, input) =>
      (await import('../data/data-verify.ts')).verifyDataset(context, input),
  },
  {
    path: 'data where',
    summary: 'show which sites have a dataset warm in their cache',
    args: [NAME_ARGUMENT],
    options: [VO_OPTION],
    examples: [['data where hg38', 'where a job with this input would start at once']],
    run: async (context, input) =>
      (await import('../data/data-look.ts')).whereIsDataset(context, input),
  },
  {
    path: 'data share',
    summary: 'let all members of the VO use a dataset',
    args: [NAME_ARGUMENT],
    options: [VO_OPTION, { flags: '--undo', about: 'keep it for yourself again' }],
    examples: [['data share /biomed/run-7', 'every version of it']],
    run: async (context, input) => (await import('../data/data.ts')).shareDataset(context, input),
  },
  {
    path: 'data pin',
    summary: 'change how long a dataset stays',
    args: [NAME_ARGUMENT],
    options: [VO_OPTION, { flags: '--for <duration>', about: 'from now on so long (for ever)' }],
    examples: [
      ['data pin run-7', 'it does not go by itself any more'],
      ['data pin run-7@v1 --for 7d', 'one more week'],
    ],
    run: async (context, input) => (await import('../data/data.ts')).pinDataset(context, input),
  },
  {
    path: 'data sweep',
    summary: 'take out of the store of a VO what nobody needs any more (grid administrators)',
    details:
      'The broker does it by itself from time to time. What no job, no results and no dataset name goes when every look for a day has found it so.',
    options: [{ flags: '--vo <name>', about: 'VO whose store to look over' }],
    examples: [['data sweep --vo biomed', 'how much is there, and how much goes']],
    run: async (context, input) => (await import('../data/data.ts')).sweepStore(context, input),
  },
  {
    path: 'data rm',
    summary: 'take the name of a dataset away, or let go of the results of a job',
    details:
      'Jobs that were submitted with a dataset still get it. Results are refused while an open job takes them as an input; afterwards nobody can get them.',
    args: [['<name>', 'dataset, or job:ID for the results of a job that has ended']],
    options: [VO_OPTION, { flags: '--all', about: 'every version, where none is named' }],
    examples: [
      ['data rm run-7@v1', 'one version'],
      ['data rm run-7 --all', 'all of them'],
      ['data rm job:j7k2q9w4x1mb', 'before the grid does it'],
    ],
    run: async (context, input) => (await import('../data/data.ts')).removeDataset(context, input),
  },
];
