import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Link, Session } from '../../../broker/sites/site-context.ts';
import { type Lacking, sentAgain } from '../../../broker/sites/site-outputs.ts';
import { EMPTY_TREE } from '../../../core/data/manifest.ts';
import { GridError } from '../../../core/errors.ts';
import { attemptId, voName } from '../../../core/ids.ts';
import { failed } from '../../../site-gateway/attempts/outcome.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

test('that outputs cannot be sent again yet is said once, and again when the reason is another', async () => {
  const told: string[] = [];
  const warn = ({ err }: { readonly err: Error }, text: string): void =>
    void told.push(`${text}: ${err.message}`);
  const link: unknown = { log: { warn }, epoch: 1, admit: () => Promise.resolve() };
  let why = 'the site is away';
  let tries = 0;
  const sendAgain = () => {
    tries += 1;
    if (tries === 40) why = 'the store is away';
    if (tries < 60) return Promise.reject(new GridError('UNAVAILABLE', why));
    return Promise.resolve({ outputs: undefined });
  };
  const session: unknown = { gateway: { sendAgain }, signal: new AbortController().signal };
  const lacking: Lacking = {
    report: {
      attemptId: attemptId('jabcd0123456.0.1'),
      atMs: 0,
      state: 'done',
      detail: '',
      outcome: failed('data', 'none', ''),
    },
    vo: voName('demo'),
    error: new GridError('CHUNK_MISSING', '1 of 2 chunks is gone'),
  };
  const sent = sentAgain(link as Link, session as Session, lacking);
  await vi.advanceTimersByTimeAsync(200_000);
  expect(await sent).toMatchObject({ outcome: { outputs: EMPTY_TREE } });
  expect(told).toEqual([
    'outputs are sent again: 1 of 2 chunks is gone',
    'outputs will be sent again: 1 of 2 chunks is gone, and not to be had: the site is away',
    'outputs will be sent again: 1 of 2 chunks is gone, and not to be had: the store is away',
  ]);
});
