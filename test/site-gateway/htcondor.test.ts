import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BatchOrder, BatchSystem } from '../../site-gateway/lrms/batch/batch-system.ts';
import { openHTCondor } from '../../site-gateway/lrms/htcondor/htcondor.ts';
import { SELF } from '../fakes/job-owners.ts';
import { openSaidCommands, type Said, type SaidCommands } from '../fakes/said-commands.ts';

/** What HTCondor 23.9.6 said; scripts/test-htcondor.sh runs against the real one. */
const TOKEN = '00112233aabbccdd';
const QUEUE = `[
{
  "ClusterId": 7,
  "GridToken": "${TOKEN}",
  "JobStatus": 2,
  "LastRejMatchReason": "no match found ",
  "ProcId": 0,
  "RequestCpus": 1,
  "RequestMemory": 64
}
,
{
  "ClusterId": 7,
  "GridToken": "${TOKEN}",
  "JobStatus": 1,
  "LastRejMatchReason": "no match found ",
  "ProcId": 1,
  "RequestCpus": 1,
  "RequestMemory": 64
}
]
`;
const SLOT = { Cpus: 0, Gpus: 0, Memory: 1_744, SlotType: 'Partitionable', State: 'Unclaimed' };
const SLOTS = JSON.stringify([
  { ...SLOT, Name: 'slot1@a', TotalSlotCpus: 2, TotalSlotGPUs: 0, TotalSlotMemory: 2_000 },
  { ...SLOT, Name: 'slot1@b', TotalSlotCpus: 8, TotalSlotMemory: 9_000, State: 'Owner', Cpus: 8 },
  {
    ...SLOT,
    Name: 's@c',
    TotalSlotCpus: 1,
    TotalSlotMemory: 500,
    SlotType: 'Static',
    State: 'Claimed',
    Cpus: 1,
    Memory: 500,
  },
]);

let commands: SaidCommands;
let dir: string;
beforeEach(() => {
  commands = openSaidCommands();
  dir = mkdtempSync(join(tmpdir(), 'hanse-condor-'));
  commands.say('condor_q', { stdout: QUEUE });
  commands.say('condor_status', { stdout: SLOTS });
});
afterEach(() => {
  commands[Symbol.dispose]();
  rmSync(dir, { recursive: true });
});

const open = (): BatchSystem =>
  openHTCondor({
    config: '',
    path: commands.bin,
    slots: 'Arch == "X86_64"',
    accountingGroup: 'phys',
    patienceMs: 600_000,
    lines: ['+Site = 1'],
    user: 'hanse',
  });
const order = (): BatchOrder => ({
  token: TOKEN,
  directory: dir,
  script: '/srv/hanse/batch-script',
  count: 3,
  comment: 'grid attempt a1 and 2 more',
  needs: { cpus: 4, memoryBytes: 2 ** 31, gpus: 2, nodes: 1, walltimeMs: 90_000 },
});

describe('submitting to HTCondor', () => {
  test('gives it a file with a queue of as many as there are tasks, and nothing of their text', async () => {
    commands.say('condor_submit', { stdout: '7.0 - 7.2\n' });
    const answer = await open().submit(order());
    expect(answer.kind === 'submitted' && answer.jobOf(3)).toBe('7.2');
    expect(commands.callsOf('condor_submit')).toEqual([['-terse', join(dir, 'submit')]]);
    const lines = readFileSync(join(dir, 'submit'), 'utf8').split('\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        'executable = /srv/hanse/batch-script',
        `arguments = "${dir} $INT(element)"`,
        'request_cpus = 4',
        'request_memory = 2048',
        'request_gpus = 2',
        'job_lease_duration = 600',
        'allowed_job_duration = 150',
        'accounting_group = phys',
        'requirements = (Arch == "X86_64")',
        `My.GridToken = "${TOKEN}"`,
        '+Site = 1',
        'queue 3',
      ]),
    );
    expect(lines.at(-2)).toBe('queue 3');
    expect(lines.join('\n')).not.toContain('attempt');
  });

  test.for<[string, Said, object]>([
    [
      'a bad expression',
      { stderr: 'ERROR: Parse error in expression: \n\tRequirements = ((\n\t\n', exitCode: 1 },
      { kind: 'refused', words: 'Parse error in expression:; Requirements = ((' },
    ],
    [
      'a limit of the schedd',
      {
        stderr: '\nERROR: Number of submitted jobs would exceed MAX_JOBS_SUBMITTED\n',
        exitCode: 1,
      },
      { kind: 'full' },
    ],
  ])('tells %s', async ([, said, expected]) => {
    commands.say('condor_submit', said);
    expect(await open().submit(order())).toMatchObject(expected);
  });

  test.for<[string, Said]>([
    [
      'a schedd that is away',
      {
        stderr:
          '\nERROR: Failed to connect to local queue manager\nCEDAR:6001:Failed to connect to <127.0.0.1:9618>\n',
        exitCode: 1,
      },
    ],
    ['a word that is no id', { stdout: 'Submitting job(s)..\n' }],
    ['no word', { exitCode: 1 }],
  ])('takes for silence %s', async ([, said]) => {
    commands.say('condor_submit', said);
    await expect(open().submit(order())).rejects.toMatchObject({ name: 'BatchSilence' });
  });
});

