import { afterEach, beforeEach, expect, test } from 'vitest';
import { jobId, voName } from '../../core/ids.ts';
import type { JobSpec } from '../../core/job/spec.ts';
import type { GetFlowResponse } from '../../proto/gen/grid/v1/broker.ts';
import { FailureKind, State } from '../../proto/gen/grid/v1/common.ts';
import { specFromWire, stateFromWire } from '../../service/rpc/wire.ts';
import { type BrokerGrid, newJob, openBrokerGrid, until } from '../fakes/broker-grid.ts';
import { type FakeGateway, finishAll } from '../fakes/fake-gateway.ts';

let grid: BrokerGrid;
beforeEach(async () => {
  grid = await openBrokerGrid();
});
afterEach(() => grid[Symbol.asyncDispose]());

const ok = (node: string) => ({ job: jobId(node), when: 'ok' as const });
const any = (node: string) => ({ job: jobId(node), when: 'any' as const });
const node = (name: string, details: Partial<JobSpec> = {}) => ({
  ...newJob({ name, ...details }),
  node: name,
});
const submit = (jobs: ReturnType<typeof node>[], flow = { name: 'study', id: '' }, key = 'k') =>
  grid.as('Alice').submit({ submitKey: key, jobs, flow, s3: [] });
const read = (flowId: string, withDefinitions = false, who = 'Alice'): Promise<GetFlowResponse> =>
  grid.as(who).getFlow({ flowId, withDefinitions });
const statesOf = ({ nodes }: GetFlowResponse) =>
  Object.fromEntries(nodes.map(({ name, job }) => [name, stateFromWire(job?.state ?? 0)]));
const refusal = (call: Promise<unknown>) =>
  call.then(
    () => ({ code: 'none', problems: [] }),
    ({
      code,
      problems = [],
    }: {
      code: string;
      problems?: { where: string; message: string }[];
    }) => ({
      code,
      problems: problems.map(({ where, message }) => `${where} ${message}`),
    }),
  );
/** Finishes what it gets, but for the jobs of these names, which fail. */
const failing =
  (site: FakeGateway, names: readonly string[]): FakeGateway['onPlaced'] =>
  (attemptId, job) => {
    const fails = names.includes(job.spec?.name ?? '');
    const end = fails ? State.STATE_FAILED : State.STATE_DONE;
    const kind = fails ? FailureKind.FAILURE_KIND_JOB : FailureKind.FAILURE_KIND_UNSPECIFIED;
    site.report(attemptId, end, kind);
  };

const diamond = () => [
  node('prep'),
  node('left', { after: [ok('prep')] }),
  node('right', { inputs: [{ from: 'job:prep', to: 'in' }] }),
  node('merge', { after: [ok('left'), ok('right')] }),
  node('clean', { after: [any('merge')] }),
];

test('a flow goes through its jobs in order, is resumed where it failed, and outlives the broker', async () => {
  const site = await grid.site('aachen');
  site.onPlaced = failing(site, ['right']);
  const { flowId, jobIds } = await submit(diamond());
  expect(await submit(diamond())).toEqual({ flowId, jobIds });
  await until(async () => (await read(flowId)).flow?.state === State.STATE_FAILED);
  const failed = await read(flowId, true);
  expect(statesOf(failed)).toEqual({
    prep: 'done',
    left: 'done',
    right: 'failed',
    merge: 'cancelled',
    clean: 'done',
  });
  expect(failed.flow).toMatchObject({ name: 'study', nodes: 5, counts: { done: 3, failed: 1 } });
  expect(failed.nodes[3]?.after.map(({ jobId: name }) => name)).toEqual(['left', 'right']);
  const asked = failed.nodes.map(({ definition }) => specFromWire(definition?.spec).inputs);
  expect(asked[2]).toEqual([{ from: 'job:prep', to: 'in' }]);
  await grid.restart();
  site.onPlaced = finishAll(site);
  const again = [
    node('right', { inputs: [{ from: 'job:prep', to: 'in' }] }),
    node('merge', { after: [ok('left'), ok('right')] }),
    node('clean', { after: [any('merge')] }),
  ];
  expect(await submit(again, { name: '', id: flowId }, 'again')).toMatchObject({ flowId });
  await until(async () => (await read(flowId)).flow?.state === State.STATE_DONE);
  const { nodes, flow } = await read(flowId);
  expect(nodes.map(({ name, jobs }) => [name, jobs])).toEqual([
    ['prep', 1],
    ['left', 1],
    ['right', 2],
    ['merge', 2],
    ['clean', 2],
  ]);
  expect(flow?.endedAtMs).toBeGreaterThan(failed.flow?.endedAtMs ?? 0);
  const { flows } = await grid.as('Alice').listFlows({ everyone: false, limit: 0, pageToken: '' });
  expect(flows.map(({ id }) => id)).toEqual([flowId]);
});

