import { describe, expect, test } from 'vitest';
import { parseCrowd, waitFor } from '../../../site-gateway/lrms/gridengine/expected-wait.ts';
import { parseQstat } from '../../../site-gateway/lrms/gridengine/qstat.ts';
import { qstatXml } from './captured.ts';

const held = (slots: number, forMs: number) => ({ slots, forMs });

describe('how long a task waits', () => {
  test.for([
    ['not at all on what is free', 2, [held(2, 9_000)], [], 0],
    ['until the first that is long enough gives its slots', 2, [held(1, 5), held(3, 7)], [], 7],
    ['behind those that wait', 1, [held(4, 100)], [held(4, 50)], 150],
    ['beside those that wait, where there is room', 1, [held(4, 100)], [held(3, 50)], 100],
    ['not behind one that is larger than all', 1, [held(4, 100)], [held(5, 50)], 100],
    ['as long as the first of many', 4, [held(2, 10), held(2, 30)], [held(2, 100)], 110],
  ] as const)('%s', ([, slots, running, waiting, expected]) => {
    expect(waitFor(slots, 4, { running, waiting })).toBe(expected);
  });

  test.for([
    ['one that runs has no end', [held(3, Infinity)], []],
    ['one that waits has no end', [held(4, 1)], [held(4, Infinity)]],
    ['the task is larger than all', [], []],
    ['more wait than can be looked at', [], Array.from({ length: 6_000 }, () => held(1, 1))],
  ] as const)('nothing is said where %s', ([, running, waiting]) => {
    const slots = running.length + waiting.length === 0 ? 5 : 2;
    expect(waitFor(slots, 4, { running, waiting })).toBeUndefined();
  });
});

/** As Son of Grid Engine 8.1.9 writes it. */
const CROWD = `<?xml version='1.0'?>
<job_info  xmlns:xsd="http://arc.liv.ac.uk/repos/darcs/sge/source/dist/util/resources/schemas/qstat/qstat.xsd">
  <queue_info>
    <job_list state="running">
      <JB_job_number>1</JB_job_number>
      <JB_name>sleep</JB_name>
      <state>r</state>
      <JAT_start_time>2026-11-29T04:00:00</JAT_start_time>
      <queue_name>main.q@n1</queue_name>
      <slots>4</slots>
      <hard_request name="h_rt" resource_contribution="0.000000">300</hard_request>
    </job_list>
    <job_list state="running">
      <JB_job_number>5</JB_job_number>
      <JB_name>sleep</JB_name>
      <state>r</state>
      <JAT_start_time>2026-11-29T03:59:00</JAT_start_time>
      <queue_name>main.q@n1</queue_name>
      <slots>1</slots>
    </job_list>
    <job_list state="running">
      <JB_job_number>6</JB_job_number>
      <JB_name>sleep</JB_name>
      <state>r</state>
      <JAT_start_time>2026-11-29T03:59:00</JAT_start_time>
      <queue_name>others.q@n1</queue_name>
      <slots>8</slots>
    </job_list>
  </queue_info>
  <job_info>
    <job_list state="pending">
      <JB_job_number>3</JB_job_number>
      <state>qw</state>
      <slots>2</slots>
      <tasks>1-3:1</tasks>
      <hard_request name="h_rt" resource_contribution="0.000000">600</hard_request>
    </job_list>
    <job_list state="pending">
      <JB_job_number>4</JB_job_number>
      <state>hqw</state>
      <slots>1</slots>
    </job_list>
    <job_list state="pending">
      <JB_job_number>7</JB_job_number>
      <state>qw</state>
      <slots>1</slots>
      <hard_req_queue>others.q</hard_req_queue>
    </job_list>
    <job_list state="pending">
      <JB_job_number>8</JB_job_number>
      <state>qw</state>
      <slots>1</slots>
      <hard_req_queue>main.q@n1</hard_req_queue>
    </job_list>
  </job_info>
</job_info>`;

test('who runs in the queues of the site, and who may come there, is read from qstat', () => {
  const { instances } = parseQstat(qstatXml([{ limit: '01:00:00' }]));
  const layout = { queues: [{ name: 'main.q', environments: [], isBatch: true }] };
  const nowMs = Date.parse('2026-11-29T04:01:00Z');
  expect(parseCrowd(CROWD, { instances, layout, nowMs })).toEqual({
    // By what it asked for, and by the limit of its queue.
    running: [held(4, 240_000), held(1, 3_480_000)],
    waiting: [...Array.from({ length: 3 }, () => held(2, 600_000)), held(1, 3_600_000)],
  });
});

test('arrays of others take no more memory than tells that nothing can be said', () => {
  const many = CROWD.replaceAll('<tasks>1-3:1</tasks>', '<tasks>1-4000:1,4001-4000000000</tasks>');
  const around = { instances: [], layout: { queues: [] }, nowMs: 0 };
  expect(parseCrowd(many, around).waiting).toHaveLength(5_001);
});
