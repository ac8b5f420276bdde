import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { EMPTY_TREE } from '../../../core/data/manifest.ts';
import { attemptId } from '../../../core/ids.ts';
import type { PlaceRequest } from '../../../proto/gen/grid/v1/site.ts';
import { openLog } from '../../../service/log.ts';
import type { CallContext } from '../../../service/rpc/rpc.ts';
import { specToWire, treeToWire } from '../../../service/rpc/wire.ts';
import { openPlace, type PlaceOptions } from '../../../site-gateway/attempts/place.ts';
import type { Journal } from '../../../site-gateway/journal/journal.ts';
import { openJournal } from '../../../site-gateway/journal/open-journal.ts';
import { type GatewayParts, gatewayHandlers } from '../../../site-gateway/rpc.ts';
import { ALICE } from '../../fakes/callers.ts';
import { specOf } from '../../fakes/test-site.ts';
import { testDirs } from '../../support/test-dirs.ts';

const dirs = testDirs('fence');
const CONTEXT: CallContext = {
  peer: ALICE,
  signal: new AbortController().signal,
  log: openLog('test', 'silent'),
};
const EPOCH = 7;
const ID = attemptId('jabcd0123456.0.1');

const placing = (session: number): PlaceRequest => ({
  epoch: EPOCH,
  session,
  jobs: [
    {
      spec: specToWire(specOf({ command: ['true'] })),
      inputs: treeToWire(EMPTY_TREE),
      owner: { dn: ALICE.dn, vo: 'demo', fqans: ['/demo'] },
      inputTrees: [],
    },
  ],
  attempts: [
    {
      attemptId: ID,
      jobId: 'jabcd0123456',
      ordinal: 0,
      taskValue: '',
      jobIndex: 0,
      queue: '',
      memoryBytes: 0,
    },
  ],
  tickets: [],
  signedUrls: [],
});

let journal: Journal;
let tickets: PromiseWithResolvers<void>;
let handlers: ReturnType<typeof gatewayHandlers>;
beforeEach(() => {
  const log = openLog('test', 'silent');
  const file = join(dirs(), 'journal.db');
  journal = openJournal({ file, nowMs: Date.now(), log, onTrouble: () => undefined });
  onTestFinished(() => journal[Symbol.dispose]());
  tickets = Promise.withResolvers();
  const supervisor = { accept: () => undefined, liveIds: () => [], end: () => Promise.resolve() };
  const size = {
    cpus: 8,
    memoryBytes: 2 ** 34,
    gpus: 0,
    maxNodes: 1,
    maxWalltimeMs: 0,
    queues: [],
  };
  const nothing = {
    vos: [],
    modules: [],
    fetchFrom: [],
    features: [],
    gpuModels: [],
    licences: {},
  };
  const options = {
    facts: nothing,
    journal,
    supervisor,
    now: () => ({ size, disk: { totalBytes: 2 ** 40, availableBytes: 2 ** 40 } }),
    closedReason: () => '',
    unwelcome: () => undefined,
    accountless: () => undefined,
    nowMs: Date.now,
  } as unknown as PlaceOptions;
  handlers = gatewayHandlers({
    brokerDn: ALICE.dn,
    journal,
    supervisor,
    placing: openPlace(options),
    addSignedUrls: () => undefined,
    addTickets: () => tickets.promise,
  } as unknown as GatewayParts);
});

const reconcile = (session: number): Promise<{ unknown: string[] }> =>
  handlers.reconcile({ epoch: EPOCH, session, attemptIds: [ID] }, CONTEXT);

test('what waited for the disk until its session was over is not accepted any more', async () => {
  await reconcile(1);
  const placed = handlers.place(placing(1), CONTEXT);
  // The broker gave it up, and lets go of what is not here.
  expect(await reconcile(2)).toMatchObject({ unknown: [ID] });
  tickets.resolve();
  await expect(placed).rejects.toThrow('session 1 of the broker is over');
  expect(journal.known([ID]).size).toBe(0);
  await expect(handlers.place(placing(2), CONTEXT)).resolves.toMatchObject({
    answers: [{ attemptId: ID }],
  });
});

test('what is on its way into the journal is known to the session that follows', async () => {
  await reconcile(1);
  tickets.resolve();
  const placed = handlers.place(placing(1), CONTEXT);
  await Promise.resolve().then(() => Promise.resolve());
  expect(await reconcile(2)).toMatchObject({ unknown: [] });
  await placed;
  expect(journal.known([ID]).size).toBe(1);
});

test('lists of an earlier session are not compared any more', async () => {
  await reconcile(2);
  await expect(reconcile(1)).rejects.toThrow('session 1 of the broker is over');
});