test('a flow that is no flow is refused whole, with every problem', async () => {
  const named = (name: string, after: string[]) => node(name, { after: after.map(ok) });
  expect(await refusal(submit([named('a', ['b']), named('b', ['a'])]))).toEqual({
    code: 'SPEC_INVALID',
    problems: ["jobs[0].after[0] node 'b' does not come before it"],
  });
  expect(await refusal(submit([named('a', ['a']), named('a', ['elsewhere'])]))).toEqual({
    code: 'SPEC_INVALID',
    problems: [
      "jobs[0].after[0] node 'a' does not come before it",
      "jobs[1].after[0] 'elsewhere' is no job id: `grid ls` shows them",
      'jobs two nodes have one name',
    ],
  });
  expect(await refusal(submit([node('a b')]))).toMatchObject({
    problems: ["jobs[0] 'a b' is no name for a node"],
  });
  const range = { kind: 'range', first: 1, last: 10_001, step: 1 } as const;
  const wide = [
    node('wide', { array: range }),
    node('all', { inputs: [{ from: 'job:wide', to: 'in' }] }),
  ];
  expect(await refusal(submit(wide))).toMatchObject({
    problems: ["jobs[1].inputs 'wide' has 10001 tasks: at most 10000 can be inputs"],
  });
  const outside = {
    submitKey: 'k',
    jobs: [named('a', []), named('b', ['a'])],
    flow: undefined,
    s3: [],
  };
  expect(await refusal(grid.as('Alice').submit(outside))).toMatchObject({ code: 'SPEC_INVALID' });
  expect(
    (await grid.as('Alice').listFlows({ everyone: true, limit: 0, pageToken: '' })).flows,
  ).toEqual([]);
});

test('a flow goes on only when it has ended, once at a time, and for its owner', async () => {
  const { flowId } = await submit([node('a'), node('b', { after: [ok('a')] })]);
  const more = (who: string, key: string) =>
    grid
      .as(who)
      .submit({ submitKey: key, jobs: [node('a')], flow: { name: '', id: flowId }, s3: [] });
  expect(await refusal(more('Alice', 'one'))).toMatchObject({ code: 'JOB_EVENT_REFUSED' });
  expect(await refusal(more('Bob', 'one'))).toMatchObject({ code: 'FLOW_NOT_FOUND' });
  expect(await refusal(read(flowId, false, 'Bob'))).toMatchObject({ code: 'PERMISSION_DENIED' });
  expect(await refusal(read(flowId, false, 'Eve'))).toMatchObject({ code: 'FLOW_NOT_FOUND' });
  const { nodes } = await read(flowId);
  const jobIds = nodes.map(({ job }) => job?.id ?? '');
  await grid.as('Alice').cancelJobs({ jobIds, reason: '' });
  const both = await Promise.all([more('Alice', 'two'), refusal(more('Alice', 'three'))]);
  expect(both).toMatchObject([{ flowId }, { code: 'JOB_EVENT_REFUSED' }]);
});

test('a flow of a thousand jobs in a chain runs to its end', async () => {
  const site = await grid.site('aachen');
  site.onPlaced = finishAll(site);
  const jobs = Array.from({ length: 1_000 }, (_, n) =>
    node(`n${n}`, { after: n < 900 ? [] : [ok(`n${n - 900}`), ok(`n${n - 1}`)] }),
  );
  const { flowId, jobIds } = await submit(jobs);
  await until(async () => (await grid.stateOf(jobIds.at(-1) ?? '')) === 'done', 200_000);
  expect((await read(flowId)).flow).toMatchObject({
    state: State.STATE_DONE,
    counts: { done: 1_000 },
  });
  const one = node('other', { vo: voName('demo') });
  expect(await refusal(submit([one], { name: '', id: flowId }, 'more'))).toMatchObject({
    problems: ['jobs 1001 nodes, at most 1000'],
  });
});
