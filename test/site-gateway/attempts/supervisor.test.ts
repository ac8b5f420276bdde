import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { EMPTY_TREE } from '../../../core/data/manifest.ts';
import { attemptId } from '../../../core/ids.ts';
import { transferCommand } from '../../../core/job/transfer.ts';
import { State } from '../../../proto/gen/grid/v1/common.ts';
import { systemClock } from '../../../service/clock.ts';
import { openLog } from '../../../service/log.ts';
import { specToWire, treeToWire } from '../../../service/rpc/wire.ts';
import { failed } from '../../../site-gateway/attempts/outcome.ts';
import { openStock } from '../../../site-gateway/attempts/stock.ts';
import { Supervisor } from '../../../site-gateway/attempts/supervisor.ts';
import type { SupervisorOptions } from '../../../site-gateway/attempts/supervisor-options.ts';
import type { AcceptedAttempt, Journal } from '../../../site-gateway/journal/journal.ts';
import { openJournal } from '../../../site-gateway/journal/open-journal.ts';
import type { Lrms, LrmsListener } from '../../../site-gateway/lrms/lrms.ts';
import { openTransferQueue } from '../../../site-gateway/staging/transfer-turns.ts';
import type { RunTransfer } from '../../../site-gateway/staging/transfers.ts';
import { GATEWAY_STOPS } from '../../../site-gateway/stopping.ts';
import { type Placed, specOf } from '../../fakes/test-site.ts';
import { testDirs } from '../../support/test-dirs.ts';

const dirs = testDirs('supervisor');
const log = openLog('test', 'silent');
const SOON = { timeout: 20_000 };
const DONE = {
  kind: 'exited',
  exitCode: 0,
  usage: { cpuMs: 0, wallMs: 0, peakMemoryBytes: 0 },
  leftBehind: [],
} as const;

let journal: Journal;
let listener: LrmsListener;
const lrms = {
  submit: vi.fn<Lrms['submit']>(),
  cancel: vi.fn<Lrms['cancel']>(),
  adopt: vi.fn<Lrms['adopt']>(),
  clear: vi.fn<NonNullable<Lrms['clear']>>(),
  waitReason: () => '',
};
/** What happens every few seconds does so at each tick. */
const hurried = { ...systemClock, monotonicMs: () => 10 * systemClock.monotonicMs() };
let runTransfer: (how: Parameters<RunTransfer>[2]) => ReturnType<RunTransfer>;
let stageIn: (signal: AbortSignal) => Promise<number>;
let stageOut: (signal: AbortSignal) => Promise<void>;

beforeEach(() => {
  vi.resetAllMocks();
  lrms.adopt.mockResolvedValue(false);
  stageIn = () => Promise.resolve(0);
  stageOut = () => Promise.resolve();
  const file = join(dirs(), 'journal.db');
  journal = openJournal({ file, nowMs: Date.now(), log, onTrouble: () => undefined });
  onTestFinished(() => journal[Symbol.dispose]());
});

/** With a batch system that does nothing by itself. */
async function open(kept: Journal = journal): Promise<Supervisor> {
  const spool = dirs();
  const options: Partial<Record<keyof SupervisorOptions, unknown>> = {
    site: 'here',
    spool,
    path: '/usr/bin:/bin',
    journal: kept,
    openLrms: (heard: LrmsListener) => {
      listener = heard;
      return Promise.resolve({ ...lrms, [Symbol.asyncDispose]: () => Promise.resolve() });
    },
    staging: {
      waitsFor: () => '',
      isKeptElsewhere: () => false,
      stageIn: (_attempt: unknown, signal: AbortSignal) => stageIn(signal),
      stageOut: async (_attempt: unknown, _strict: boolean, signal: AbortSignal) => {
        await stageOut(signal);
        return { outputs: EMPTY_TREE, bytesOut: 0 };
      },
    },
    transfers: openTransferQueue({ most: 16, 'per-vo': 16 }),
    accounts: { accountFor: () => undefined, refusal: () => undefined },
    live: { begin: () => undefined },
    spares: {
      make: (directory: string) => {
        for (const name of ['work', 'tmp']) mkdirSync(join(directory, name), { recursive: true });
        return Promise.resolve();
      },
      ended: () => undefined,
    },
    disk: {
      isShort: () => Promise.resolve(false),
      makeRoom: () => Promise.resolve(),
      isFull: () => Promise.resolve(false),
    },
    stock: openStock(() => ({ diskBytes: 2 ** 40, licences: { matlab: 1 } })),
    clock: hurried,
    runTransfer: (_attempt: unknown, _transfer: unknown, how: Parameters<RunTransfer>[2]) =>
      runTransfer(how),
    clearTransfer: () => Promise.resolve(),
    log,
    onChange: () => undefined,
  };
  const supervisor = new Supervisor(options as unknown as SupervisorOptions);
  onTestFinished(() => supervisor.stop());
  await supervisor.resume();
  return supervisor;
}

