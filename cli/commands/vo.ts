import type { CommandSpec } from '../command.ts';

const VO = ['<vo>', 'VO'] as const;
const DN = ['<dn>', 'subject of the member’s certificate'] as const;

/** VOs and their members. */
export const VO_COMMANDS: readonly CommandSpec[] = [
  {
    path: 'vo create',
    summary: 'make a VO, with you as its manager (administrators of the authority)',
    args: [['<vo>', 'name: lower-case letters, digits, dots and hyphens']],
    examples: [['vo create biomed', 'sites that trust the authority can serve it at once']],
    run: async (context, input) => (await import('../certs/vo.ts')).createVo(context, input),
  },
  {
    path: 'vo ls',
    summary: 'list the VOs, and what you are in them',
    examples: [['vo ls --json', 'for a script']],
    run: async (context) => (await import('../certs/vo.ts')).listVos(context),
  },
  {
    path: 'vo members',
    summary: 'list the members of a VO (members)',
    args: [VO],
    examples: [['vo members biomed', 'who is in it, with groups and roles']],
    run: async (context, input) => (await import('../certs/vo.ts')).listMembers(context, input),
  },
  {
    path: 'vo add',
    summary: 'add a member to a VO, or change what a member is in it (managers)',
    details:
      'What is given replaces what was recorded. The member has it from the next `grid login` on.',
    args: [VO, DN],
    options: [
      {
        flags: '--fqan <fqan>',
        about: 'group or role besides plain membership, for instance /biomed/imaging',
        repeat: true,
      },
    ],
    examples: [
      ['vo add biomed "/DC=org/DC=example/OU=People/CN=Grace Hopper"', 'a plain member'],
      [
        'vo add biomed "/DC=org/DC=example/OU=People/CN=Ada Lovelace" --fqan /biomed/Role=manager',
        'a second manager',
      ],
    ],
    run: async (context, input) => (await import('../certs/vo.ts')).addMember(context, input),
  },
  {
    path: 'vo remove',
    summary: 'remove a member from a VO (managers)',
    details: 'Attributes that were signed before run out by themselves, within a day.',
    args: [VO, DN],
    examples: [['vo remove biomed "/DC=org/DC=example/OU=People/CN=Grace Hopper"', 'who has left']],
    run: async (context, input) => (await import('../certs/vo.ts')).removeMember(context, input),
  },
];
