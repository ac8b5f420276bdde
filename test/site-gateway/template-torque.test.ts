import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BatchSystem, SubmitAnswer } from '../../site-gateway/lrms/batch/batch-system.ts';
import { SELF } from '../fakes/job-owners.ts';
import { openSaidCommands, type Said, type SaidCommands } from '../fakes/said-commands.ts';
import { missing, OTHER, openTemplate, orderOf, TOKEN } from '../fakes/template-orders.ts';

let commands: SaidCommands;
beforeEach(() => {
  commands = openSaidCommands();
});
afterEach(() => commands[Symbol.dispose]());

const open = (): BatchSystem => openTemplate('torque', commands.bin);
/** What becomes of a submission of which the command says this. */
const answer = (said: Said): Promise<SubmitAnswer> => {
  commands.say('qsub', said);
  return open().submit(orderOf());
};

/** As Torque 6 prints a job. */
const TORQUE_JOB = (
  id: string,
  token: string,
  state: string,
  more = '',
): string => `Job Id: ${id}.mike.example.org
    Job_Name = grid
    Job_Owner = hanse@login.example.org
${more}    job_state = ${state}
    queue = batch
    server = mike.example.org
    Error_Path = login.example.org:/home/hanse/grid.e${id}
    exec_host = cnode025.example.org/0
    Resource_List.nodes = 1:ppn=4
    Resource_List.walltime = 01:30:00
    session_id = 16750
    Variable_List = PBS_O_QUEUE=batch,PBS_O_HOME=/home/hanse,
\tPBS_O_LANG=C,PBS_O_LOGNAME=hanse,PBS_O_PATH=/usr/local/bin:/usr/bin:/bin,
\tGRID_SUBMISSION=/srv/hanse/submissions/${token},
\tGRID_ELEMENT=1
    etime = Thu Jan 26 19:25:59 2017
    submit_args = -N grid /srv/hanse/batch-script
    Walltime.Remaining = 5169
    start_count = 1

`;

describe('the torque template', () => {
  test('submits with what the task needs', async () => {
    commands.say('qsub', { stdout: '114618.mike.example.org\n' });
    const taken = await open().submit(orderOf({ nodes: 2, gpus: 1 }));
    expect(taken.kind === 'submitted' && taken.jobOf(1)).toBe('114618.mike.example.org');
    const words = commands.callsOf('qsub')[0]?.join(' ');
    expect(words).toContain(
      '-l nodes=2:ppn=4:gpus=1 -l mem=4096mb -l walltime=01:30:00 -A phys1 -v',
    );
  });

  test.for<[string, Said, object]>([
    [
      'no nodes of that size',
      {
        stderr: 'qsub: Job exceeds queue resource limits MSG=cannot locate feasible nodes\n',
        exitCode: 190,
      },
      { kind: 'refused' },
    ],
    [
      'not allowed there',
      {
        stderr:
          'qsub: Unauthorized Request  MSG=user ACL rejected the submitting user: user hanse@login, queue cm1\n',
        exitCode: 159,
      },
      { kind: 'refused' },
    ],
    [
      'too many jobs',
      {
        stderr:
          'qsub: Maximum number of jobs already in queue MSG=total number of jobs in queue exceeds the queue limit\n',
        exitCode: 189,
      },
      { kind: 'full' },
    ],
  ])('tells what qsub means: %s', async ([, said, expected]) => {
    expect(await answer(said)).toMatchObject(expected);
  });

  test('knows its jobs by their variables, and completed ones from running ones', async () => {
    const someone = TORQUE_JOB('7', TOKEN, 'R').replace(/\tGRID_SUBMISSION.*\n/, '');
    commands.say('qstat', {
      stdout: `${TORQUE_JOB('8', TOKEN, 'R')}${someone}${TORQUE_JOB('9', OTHER, 'C')}`,
    });
    expect([...(await open().poll(SELF)).jobs]).toEqual([
      [`${TOKEN}.1`, { id: '8.mike.example.org', state: 'runs', reason: '' }],
    ]);
  });

  test('says how a job ended', async () => {
    const used =
      '    resources_used.cput = 00:00:41\n    resources_used.mem = 16148kb\n    resources_used.walltime = 01:30:27\n';
    const text = TORQUE_JOB('9', TOKEN, 'C', used).replace(
      '    etime',
      '    exit_status = -11\n    etime',
    );
    commands.say('qstat', { stdout: text });
    expect([...(await open().autopsy([missing(TOKEN, '9.mike.example.org')], SELF))]).toEqual([
      [
        `${TOKEN}.1`,
        {
          kind: 'walltime',
          words: 'C',
          usage: { cpuMs: 41_000, wallMs: 5_427_000, peakMemoryBytes: 16_148 * 1_024 },
        },
      ],
    ]);
  });
});
