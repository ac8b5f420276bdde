import { describe, expect, test } from 'vitest';
import type { Context } from '../../../cli/context.ts';
import { followJob, persist, waitForJob } from '../../../cli/jobs/follow.ts';
import { showWaiting } from '../../../cli/jobs/wait-progress.ts';
import { GridError } from '../../../core/errors.ts';
import type { BrokerService, JobEvent } from '../../../proto/gen/grid/v1/broker.ts';
import { State } from '../../../proto/gen/grid/v1/common.ts';
import type { RpcClient } from '../../../service/rpc/rpc.ts';

const event = (seq: number, state: State): JobEvent => ({
  seq,
  atMs: 0,
  jobId: 'j1',
  ordinal: 0,
  attemptId: '',
  kind: 'x',
  state,
  site: '',
  reason: '',
  detail: '',
});
const AWAY = new GridError('UNAVAILABLE', 'broker is away');
const { STATE_QUEUED, STATE_RUNNING, STATE_DONE } = State;

/** A broker that plays one scene per stream: events, then an error or a normal end; `states` answers getJob. */
function brokerPlaying(
  scenes: readonly (readonly (JobEvent | GridError)[])[],
  states: readonly (State | GridError)[],
) {
  const asked: number[] = [];
  let scene = 0;
  let state = 0;
  const watchJob = async function* ({ afterSeq }: { afterSeq: number }) {
    asked.push(afterSeq);
    const played = scenes[scene] ?? [];
    scene += 1;
    for (const item of played) {
      if (item instanceof GridError) throw item;
      yield item;
    }
  };
  const getJob = async () => {
    const answer = states[Math.min(state, states.length - 1)] ?? STATE_DONE;
    state += 1;
    if (answer instanceof GridError) throw answer;
    const summary = { id: 'j1', state: answer, reason: '', detail: '', tasks: 1, sites: [] };
    return { summary, tasks: [] };
  };
  return { broker: { watchJob, getJob } as unknown as RpcClient<BrokerService>, asked };
}

async function follow(broker: RpcClient<BrokerService>) {
  const away: boolean[] = [];
  const seqs: number[] = [];
  const { signal } = new AbortController();
  const events = followJob({ broker, jobId: 'j1', signal, onAway: (is) => away.push(is) });
  for await (const { seq } of events) seqs.push(seq);
  return { seqs, away };
}

test('who waits at a terminal hears of each new state of the job', async () => {
  const states = [STATE_QUEUED, STATE_RUNNING, STATE_RUNNING, STATE_DONE];
  const { broker } = brokerPlaying([], states);
  const notes: string[] = [];
  const terminal = { showsProgress: true, note: (text: string) => notes.push(text) };
  const options = { broker, jobId: 'j1', signal: new AbortController().signal };
  await showWaiting({ terminal } as unknown as Context, options, 1);
  expect(notes).toEqual(['j1 is queued', 'j1 is running']);
  await showWaiting(
    { terminal: { ...terminal, showsProgress: false } } as unknown as Context,
    options,
    1,
  );
  expect(notes).toHaveLength(2);
});

describe('following a job', () => {
  test('ends when the job has ended', async () => {
    const { broker, asked } = brokerPlaying(
      [[event(1, STATE_QUEUED), event(2, STATE_DONE)]],
      [STATE_DONE],
    );
    expect(await follow(broker)).toEqual({ seqs: [1, 2], away: [] });
    expect(asked).toEqual([0]);
  });

  test('goes on after the broker was away, from the last event, each event once', async () => {
    const { broker, asked } = brokerPlaying(
      [
        [event(1, STATE_QUEUED), AWAY],
        [AWAY],
        [event(1, STATE_QUEUED), event(2, STATE_RUNNING), event(3, STATE_DONE)],
      ],
      [STATE_DONE],
    );
    expect(await follow(broker)).toEqual({ seqs: [1, 2, 3], away: [true, false] });
    expect(asked).toEqual([0, 1, 1]);
  });

  test('does not take the end of a stopping broker for the end of the job', async () => {
    const { broker, asked } = brokerPlaying(
      [[event(1, STATE_QUEUED)], [event(2, STATE_DONE)]],
      [STATE_RUNNING, STATE_DONE],
    );
    expect((await follow(broker)).seqs).toEqual([1, 2]);
    expect(asked).toEqual([0, 1]);
  });

  test('fails at once when the broker was never there, or refuses', async () => {
    await expect(follow(brokerPlaying([[AWAY]], []).broker)).rejects.toBe(AWAY);
    const refused = new GridError('JOB_NOT_FOUND', "there is no job 'j1'");
    await expect(
      follow(brokerPlaying([[event(1, STATE_QUEUED), refused]], []).broker),
    ).rejects.toBe(refused);
  });

  test('waiting answers with what the job came to', async () => {
    const { broker } = brokerPlaying([[event(1, STATE_DONE)]], [STATE_DONE]);
    const job = await waitForJob({ broker, jobId: 'j1', signal: new AbortController().signal });
    expect(job.state).toBe('done');
  });
});

test('an abort ends the wait for a broker that is away', async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const onAway = (): void => {
    setImmediate(() => controller.abort());
  };
  const steps = persist<number>({ signal, onAway }, async function* (alive) {
    alive();
    yield 1;
    throw AWAY;
  });
  await steps.next();
  await expect(steps.next()).rejects.toThrow('aborted');
});