test.for<[string, string]>([
  [SLOTS, ''],
  ['', 'its pool shows no slot for the grid'],
  [
    JSON.stringify([
      { ...SLOT, Name: 'a', TotalSlotCpus: 2, TotalSlotMemory: 9, State: 'Owner' },
      { ...SLOT, Name: 'b', TotalSlotCpus: 2, TotalSlotMemory: 9, State: 'Drained' },
    ]),
    'a is Owner, b is Drained',
  ],
])('a pool with no slot that is up is closed: %#', async ([stdout, words]) => {
  commands.say('condor_status', { stdout });
  expect((await open().poll(SELF)).closedReason).toBe(words);
});

describe('the queue of HTCondor', () => {
  test('says which tasks wait and run, and what the pool has', async () => {
    const { jobs, capacity } = await open().poll(SELF);
    expect([...jobs]).toEqual([
      [`${TOKEN}.1`, { id: '7.0', state: 'runs', reason: 'no match found' }],
      [`${TOKEN}.2`, { id: '7.1', state: 'waits', reason: 'no match found' }],
    ]);
    expect(capacity).toMatchObject({
      cpus: 3,
      usableCpus: 1,
      maxNodes: 1,
      memoryBytes: 2_500 * 2 ** 20,
    });
    const slot = { nodes: 1, gpus: 0, gpuModels: [], freeCpus: 0 };
    expect(capacity.queues.map(({ kinds }) => kinds)).toEqual([
      [
        { ...slot, cpus: 2, memoryBytes: 2_000 * 2 ** 20 },
        { ...slot, cpus: 1, memoryBytes: 500 * 2 ** 20 },
      ],
    ]);
    expect(commands.callsOf('condor_status')[0]?.at(-1)).toBe(
      'SlotType =!= "Dynamic" && (Arch == "X86_64")',
    );
    expect(commands.callsOf('condor_q')[0]?.at(-1)).toBe(
      'Owner == "hanse" && GridToken =!= undefined',
    );
  });

  test.for<[string, Said]>([
    ['is cut short', { stdout: QUEUE.slice(0, 200) }],
    ['is something else', { stdout: '<h1>502 Bad Gateway</h1>\n' }],
    ['is of another release', { stdout: '[{"ClusterId": "7", "ProcId": 0}]' }],
    ['is not told', { stderr: 'Error: unknown host nobody\n', exitCode: 1 }],
  ])('that %s is no answer', async ([, said]) => {
    commands.say('condor_q', said);
    await expect(open().poll(SELF)).rejects.toMatchObject({ name: 'BatchSilence' });
  });

  test('of which there is nothing is empty', async () => {
    commands.say('condor_q', { stdout: '\n' });
    expect((await open().poll(SELF)).jobs.size).toBe(0);
  });
});

