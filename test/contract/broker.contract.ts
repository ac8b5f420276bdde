import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { jobId } from '../../core/ids.ts';
import { FailureKind, State } from '../../proto/gen/grid/v1/common.ts';
import { type BrokerGrid, newJob, until } from '../fakes/broker-grid.ts';
import { type FakeGateway, finishAll } from '../fakes/fake-gateway.ts';
import { queueOf, resourcesOf } from '../fakes/offers.ts';

/** What a broker does with its ledger, wherever that lies. */
export function brokerContract(name: string, open: () => Promise<BrokerGrid>): void {
  describe(`a broker on ${name}`, () => {
    let grid: BrokerGrid;
    beforeEach(async () => {
      grid = await open();
    });
    afterEach(() => grid[Symbol.asyncDispose]());

    const ends = (id: string, state: string): Promise<void> =>
      until(async () => (await grid.stateOf(id)) === state);

    test('a job goes to a site, and its events tell the story', async () => {
      const site = await grid.site('aachen');
      site.onPlaced = finishAll(site);
      const id = await grid.submit({
        name: 'hello',
        array: { kind: 'list', values: ['red', 'blue'] },
      });
      await ends(id, 'done');
      const { summary, tasks } = await grid.job(id);
      expect(summary).toMatchObject({ name: 'hello', tasks: 2, sites: ['aachen'] });
      expect(summary?.counts).toMatchObject({ queued: 0, active: 0, done: 2 });
      expect(tasks.map(({ value, state, attempts }) => [value, state, attempts])).toEqual([
        ['red', State.STATE_DONE, 1],
        ['blue', State.STATE_DONE, 1],
      ]);
      const events: string[] = [];
      for await (const event of grid.as('Alice').watchJob({ jobId: id, afterSeq: 0, follow: true }))
        events.push(`${event.ordinal} ${event.kind}`);
      expect(events.filter((line) => line.startsWith('0'))).toEqual([
        '0 match',
        '0 start',
        '0 finish',
      ]);
      expect([events[0], events.at(-1)]).toEqual(['-1 accept', '-1 end']);
      const [first] = site.placed;
      expect(first?.job.owner).toEqual({
        dn: '/DC=org/DC=test/CN=Alice',
        vo: 'demo',
        fqans: ['/demo'],
      });
      expect(first?.attempt).toMatchObject({
        attemptId: `${id}.0.1`,
        ordinal: 0,
        taskValue: 'red',
      });
    });

    test('a task is sent to the queue that its requirements want, and to none otherwise', async () => {
      const queues = [
        queueOf('short', { maxWalltimeMs: 60_000, isDefault: true }),
        queueOf('long', { maxWalltimeMs: 3_600_000 }),
      ];
      const site = await grid.site('aachen', { queues });
      await grid.submit({ resources: resourcesOf({ walltimeMs: 60_000 }) });
      await grid.submit({ requirements: 'queue.max_walltime > 60' });
      await expect.poll(() => site.placed.length).toBe(2);
      expect(site.placed.map(({ attempt }) => attempt.queue)).toEqual(['', 'long']);
    });

    test('submitting twice with one key is submitting once, also at the same time and after a restart', async () => {
      const request = {
        submitKey: 'k',
        jobs: [newJob({ name: 'one' }), newJob({ name: 'two' })],
        flow: undefined,
        s3: [],
      };
      const submit = (wanted: typeof request) => grid.as('Alice').submit(wanted);
      const [first, second] = await Promise.all([submit(request), submit(request)]);
      expect(first.jobIds).toHaveLength(2);
      expect(second).toEqual(first);
      await grid.restart();
      expect(await submit(request)).toEqual(first);
      expect(
        await codeOf(submit({ submitKey: 'k', jobs: [newJob()], flow: undefined, s3: [] })),
      ).toBe('SUBMIT_KEY_REUSED');
      expect((await grid.as('Bob').submit(request)).jobIds).not.toEqual(first.jobIds);
      const wish = { states: [], everyone: false, limit: 0, pageToken: '', name: '' };
      const { jobs } = await grid.as('Alice').listJobs(wish);
      expect(jobs.map((job) => job.name)).toEqual(['two', 'one']);
    });

    test('a job waits for those after which it comes, and ends when one of them has failed', async () => {
      const site = await grid.site('aachen');
      const first = await grid.submit();
      await placedAt(site);
      const second = await grid.submit({ after: [{ job: jobId(first), when: 'ok' }] });
      const third = await grid.submit({ after: [{ job: jobId(second), when: 'ok' }] });
      const why = await grid.as('Alice').whyJob({ jobId: second });
      expect(why).toMatchObject({ waitsFor: [first], answer: `it waits for ${first} to end` });
      await grid.restart();
      site.report(lastPlaced(site), State.STATE_DONE);
      await placedAt(site, 2);
      expect(lastPlaced(site)).toBe(`${second}.0.1`);
      site.report(lastPlaced(site), State.STATE_FAILED, FailureKind.FAILURE_KIND_JOB);
      await ends(third, 'cancelled');
      expect((await grid.job(third)).summary).toMatchObject({
        reason: 'DEPENDENCY_FAILED',
        detail: `it waited for ${second}, which has ended failed`,
      });
      const late = await grid.submit({ after: [{ job: jobId(second), when: 'ok' }] });
      expect(await grid.stateOf(late)).toBe('cancelled');
      const unknown = newJob({ after: [{ job: jobId('j00000000000'), when: 'ok' }] });
      const answer = grid
        .as('Alice')
        .submit({ submitKey: 'x', jobs: [unknown], flow: undefined, s3: [] });
      expect(await codeOf(answer)).toBe('SPEC_INVALID');
    });
  });
}

const placedAt = (gateway: FakeGateway, count = 1): Promise<void> =>
  until(() => gateway.placed.length >= count);
const lastPlaced = (gateway: FakeGateway): string => gateway.placed.at(-1)?.attempt.attemptId ?? '';
const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'no error',
    (error: { code: string }) => error.code,
  );
