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

const open = (): BatchSystem => openTemplate('pbs', commands.bin);
/** What becomes of a submission of which the command says this. */
const answer = (said: Said): Promise<SubmitAnswer> => {
  commands.say('qsub', said);
  return open().submit(orderOf());
};

/** As OpenPBS 20 and PBS Professional 2021 print a job. */
const PBS_JOB = (
  id: string,
  token: string,
  state: string,
  more: string,
): string => `Job Id: ${id}.pbs-server
    Job_Name = grid-${token}
    Job_Owner = hanse@login1.example.org
${more}    job_state = ${state}
    queue = workq
    server = pbs-server
    Checkpoint = u
    ctime = Tue Feb 22 18:26:47 2022
    Error_Path = login1.example.org:/home/hanse/grid-${token}.e1
    Hold_Types = n
    Join_Path = oe
    Output_Path = login1.example.org:/srv/hanse/submissions/${token}
\t/1.log
    Rerunable = False
    Resource_List.mem = 2097152kb
    Resource_List.ncpus = 4
    Resource_List.nodect = 1
    Resource_List.place = scatter
    Resource_List.select = 1:ncpus=4:mem=2097152kb
    substate = 42
    Variable_List = PBS_O_LANG=C,PBS_O_LOGNAME=hanse,
\tPBS_O_PATH=/usr/local/bin:/usr/bin:/bin,PBS_O_SHELL=/bin/bash,
\tGRID_SUBMISSION=/srv/hanse/submissions/${token},GRID_ELEMENT=1,
\tPBS_O_QUEUE=workq,PBS_O_HOST=login1.example.org
    project = _pbs_project_default

`;

