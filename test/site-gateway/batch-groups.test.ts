import { expect, test } from 'vitest';
import { attemptId } from '../../core/ids.ts';
import { groupsOf, newBatchTask } from '../../site-gateway/lrms/batch/batch-task.ts';
import { openJobOwners } from '../../site-gateway/lrms/batch/job-owners.ts';
import type { LrmsTask } from '../../site-gateway/lrms/lrms.ts';

const ALICE = { name: 'alice', uid: 1_001, gid: 1_001 };
const BOB = { name: 'bob', uid: 1_002, gid: 1_002 };

const taskOf = (id: string, part: Partial<LrmsTask>) =>
  newBatchTask({
    id: attemptId(id),
    directory: `/spool/attempts/${id}`,
    command: ['true'],
    env: {},
    stdin: '/dev/null',
    nodes: 1,
    gpus: 0,
    cpus: 1,
    memoryBytes: 2 ** 20,
    walltimeMs: 0,
    sandbox: 'account',
    network: 'any',
    ...part,
  });
const idsOf = (...tasks: readonly ReturnType<typeof taskOf>[]) =>
  groupsOf(tasks, 3).map((group) => group.map(({ task }) => task.id));

test('equal tasks of one account are one submission, those of two accounts never', () => {
  const groups = idsOf(
    taskOf('a1', { account: ALICE }),
    taskOf('b1', { account: BOB }),
    taskOf('a2', { account: ALICE }),
    taskOf('own', {}),
    taskOf('a3', { account: ALICE, cpus: 2 }),
    taskOf('b2', { account: BOB }),
  );
  expect(groups).toEqual([['a1', 'a2'], ['b1', 'b2'], ['own'], ['a3']]);
});

test('a job belongs to a submission only where its owner submitted it', () => {
  const known = new Map([
    ['ofAlice', { account: ALICE }],
    ['ofGateway', { account: undefined }],
  ]);
  const owners = openJobOwners({ accounts: [BOB], known });
  const uid = process.getuid?.() ?? 0;
  expect(owners.all().map((owner) => owner.uid)).toEqual([uid, BOB.uid, ALICE.uid]);
  expect(owners.isOwn('ofAlice', { uid: ALICE.uid })).toBe(true);
  expect(owners.isOwn('ofAlice', { name: 'alice' })).toBe(true);
  expect(owners.isOwn('ofAlice', { uid: BOB.uid })).toBe(false);
  expect(owners.isOwn('ofAlice', { name: 'bob' })).toBe(false);
  expect(owners.isOwn('ofGateway', { uid: ALICE.uid })).toBe(false);
  expect(owners.isOwn('ofGateway', { uid })).toBe(true);
  expect(owners.isOwn('ofNobody', { uid: BOB.uid })).toBe(true);
});
