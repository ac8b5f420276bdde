import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { palette } from '../../cli/palette.ts';
import { sharesText } from '../../cli/shares.ts';
import type { Share } from '../../proto/gen/grid/v1/broker.ts';
import { State } from '../../proto/gen/grid/v1/common.ts';
import { type BrokerGrid, newJob, openBrokerGrid, until } from '../fakes/broker-grid.ts';
import { finishAll } from '../fakes/fake-gateway.ts';

let grid: BrokerGrid;
beforeEach(async () => {
  grid = await openBrokerGrid();
});
afterEach(() => grid[Symbol.asyncDispose]());

interface Refusal {
  readonly code: string;
  readonly message: string;
}
const refusalOf = (call: Promise<unknown>): Promise<Refusal> =>
  call.then(
    () => ({ code: 'no error', message: '' }),
    ({ code, message }: Refusal) => ({ code, message }),
  );
const nameOf = (person: string): string => `/DC=org/DC=test/CN=${person}`;
const most = (cap: number) => ({ none: false, most: cap });
const none = { none: true, most: 0 };
const sharesFor = async (person: string): Promise<readonly Share[]> =>
  (await grid.as(person).listShares({ vo: '' })).shares;
const shareOf = async (node: string): Promise<Share | undefined> =>
  (await sharesFor('Root')).find((share) => share.node === node);
const submitAs = (person: string, tasks: number, group?: string) =>
  grid.as(person).submit({
    submitKey: crypto.randomUUID(),
    flow: undefined,
    s3: [],
    jobs: [
      newJob({
        array: { kind: 'range', first: 1, last: tasks, step: 1 },
        ...(group === undefined ? {} : { group }),
      }),
    ],
  });

describe('weights and quotas', () => {
  test.each([
    ['Root', '/demo', 'no error'],
    ['Root', '/demo/imaging', 'no error'],
    ['Mary', '/demo/imaging', 'no error'],
    ['Mary', '/demo/', 'no error'],
    ['Mary', `/demo:${nameOf('Alice')}`, 'no error'],
    ['Mary', '/demo', 'PERMISSION_DENIED'],
    ['Mary', '/other/x', 'PERMISSION_DENIED'],
    ['Otto', '/demo/imaging', 'PERMISSION_DENIED'],
    ['Alice', `/demo:${nameOf('Alice')}`, 'PERMISSION_DENIED'],
    ['Eve', '/demo', 'PERMISSION_DENIED'],
    ['Root', '/other', 'VO_NOT_FOUND'],
    ['Otto', '/other/x', 'VO_NOT_FOUND'],
    ['Root', 'demo', 'REQUEST_INVALID'],
    ['Root', '/demo/Role=manager', 'REQUEST_INVALID'],
  ])('%s sets those of %s: %s', async (person, node, code) => {
    const weight = grid.as(person).setShare({ node, weight: 2 });
    expect((await refusalOf(weight)).code).toBe(code);
    const change = { node, runningCpus: most(5), queuedTasks: undefined };
    expect((await refusalOf(grid.as(person).setQuota(change))).code).toBe(code);
  });

  test.each([0, -1, Number.NaN, 1e308])('a weight of %d is refused', async (weight) => {
    const refusal = await refusalOf(grid.as('Root').setShare({ node: '/demo', weight }));
    expect(refusal.code).toBe('REQUEST_INVALID');
    expect(refusal.message).toContain(`${weight} is out of range: a number from 0.001`);
  });

  test('a quota below nothing, or of nothing, is refused', async () => {
    const root = grid.as('Root');
    const negative = { node: '/demo', runningCpus: undefined, queuedTasks: most(-1) };
    expect(await refusalOf(root.setQuota(negative))).toMatchObject({
      code: 'REQUEST_INVALID',
      message: expect.stringContaining('-1 queued tasks is out of range'),
    });
    const empty = { node: '/demo', runningCpus: undefined, queuedTasks: undefined };
    expect((await refusalOf(root.setQuota(empty))).code).toBe('REQUEST_INVALID');
  });

  test('are known after a restart, and what was not named stays', async () => {
    const mary = grid.as('Mary');
    await mary.setShare({ node: '/demo/imaging', weight: 2.5 });
    await mary.setQuota({ node: '/demo/imaging', runningCpus: most(8), queuedTasks: most(9) });
    await mary.setQuota({ node: '/demo/imaging', runningCpus: none, queuedTasks: undefined });
    await grid.restart();
    const share = await shareOf('/demo/imaging');
    expect(share).toMatchObject({ weight: 2.5, targetPart: 1, maxQueuedTasks: 9 });
    expect(share?.maxRunningCpus).toBeUndefined();
  });
});