test.for<[string, object, object]>([
  [
    'ended',
    { JobStatus: 4 },
    { kind: 'ended', usage: { cpuMs: 1_500, wallMs: 2_000, peakMemoryBytes: 0 } },
  ],
  [
    'removed',
    { JobStatus: 3, RemoveReason: 'via condor_rm (by user root)' },
    { kind: 'cancelled', words: 'via condor_rm (by user root)' },
  ],
  [
    'over its memory',
    {
      JobStatus: 3,
      HoldReasonCode: 34,
      HoldReason: 'Job has gone over cgroup memory limit of 64 megabytes.',
    },
    { kind: 'memory' },
  ],
  [
    'ended after HTCondor had seen its memory',
    { JobStatus: 4, ResidentSetSize_RAW: 61_440 },
    { kind: 'ended', usage: { peakMemoryBytes: 60 * 2 ** 20 } },
  ],
  ['over its time', { JobStatus: 3, LastHoldReasonCode: 46 }, { kind: 'walltime' }],
  ['held, then removed', { JobStatus: 3, LastHoldReasonCode: 1 }, { kind: 'cancelled' }],
  ['not to be started', { JobStatus: 3, HoldReasonCode: 6 }, { kind: 'not-begun' }],
  ['started again', { JobStatus: 4, NumJobStarts: 2 }, { kind: 'requeued' }],
  [
    'started again without its node',
    { JobStatus: 4, NumJobStarts: 2, JobDisconnectedDate: 1_795_962_560 },
    { kind: 'node-failed' },
  ],
])('HTCondor’s history says what became of a job: %s', async ([, part, expected]) => {
  const ad = {
    ClusterId: 7,
    ProcId: 1,
    GridToken: TOKEN,
    RemoteUserCpu: 1.25,
    RemoteSysCpu: 0.25,
    RemoteWallClockTime: 2,
    MemoryUsage: '/Expr(((ResidentSetSize + 1023) / 1024))/',
    ...part,
  };
  commands.say('condor_history', { stdout: `${JSON.stringify([ad, { ...ad, ProcId: 5 }])}\n` });
  const ends = await open().autopsy([{ token: TOKEN, index: 2, job: '7.1' }], SELF);
  expect([...ends.keys()]).toEqual([`${TOKEN}.2`]);
  expect(ends.get(`${TOKEN}.2`)).toMatchObject(expected);
});

test.for<[string, object, string, object | undefined]>([
  ['waits', { JobStatus: 1 }, 'waits', undefined],
  ['is held', { JobStatus: 5, HoldReasonCode: 1, HoldReason: 'ask Ada' }, 'waits', undefined],
  ['runs again', { JobStatus: 2, NumJobStarts: 2 }, 'runs', undefined],
  ['is suspended', { JobStatus: 7, NumJobStarts: 1 }, 'suspended', undefined],
  [
    'lost its node',
    { JobStatus: 1, NumJobStarts: 1, JobDisconnectedDate: 1_795_962_560 },
    'stuck',
    { kind: 'node-failed', words: '' },
  ],
  [
    'was held while it ran',
    { JobStatus: 5, NumJobStarts: 1, HoldReasonCode: 1, HoldReason: 'ask Ada' },
    'stuck',
    { kind: 'requeued', words: 'held: ask Ada' },
  ],
  [
    'is over its memory',
    { JobStatus: 5, NumJobStarts: 1, HoldReasonCode: 34, HoldReason: 'over 64 megabytes' },
    'stuck',
    { kind: 'memory', words: 'over 64 megabytes' },
  ],
  [
    'could not be started',
    { JobStatus: 5, HoldReasonCode: 6, HoldReason: 'Failed to execute' },
    'stuck',
    { kind: 'not-begun', words: 'Failed to execute' },
  ],
])('a job in the queue that %s', async ([, part, state, end]) => {
  const ad = { ClusterId: 7, ProcId: 0, GridToken: TOKEN, ...part };
  commands.say('condor_q', { stdout: JSON.stringify([ad]) });
  commands.say('condor_history', {});
  const system = open();
  const { jobs } = await system.poll(SELF);
  expect(jobs.get(`${TOKEN}.1`)?.state).toBe(state);
  const ends = await system.autopsy([{ token: TOKEN, index: 1, job: '7.0' }], SELF);
  expect(ends.get(`${TOKEN}.1`)).toEqual(end && { ...end, isListed: true });
});

test('how a job ended is not told by one that another account made to look like it', async () => {
  commands.say('condor_history', { stdout: '[\n]\n' });
  await open().autopsy([{ token: TOKEN, index: 2, job: '7.1' }], SELF);
  const call = commands.callsOf('condor_history').at(-1);
  expect(call?.at(-1)).toContain('Owner == "hanse" && ');
  // Nor does it take longer the more jobs have ended before.
  expect(call).toEqual(expect.arrayContaining(['-match', '1', '-scanlimit', '100000']));
});

test('HTCondor’s jobs are removed, and one that ended meanwhile is no error', async () => {
  commands.say('condor_rm', { stderr: '\nJob 999.0 not found\n', exitCode: 1 });
  await open().signal(['999.0', '7.0'], 'TERM');
  expect(commands.callsOf('condor_rm')).toEqual([['999.0', '7.0']]);
  commands.say('condor_rm', { stderr: "ERROR: Can't connect to local schedd\n", exitCode: 1 });
  await expect(open().signal(['7.0'], 'TERM')).rejects.toMatchObject({ name: 'BatchSilence' });
});