const accepted = (name: string, part: Partial<Placed['spec']> = {}): AcceptedAttempt => ({
  id: attemptId(name),
  jobId: `job-${name}`,
  ordinal: 0,
  taskValue: '',
  memoryBytes: 0,
  queue: '',
  job: {
    spec: specToWire(specOf({ command: ['true'], ...part })),
    inputs: treeToWire(EMPTY_TREE),
    owner: { dn: '/CN=Alice', vo: 'demo', fqans: ['/demo'] },
    inputTrees: [],
  },
});

async function run(supervisor: Supervisor, attempt: AcceptedAttempt): Promise<void> {
  await journal.accept([attempt], Date.now());
  supervisor.accept([attempt]);
  await expect.poll(() => lrms.submit.mock.calls.length, SOON).toBe(1);
  listener.started(attempt.id, Date.now());
}

const endOf = (id: string) =>
  journal
    .updatesAfter(0, 100)
    .find(({ attemptId: of, outcome }) => of === id && outcome !== undefined);

test('a task that ends by itself while its machine is being taken back keeps its result', async () => {
  const supervisor = await open();
  await run(supervisor, accepted('one'));
  stageOut = async (signal) => {
    await ended;
    signal.throwIfAborted();
  };
  const ended = supervisor.end(['one'], 'owner', { why: 'its owner is at the machine' });
  listener.ended(attemptId('one'), DONE);
  await expect.poll(() => endOf('one')?.state, SOON).toBe(State.STATE_DONE);
});

test.for(['owner', 'lease-expired'] as const)(
  'nor does a later run end it for %s',
  async (ending) => {
    const staged = Promise.withResolvers<void>();
    const supervisor = await open();
    await run(supervisor, accepted('one'));
    stageOut = () => staged.promise;
    const ended = supervisor.end(['one'], ending);
    listener.ended(attemptId('one'), DONE);
    await ended;
    // All that was to be written before has been then.
    await journal.removed([]);
    expect(journal.live()).toMatchObject([{ id: 'one', ending: '' }]);
    staged.resolve();
    await expect.poll(() => endOf('one')?.state, SOON).toBe(State.STATE_DONE);
  },
);

test('a machine is taken back though the journal cannot be written', async () => {
  const full: Journal = { ...journal, intend: () => Promise.reject(new Error('disk is full')) };
  const supervisor = await open(full);
  await run(supervisor, accepted('one'));
  await supervisor.end(['one'], 'owner');
  expect(lrms.cancel).toHaveBeenCalledWith('one', expect.anything(), undefined);
  // Anything else is not done before it is known to a later run.
  await run2(supervisor);
});

async function run2(supervisor: Supervisor): Promise<void> {
  lrms.submit.mockClear();
  await run(supervisor, accepted('two'));
  await expect(supervisor.end(['two'], 'cancelled')).rejects.toThrow('disk is full');
}

