import type { CommandSpec } from '../command.ts';

const NODE = [
  '<node>',
  'a VO (/biomed), a group (/biomed/imaging), or somebody in either (/biomed/imaging:DN)',
] as const;

/** Who gets how much of the grid. */
export const SHARE_COMMANDS: readonly CommandSpec[] = [
  {
    path: 'share ls',
    summary: 'show the tree of shares: weights, usage and quotas',
    details:
      'All VOs, and in your own the groups and people. TARGET is the part that a weight gives among siblings, USED the part that has been used; whoever has used the least of its part is next. docs/scheduling.md explains it.',
    options: [{ flags: '--vo <name>', about: 'only this VO' }],
    examples: [
      ['share ls', 'where you stand'],
      ['share ls --vo biomed --json', 'for a script'],
    ],
    run: async (context, input) => (await import('../shares.ts')).showShares(context, input),
  },
  {
    path: 'share set',
    summary: 'set the weight of a VO (grid administrators), a group or a person (managers)',
    details: 'Everybody weighs 1 until then. Twice the weight is twice as much of the grid.',
    args: [NODE],
    options: [{ flags: '--weight <n>', about: 'from 0.001 to 1000000', required: true }],
    examples: [
      ['share set /biomed --weight 3', 'three times what a VO of weight 1 gets'],
      ['share set /biomed/ --weight 0.5', 'half for what is charged to no group of the VO'],
    ],
    run: async (context, input) => (await import('../shares.ts')).setWeight(context, input),
  },
  {
    path: 'share quota',
    summary: 'cap what a VO (grid administrators), a group or a person (managers) has at a time',
    details: 'What is above a new cap already goes on. `none` takes a cap away.',
    args: [NODE],
    options: [
      { flags: '--running-cpus <n>', about: 'cpus of the tasks that sites have, or none' },
      { flags: '--queued <n>', about: 'tasks that wait, or none; what is more is refused' },
    ],
    examples: [
      ['share quota /biomed/imaging --running-cpus 200 --queued 50000', 'both caps'],
      [
        'share quota "/biomed:/DC=org/DC=example/CN=Grace Hopper" --queued none',
        'as many as she likes',
      ],
    ],
    run: async (context, input) => (await import('../shares.ts')).setQuota(context, input),
  },
];