describe('the queue of a VO, a group and a person', () => {
  test('takes what its quota has room for, and says whose quota it is', async () => {
    await grid.as('Mary').setQuota({
      node: `/demo:${nameOf('Alice')}`,
      runningCpus: undefined,
      queuedTasks: most(100),
    });
    await submitAs('Alice', 60);
    expect(await refusalOf(submitAs('Alice', 41))).toEqual({
      code: 'QUOTA_EXCEEDED',
      message: `/demo:${nameOf('Alice')} may have 100 tasks queued: it has 60, and 41 more are wanted`,
    });
    await submitAs('Alice', 40);
    await submitAs('Bob', 1_000);
  });

  test('holds no more when everybody submits at the same time', async () => {
    const quota = { node: '/demo', runningCpus: undefined, queuedTasks: most(10) };
    await grid.as('Root').setQuota(quota);
    const people = ['Alice', 'Bob', 'Grace', 'Mary'];
    const all = people.flatMap((person) => [1, 2, 3].map(() => refusalOf(submitAs(person, 3))));
    const codes = (await Promise.all(all)).map(({ code }) => code);
    expect(codes.filter((code) => code === 'no error')).toHaveLength(3);
    expect(codes.filter((code) => code === 'QUOTA_EXCEEDED')).toHaveLength(9);
    expect(await shareOf('/demo')).toMatchObject({ queuedTasks: 9 });
  });

  test('counts a batch as a whole', async () => {
    const quota = { node: '/demo', runningCpus: undefined, queuedTasks: most(1) };
    await grid.as('Root').setQuota(quota);
    const jobs = [newJob(), newJob()];
    const batch = grid.as('Alice').submit({ submitKey: 'k', jobs, flow: undefined, s3: [] });
    expect((await refusalOf(batch)).code).toBe('QUOTA_EXCEEDED');
    expect(await shareOf('/demo')).toMatchObject({ queuedTasks: 0 });
  });

  test('has room again when tasks have been placed or cancelled', async () => {
    const quota = { node: '/demo', runningCpus: undefined, queuedTasks: most(4) };
    await grid.as('Root').setQuota(quota);
    const { jobIds } = await submitAs('Alice', 4);
    await grid.as('Alice').cancelJobs({ jobIds, reason: '' });
    await submitAs('Alice', 4);
    await grid.site('aachen', { totalCpus: 3, freeCpus: 3 });
    await until(async () => (await shareOf('/demo'))?.queuedTasks === 1);
    expect(await shareOf('/demo')).toMatchObject({ runningCpus: 3 });
    await submitAs('Alice', 3);
  });
});

test('no more cpus run than the cap of any node lets, and the others have the rest', async () => {
  await grid.as('Root').setQuota({ node: '/demo', runningCpus: most(5), queuedTasks: undefined });
  const alice = { node: `/demo:${nameOf('Alice')}`, runningCpus: most(2), queuedTasks: undefined };
  await grid.as('Mary').setQuota(alice);
  await submitAs('Alice', 10);
  await submitAs('Bob', 10);
  await grid.site('aachen', { totalCpus: 8, freeCpus: 8 });
  await until(async () => (await shareOf('/demo'))?.runningCpus === 5);
  expect(await shareOf(alice.node)).toMatchObject({ runningCpus: 2, queuedTasks: 8 });
  expect(await shareOf('/demo')).toMatchObject({ runningCpus: 5, queuedTasks: 15 });
  await grid.as('Mary').setQuota({ ...alice, runningCpus: none });
  await grid.as('Root').setQuota({ node: '/demo', runningCpus: most(8), queuedTasks: undefined });
  await until(async () => (await shareOf('/demo'))?.runningCpus === 8);
});