describe('the pbs template', () => {
  test('submits with what the task needs, and nothing of its own text', async () => {
    commands.say('qsub', { stdout: '1234.pbs-server\n' });
    const taken = await open().submit(orderOf({ gpus: 2 }));
    expect(taken).toMatchObject({ kind: 'submitted' });
    expect(taken.kind === 'submitted' && taken.jobOf(1)).toBe('1234.pbs-server');
    expect(commands.callsOf('qsub')).toEqual([
      [
        ...['-N', `grid-${TOKEN}`, '-r', 'n', '-m', 'n', '-j', 'oe'],
        ...['-o', `/srv/hanse/submissions/${TOKEN}/1.log`, '-S', '/bin/sh'],
        ...['-l', 'select=1:ncpus=4:mem=2097152kb:ngpus=2', '-l', 'place=scatter'],
        ...['-l', 'walltime=01:30:00', '-A', 'phys1'],
        ...['-v', `GRID_SUBMISSION=/srv/hanse/submissions/${TOKEN},GRID_ELEMENT=1`],
        ...['-l', 'x=1', '/srv/hanse/batch-script'],
      ],
    ]);
  });

  test('without a limit of time and GPUs names neither', async () => {
    commands.say('qsub', { stdout: '1234.pbs-server\n' });
    await open().submit(orderOf({ walltimeMs: 0 }));
    const words = commands.callsOf('qsub')[0]?.join(' ');
    expect(words).toContain(' -l select=1:ncpus=4:mem=2097152kb -l place=scatter -A phys1 ');
  });

  test.for<[string, Said, object]>([
    [
      'a limit of the queue',
      { stderr: 'qsub: Job exceeds queue and/or server resource limits\n', exitCode: 188 },
      { kind: 'refused', words: 'qsub: Job exceeds queue and/or server resource limits' },
    ],
    [
      'a queue that is not there',
      { stderr: 'qsub: Unknown queue\n', exitCode: 170 },
      { kind: 'refused', words: 'qsub: Unknown queue' },
    ],
    [
      'too many jobs',
      { stderr: 'qsub: Maximum number of jobs already in queue workq\n', exitCode: 188 },
      { kind: 'full' },
    ],
  ])('tells what qsub means: %s', async ([, said, expected]) => {
    expect(await answer(said)).toMatchObject(expected);
  });

  test.for<[string, Said, string]>([
    [
      'no server',
      {
        stderr: 'Connection refused\nqsub: cannot connect to server pbs-server (errno=111)\n',
        exitCode: 1,
      },
      'qsub: cannot connect to server pbs-server (errno=111)',
    ],
    ['no word', { exitCode: 1 }, 'qsub failed without a word'],
    [
      'a banner for an id',
      { stdout: 'Welcome\n' },
      "qsub said what cannot be understood: 'Welcome\n'",
    ],
  ])('takes for silence, not for a refusal: %s', async ([, said, message]) => {
    await expect(answer(said)).rejects.toMatchObject({
      name: 'BatchSilence',
      message,
    });
  });

  test('finds its jobs in the whole queue', async () => {
    const waits = '    comment = Not Running: Insufficient amount of resource: ncpus \n';
    const someone = PBS_JOB('1001', TOKEN, 'R', '').replaceAll(`grid-${TOKEN}`, 'relax.sh');
    const text = `${PBS_JOB('1234', TOKEN, 'Q', waits)}${someone}${PBS_JOB('1235', OTHER, 'E', '')}`;
    commands.say('qstat', { stdout: text });
    expect([...(await open().poll(SELF)).jobs]).toEqual([
      [
        `${TOKEN}.1`,
        {
          id: '1234.pbs-server',
          state: 'waits',
          reason: 'Not Running: Insufficient amount of resource: ncpus',
        },
      ],
      [`${OTHER}.1`, { id: '1235.pbs-server', state: 'runs', reason: '' }],
    ]);
    expect(commands.callsOf('qstat')).toEqual([['-f']]);
  });

  test('knows an empty queue from one that is cut short', async () => {
    commands.say('qstat', {});
    expect((await open().poll(SELF)).jobs.size).toBe(0);
    commands.say('qstat', { stdout: PBS_JOB('1234', TOKEN, 'R', '').slice(0, 60) });
    await expect(open().poll(SELF)).rejects.toThrow('qstat said what cannot be understood');
  });

  const used = `    resources_used.cpupercent = 97
    resources_used.cput = 00:21:18
    resources_used.mem = 434716kb
    resources_used.ncpus = 4
    resources_used.vmem = 834716kb
    resources_used.walltime = 01:30:12
`;
  test.for<[string, string, string]>([
    ['walltime', 'Exit_status = -29', 'walltime'],
    ['memory', 'Exit_status = -27', 'memory'],
    ['deleted', 'Exit_status = 271', 'cancelled'],
    ['ended', 'Exit_status = 0', 'ended'],
  ])('says how a job ended: %s', async ([, line, kind]) => {
    const text = PBS_JOB('1234', TOKEN, 'F', used).replace(
      'substate = 42',
      kind === 'cancelled' ? 'substate = 91' : 'substate = 92',
    );
    commands.say('qstat', {
      stdout: text.replace('    project =', `    ${line}\n    project =`),
      stderr: 'qstat: Unknown Job Id 1235.pbs-server\n',
      exitCode: 153,
    });
    const asked = [
      missing(TOKEN, '1234.pbs-server'),
      missing(OTHER, '1235.pbs-server'),
      missing(OTHER, ''),
    ];
    expect([...(await open().autopsy(asked, SELF))]).toEqual([
      [
        `${TOKEN}.1`,
        {
          kind,
          words: 'F',
          usage: { cpuMs: 1_278_000, wallMs: 5_412_000, peakMemoryBytes: 434_716 * 1_024 },
        },
      ],
    ]);
    expect(commands.callsOf('qstat')).toEqual([['-x', '-f', '1234.pbs-server', '1235.pbs-server']]);
  });

  test('ends jobs', async () => {
    commands.say('qdel', { stderr: 'qdel: Job has finished 1234.pbs-server\n', exitCode: 35 });
    commands.say('qsig', {});
    await open().signal(['1234.pbs-server', '1235.pbs-server'], 'KILL');
    expect(commands.callsOf('qsig')).toEqual([
      ['-s', 'SIGKILL', '1234.pbs-server', '1235.pbs-server'],
    ]);
    expect(commands.callsOf('qdel')).toEqual([['1234.pbs-server', '1235.pbs-server']]);
    commands.say('qdel', {
      stderr: 'qdel: cannot connect to server pbs-server (errno=111)\n',
      exitCode: 1,
    });
    await expect(open().signal(['1234.pbs-server'], 'TERM')).rejects.toMatchObject({
      name: 'BatchSilence',
    });
  });
});
