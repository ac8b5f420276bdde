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

const open = (): BatchSystem => openTemplate('lsf', commands.bin);
/** What becomes of a submission of which the command says this. */
const answer = (said: Said): Promise<SubmitAnswer> => {
  commands.say('bsub', said);
  return open().submit(orderOf());
};

/** What is said here is of LSF 10.1. */
describe('the lsf template', () => {
  test('submits with what the task needs', async () => {
    commands.say('bsub', { stdout: 'Job <7765432> is submitted to queue <normal>.\n' });
    const taken = await open().submit(orderOf({ nodes: 2, gpus: 1 }));
    expect(taken.kind === 'submitted' && taken.jobOf(1)).toBe('7765432');
    expect(commands.callsOf('bsub')).toEqual([
      [
        ...['-J', `grid-${TOKEN}`, '-rn', '-o', `/srv/hanse/submissions/${TOKEN}/1.log`, '-n', '8'],
        ...['-R', 'span[ptile=4] rusage[mem=2048MB]', '-M', '2048MB', '-W', '90'],
        ...['-gpu', 'num=1', '-P', 'phys1', '-l', 'x=1'],
        ...['/srv/hanse/batch-script', `/srv/hanse/submissions/${TOKEN}`, '1'],
      ],
    ]);
  });

  test.for<[string, Said, object]>([
    [
      'an id after a notice',
      {
        stdout:
          'Your job requests 12 slots per GPU.\nJob <4242> is submitted to queue <gpu_h100>.\n',
      },
      { kind: 'submitted' },
    ],
    [
      'a queue that is not there',
      { stderr: 'bad: No such queue. Job not submitted.\n', exitCode: 255 },
      { kind: 'refused', words: 'bad: No such queue. Job not submitted.' },
    ],
    [
      'a rule of the site',
      {
        stderr: 'Please use the -o option.\nRequest aborted by esub. Job not submitted.\n',
        exitCode: 255,
      },
      { kind: 'refused' },
    ],
    [
      'too many jobs',
      {
        stderr: 'hanse: Pending job threshold reached. Retrying in 60 seconds...\n',
        exitCode: 255,
      },
      { kind: 'full' },
    ],
  ])('tells what bsub means: %s', async ([, said, expected]) => {
    expect(await answer(said)).toMatchObject(expected);
  });

  test('takes for silence that LSF is down', async () => {
    const said = {
      stderr: 'Failed in an LSF library call: LIM is down; try later. Job not submitted.\n',
      exitCode: 255,
    };
    await expect(answer(said)).rejects.toMatchObject({ name: 'BatchSilence' });
  });

  test('finds its jobs, and knows an empty queue', async () => {
    const stdout = `7765432|PEND|grid-${TOKEN}|New job is waiting for scheduling;\n7765433|RUN|grid-${OTHER}|-\n12|RUN|relax[3]|-\n`;
    commands.say('bjobs', { stdout });
    expect([...(await open().poll(SELF)).jobs]).toEqual([
      [
        `${TOKEN}.1`,
        { id: '7765432', state: 'waits', reason: 'New job is waiting for scheduling;' },
      ],
      [`${OTHER}.1`, { id: '7765433', state: 'runs', reason: '-' }],
    ]);
    commands.say('bjobs', { stderr: 'No unfinished job found\n', exitCode: 255 });
    expect((await open().poll(SELF)).jobs.size).toBe(0);
    commands.say('bjobs', { stderr: 'LSF is down. Please wait ...\n', exitCode: 255 });
    await expect(open().poll(SELF)).rejects.toThrow('LSF is down. Please wait ...');
  });

  test.for<[string, string]>([
    ['TERM_RUNLIMIT: job killed after reaching LSF run time limit', 'walltime'],
    ['TERM_MEMLIMIT: job killed after reaching LSF memory usage limit', 'memory'],
    ['TERM_OWNER: job killed by owner', 'cancelled'],
    ['-', 'ended'],
  ])('says how a job ended: %s', async ([reason, kind]) => {
    commands.say('bjobs', {
      stdout: `7765432|EXIT|grid-${TOKEN}|12.5 second(s)|5412 second(s)|1.5 Gbytes|${reason}\n`,
      stderr: 'Job <7765433> is not found\n',
      exitCode: 255,
    });
    const ends = await open().autopsy([missing(TOKEN, '7765432'), missing(OTHER, '7765433')], SELF);
    const usage = { cpuMs: 12_500, wallMs: 5_412_000, peakMemoryBytes: 1.5 * 2 ** 30 };
    expect([...ends]).toEqual([[`${TOKEN}.1`, { kind, words: `EXIT, ${reason}`, usage }]]);
    const asked = commands.callsOf('bjobs')[0] ?? [];
    expect(asked.slice(-2)).toEqual(['7765432', '7765433']);
  });
});