describe('a group', () => {
  test('is charged where the job names it, else that of the first FQAN', async () => {
    await submitAs('Grace', 2);
    await submitAs('Grace', 3, '/demo/genomics');
    await submitAs('Grace', 4, '/demo');
    const queued = (await sharesFor('Grace')).map(({ node, queuedTasks }) => [node, queuedTasks]);
    const grace = nameOf('Grace');
    expect(queued).toEqual([
      ['/demo', 9],
      ['/demo/', 4],
      [`/demo:${grace}`, 4],
      ['/demo/genomics', 3],
      [`/demo/genomics:${grace}`, 3],
      ['/demo/imaging', 2],
      [`/demo/imaging:${grace}`, 2],
    ]);
  });

  test.each([
    ['/demo/imaging', 'VO_DENIED'],
    ['/other/imaging', 'SPEC_INVALID'],
    ['imaging', 'SPEC_INVALID'],
  ])('that is not theirs is nobody’s to charge: %s is %s', async (group, code) => {
    expect((await refusalOf(submitAs('Alice', 1, group))).code).toBe(code);
  });

  test('is in the spec as it was asked for', async () => {
    const { jobIds } = await submitAs('Grace', 1, '/demo/genomics');
    const whole = { jobId: jobIds[0] ?? '', summaryOnly: true, firstTask: 0, maxTasks: 0 };
    expect((await grid.as('Grace').getJob(whole)).spec).toMatchObject({ group: '/demo/genomics' });
  });
});

describe('the tree of shares', () => {
  test('shows members their VO, and others no more than that it is there', async () => {
    await submitAs('Alice', 5);
    const nodes = async (person: string) => (await sharesFor(person)).map(({ node }) => node);
    const whole = ['/demo', '/demo/', `/demo:${nameOf('Alice')}`];
    expect(await nodes('Bob')).toEqual(whole);
    expect(await nodes('Root')).toEqual(whole);
    expect(await nodes('Otto')).toEqual(['/demo']);
    expect((await refusalOf(sharesFor('Eve'))).code).toBe('VO_DENIED');
    const wanted = (person: string, vo: string) => refusalOf(grid.as(person).listShares({ vo }));
    expect((await wanted('Otto', 'demo')).code).toBe('VO_DENIED');
    expect((await wanted('Otto', 'other')).code).toBe('VO_NOT_FOUND');
    expect((await wanted('Alice', 'demo')).code).toBe('no error');
  });

  test('knows what has run, also after a restart', async () => {
    const site = await grid.site('aachen');
    site.onPlaced = finishAll(site);
    const id = await grid.submit();
    await until(async () => (await grid.stateOf(id)) === 'done');
    site.onPlaced = () => undefined;
    const long = await grid.submit();
    await until(() => site.placed.some(({ attempt }) => attempt.attemptId.startsWith(long)));
    site.report(`${long}.0.1`, State.STATE_RUNNING);
    await until(async () => (await grid.stateOf(long)) === 'running');
    const before = await shareOf(`/demo:${nameOf('Alice')}`);
    expect(before).toMatchObject({ runningCpus: 1, queuedTasks: 0, usedPart: 1 });
    await grid.restart();
    const after = await shareOf(`/demo:${nameOf('Alice')}`);
    expect(after).toMatchObject({ runningCpus: 1, queuedTasks: 0 });
    expect(after?.usage ?? 0).toBeGreaterThanOrEqual(before?.usage ?? 1);
  });

  test('is readable', async () => {
    await grid.as('Mary').setShare({ node: '/demo/imaging', weight: 3 });
    await grid.as('Mary').setQuota({ node: '/demo/', runningCpus: most(8), queuedTasks: most(99) });
    await submitAs('Alice', 12);
    const text = sharesText(
      { shares: [...(await sharesFor('Alice'))] },
      nameOf('Alice'),
      palette(false),
    );
    expect(text.split('\n')).toEqual([
      'NODE                                WEIGHT  TARGET   USED   CPU HOURS  RUNNING CPUS  QUEUED',
      '/demo                               1       100.0 %  0.0 %  0.0        0             12',
      '  /demo/ (no group)                 1       25.0 %   0.0 %  0.0        0 of 8        12 of 99',
      '    /DC=org/DC=test/CN=Alice (you)  1       100.0 %  0.0 %  0.0        0             12',
      '  /demo/imaging                     3       75.0 %   0.0 %  0.0        0             0',
    ]);
  });
});