test('the end of a lease holds for what was told to end before', async () => {
  const supervisor = await open();
  await run(supervisor, accepted('one'));
  await supervisor.end(['one'], 'cancelled');
  await supervisor.end(['one'], 'lease-expired', { graceMs: 2_000, latestMs: 2_500 });
  expect(lrms.cancel.mock.calls.slice(1)).toEqual([['one', 2_000, 2_500]]);
  expect(journal.live()).toMatchObject([{ id: 'one', ending: 'cancelled' }]);
});

test('the first reason to end an attempt stays, also for a later run', async () => {
  const supervisor = await open();
  await run(supervisor, accepted('one'));
  await Promise.all([supervisor.end(['one'], 'cancelled'), supervisor.end(['one'], 'owner')]);
  expect(journal.live()).toMatchObject([{ id: 'one', ending: 'cancelled' }]);
  listener.ended(attemptId('one'), { ...DONE, exitCode: 143 });
  await expect
    .poll(() => endOf('one'), SOON)
    .toMatchObject({ state: State.STATE_CANCELLED, outcome: { reason: 'CANCELLED' } });
});

test('what was cancelled before a restart ends without waiting for what others have', async () => {
  const licensed = { resources: { ...specOf({ command: [] }).resources, licences: { matlab: 1 } } };
  const both = ['runs', 'waits'].map((name) => accepted(name, licensed));
  await journal.accept(both, Date.now());
  await journal.intend([attemptId('waits')], 'cancelled');
  lrms.adopt.mockImplementation(({ id }) => Promise.resolve(id === 'runs'));
  await open();
  await expect.poll(() => endOf('waits')?.state, SOON).toBe(State.STATE_CANCELLED);
  expect(lrms.submit).not.toHaveBeenCalled();
});

test('what nobody takes up is cleared once all that is known has been', async () => {
  await journal.accept([accepted('one'), accepted('two')], Date.now());
  const looked = Promise.withResolvers<boolean>();
  lrms.adopt.mockImplementation(({ id }) =>
    id === 'two' ? looked.promise : Promise.resolve(true),
  );
  await open();
  await expect.poll(() => lrms.adopt.mock.calls.length, SOON).toBe(2);
  expect(lrms.clear).not.toHaveBeenCalled();
  looked.resolve(true);
  await expect.poll(() => lrms.clear.mock.calls.length, SOON).toBe(1);
});

test('what is staged in when the gateway stops is told that its next run goes on', async () => {
  const supervisor = await open();
  const begun = Promise.withResolvers<AbortSignal>();
  stageIn = (signal) => {
    begun.resolve(signal);
    return new Promise((_resolve, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason as Error)),
    );
  };
  const attempt = accepted('staged', { inputs: [{ from: 'a', to: 'a' }] });
  await journal.accept([attempt], Date.now());
  supervisor.accept([attempt]);
  const signal = await begun.promise;
  await supervisor.stop();
  expect(signal.reason).toBe(GATEWAY_STOPS);
  expect(endOf('staged')).toBeUndefined();
});

test('a copy that the gateway makes itself tells how far it is, until it is whole', async () => {
  const whole = Promise.withResolvers<void>();
  runTransfer = async ({ onProgress }) => {
    onProgress({ doneBytes: 2 ** 20, totalBytes: 2 ** 22 });
    await whole.promise;
    const { failure: _, ...done } = failed('data', '', 'it is there');
    return done;
  };
  const supervisor = await open();
  const attempt = accepted('copy', { command: transferCommand({ kind: 'warm' }) });
  await journal.accept([attempt], Date.now());
  supervisor.accept([attempt]);
  const told = (): readonly string[] =>
    journal.updatesAfter(0, 100).map(({ state, detail }) => `${state} ${detail}`);
  const far = `${State.STATE_RUNNING} 1 MiB of 4 MiB, 0 B/s`;
  await expect.poll(told, SOON).toEqual([`${State.STATE_RUNNING} `, far]);
  whole.resolve();
  await expect.poll(() => endOf('copy')?.state, SOON).toBe(State.STATE_DONE);
  expect(told()).toHaveLength(3);
});
