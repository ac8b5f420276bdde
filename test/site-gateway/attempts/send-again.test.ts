import { expect, test } from 'vitest';
import { EMPTY_TREE } from '../../../core/data/manifest.ts';
import { attemptId } from '../../../core/ids.ts';
import { PlacedJob } from '../../../proto/gen/grid/v1/site.ts';
import { specToWire } from '../../../service/rpc/wire.ts';
import { openSendAgain } from '../../../site-gateway/attempts/send-again.ts';
import { specOf } from '../../fakes/offers.ts';

test('an attempt is sent by one call at a time, and others beside it', async () => {
  const now: string[] = [];
  const seen: string[][] = [];
  let failing = true;
  const sendAgain = openSendAgain({
    spool: '/spool',
    journal: {
      ended: (id) => ({
        id: attemptId(id),
        jobId: 'jabcd0123456',
        ordinal: 0,
        taskValue: '',
        memoryBytes: 0,
        queue: '',
        job: PlacedJob.create({ spec: specToWire(specOf({})), owner: { dn: '/CN=Alice' } }),
      }),
    },
    transfers: { run: (_attempt, _turn, _signal, work) => work() },
    staging: {
      stageOut: async ({ id }) => {
        now.push(id);
        seen.push([...now]);
        await new Promise(setImmediate);
        now.splice(now.indexOf(id), 1);
        if (failing) {
          failing = false;
          throw new Error('given up');
        }
        return { outputs: EMPTY_TREE, bytesOut: 0 };
      },
    },
  });
  const { signal } = new AbortController();
  const [one, other] = ['jabcd0123456.0.1', 'jabcd0123456.1.1'];
  const ends = await Promise.allSettled([one, one, one, other].map((id) => sendAgain(id, signal)));
  expect(ends.filter(({ status }) => status === 'rejected')).toHaveLength(1);
  expect(seen).toHaveLength(4);
  for (const ids of seen) expect(ids).toEqual([...new Set(ids)]);
  expect(seen.some((ids) => ids.length === 2)).toBe(true);
});
