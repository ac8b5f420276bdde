import { randomBytes } from 'node:crypto';
import { begin, commit } from '../../broker/book.ts';
import { type Datasets, openDatasets } from '../../broker/data/datasets.ts';
import { openSweeper, type Sweeper } from '../../broker/data/sweeper.ts';
import { openHistory } from '../../broker/jobs/history.ts';
import { openJobStore } from '../../broker/jobs/job-store.ts';
import { cancelJob, place } from '../../broker/jobs/moves.ts';
import { openRetry } from '../../broker/jobs/retry-job.ts';
import { openSubmit, type Submit } from '../../broker/jobs/submit.ts';
import { applyReport, type Report } from '../../broker/jobs/updates.ts';
import { removeResults } from '../../broker/results/remove-results.ts';
import { NO_ROOM } from '../../broker/room/store-room.ts';
import { openS3Secrets } from '../../broker/s3/s3-secrets.ts';
import { parseDataset } from '../../core/data/dataset.ts';
import type { TreeRef } from '../../core/data/manifest.ts';
import { encodeManifest } from '../../core/data/manifest-codec.ts';
import { GridError } from '../../core/errors.ts';
import { type JobId, siteId } from '../../core/ids.ts';
import type { Outcome } from '../../core/job/outcome.ts';
import { systemClock } from '../../service/clock.ts';
import { sha256 } from '../../service/staging/chunk-store.ts';
import { ALICE } from './callers.ts';
import { DONE } from './finished-jobs.ts';
import type { TestNats } from './nats.ts';
import { at, type OpenBook, openBook } from './open-book.ts';
import { wanted } from './submit-to.ts';

export const HOUR_MS = 3_600_000;
export const KEEP_MS = 8 * HOUR_MS;
const GRACE_MS = 3 * HOUR_MS;
const ACCESS = { admins: [ALICE.dn], vos: ['demo'] };
const peer = { ...ALICE, limited: false };
const SITE = 'aachen';

const TRIES = 20;

/** A tree and all that somebody who sends it has. */
export interface Content {
  readonly tree: TreeRef;
  /** Of its files, and of its manifest where that does not come with it. */
  readonly chunks: ReadonlyMap<string, Uint8Array>;
}

/** A tree of these chunks; a large one has its manifest in the store. */
export function contentOf(texts: readonly string[], isLarge: boolean): Content {
  const chunks = new Map(texts.map((text) => [sha256(Buffer.from(text)), Buffer.from(text)]));
  const files = [...chunks].flatMap(([digest, { length }], chunk) =>
    Array.from({ length: isLarge ? 40 : 1 }, (_, copy) => ({
      kind: 'file' as const,
      path: `file-${chunk}-${copy}`,
      mode: 0o644,
      sizeBytes: length,
      digest,
      slices: [{ digest, offset: 0, length }],
    })),
  );
  const manifest = encodeManifest({ entries: files });
  const digest = sha256(manifest);
  const bare = { digest, totalBytes: 1_000, files: files.length };
  return isLarge
    ? { tree: bare, chunks: new Map<string, Uint8Array>([...chunks, [digest, manifest]]) }
    : { tree: { ...bare, manifest }, chunks };
}

/** A broker without sites and clients, with its sweeper on a real store; the clocks go as the test wants. */
export interface RetentionWorld extends AsyncDisposable {
  passedMs: number;
  aheadMs: number;
  readonly nowMs: () => number;
  /** Ends the broker as it stands, and opens its ledger again. */
  restart(): Promise<void>;
  sweep(): Promise<unknown>;
  history(): Promise<unknown>;
  /** Versions that stand are named `name@vN`. */
  put(name: string, content: Content, keepMs: number): Promise<number>;
  /** Sends what nobody will name. */
  abandon(content: Content): Promise<void>;
  remove(name: string): Promise<readonly number[]>;
  keep(name: string, keepMs: number): Promise<readonly number[]>;
  submit(
    inputs: Content,
    dataset: string,
  ): Promise<{ readonly id: JobId; readonly pinned: string }>;
  /** Places the job, if it is not, and reports for it. */
  live(id: JobId, content: Content): Promise<void>;
  end(id: JobId, state: 'done' | 'failed', content: Content): Promise<void>;
  retry(id: JobId): Promise<unknown>;
  cancel(id: JobId): Promise<void>;
  removeResults(id: JobId): Promise<void>;
  /** Ids of the jobs in the ledger. */
  jobs(): Promise<ReadonlySet<string>>;
  /** How many rows of trees there are, and how many chunks. */
  left(): Promise<{ readonly trees: number; readonly chunks: number }>;
}

/** `dawdle` is awaited by those who send, between what they ask the store and what they tell the broker. */
export async function openRetentionWorld(
  nats: TestNats,
  file: string,
  dawdle: () => Promise<unknown>,
): Promise<RetentionWorld> {
  const member = nats.open('demo');
  const counting = nats.accounts.openKeeper('demo');
  const clock = {
    nowMs: () => systemClock.nowMs() + world.passedMs + world.aheadMs,
    monotonicMs: () => systemClock.monotonicMs() + world.passedMs,
  };
  const open = async () => {
    const book: OpenBook = { ...(await openBook(file)), clock };
    const sweeper = openSweeper({
      book,
      accounts: nats.accounts,
      vos: ['demo'],
      everyMs: HOUR_MS * 24 * 20,
      graceMs: GRACE_MS,
    });
    const { admit } = sweeper;
    const datasets = await openDatasets(book, ACCESS, { admit, ...NO_ROOM });
    return {
      book,
      sweeper,
      datasets,
      history: openHistory({ book, keepMs: KEEP_MS }),
      submit: await openSubmitTo(book, sweeper, datasets),
      retry: openRetry(book, () => undefined),
    };
  };
  let broker: Awaited<ReturnType<typeof open>>;
  const close = async (): Promise<void> => {
    await broker.history[Symbol.asyncDispose]();
    await broker.sweeper[Symbol.asyncDispose]();
    await broker.book[Symbol.asyncDispose]();
  };
  /** What a client or a gateway does: sends what the store lacks and names the tree, again where chunks of it have gone meanwhile. */
  const sending = async <T>(
    { tree, chunks }: Content,
    isClient: boolean,
    name: () => Promise<T>,
  ): Promise<T> => {
    for (let tried = 0; ; tried += 1) {
      const isHeld = isClient && tried === 0 && broker.sweeper.hold('demo', tree);
      const lacking = isHeld ? [] : await member.missing([...chunks.keys()]);
      for (const digest of lacking)
        await member.put(digest, chunks.get(digest) ?? new Uint8Array());
      await dawdle();
      try {
        return await name();
      } catch (error) {
        const isGone = error instanceof GridError && error.code === 'CHUNK_MISSING';
        if (!isGone || tried === TRIES) throw error;
      }
    }
  };
  let keys = 0;
  const refOf = (name: string) => {
    const parsed = parseDataset(`/demo/${name}`);
    if (!parsed.ok) throw new TypeError(parsed.message);
    return parsed.ref;
  };
  const change = async (name: string, what: Parameters<typeof broker.datasets.change>[2]) =>
    (await broker.datasets.change(peer, refOf(name), what)).map(({ version }) => version);
  const report = async (id: JobId, more: Pick<Report, 'state' | 'outcome' | 'live'>) => {
    const { book } = broker;
    const set = begin(book);
    const job = book.get(id);
    const attempt = job.open.get(0)?.attempt;
    const isPlaced = attempt !== undefined && book.table.attempts.has(attempt.id);
    const { id: attemptId } = isPlaced ? attempt : place(book.table, set, at(SITE, id));
    const said = { attemptId, atMs: set.nowMs, detail: '', ...more } as Report;
    applyReport(book.table, set, siteId(SITE), said, book.log);
    await commit(book, set);
  };
  const world: RetentionWorld = {
    passedMs: 0,
    aheadMs: 0,
    nowMs: clock.nowMs,
    restart: async () => {
      await close();
      broker = await open();
    },
    sweep: () => broker.sweeper.sweep('demo'),
    history: () => broker.history.pass(),
    put: (name, content, keepMs) =>
      sending(content, true, async () => {
        const wish = { vo: 'demo', name, tree: content.tree, shared: false, keepMs };
        return (await broker.datasets.put(peer, wish)).version;
      }),
    abandon: (content) => sending(content, true, () => Promise.resolve()),
    remove: (name) => change(name, { kind: 'remove' }),
    keep: (name, keepMs) => change(name, { kind: 'keep', keepMs }),
    submit: (inputs, dataset) => {
      keys += 1;
      const from = dataset === '' ? [] : [{ from: `grid:/demo/${dataset}`, to: 'ref' }];
      const job = { ...wanted(`job-${keys}`, { inputs: from }), inputs: inputs.tree };
      const key = `key-${keys}`;
      return sending(inputs, true, async () => {
        const [id] = await broker.submit(peer, key, [job]);
        if (id === undefined) throw new TypeError('no job');
        const { spec } = await broker.book.db
          .selectFrom('jobs')
          .select('spec')
          .where('id', '=', id)
          .executeTakeFirstOrThrow();
        return { id, pinned: /grid:\/demo\/([^"]+)/.exec(spec)?.[1] ?? '' };
      });
    },
    live: (id, { tree, chunks }) =>
      sending({ tree, chunks }, false, async () => {
        await broker.sweeper.admit('demo', tree, 'live');
        await report(id, { state: 'running', live: { tree, atMs: clock.nowMs(), trouble: '' } });
      }),
    end: (id, state, { tree, chunks }) =>
      sending({ tree, chunks }, false, async () => {
        await broker.sweeper.admit('demo', tree, 'gateway');
        const failure = state === 'failed' ? { failure: 'job' as const, exitCode: 1 } : {};
        const outcome: Outcome = { ...DONE, ...failure, outputs: tree };
        await report(id, { state, outcome });
      }),
    retry: (id) => broker.retry({ id, failedOnly: false, ordinals: [], by: 'a test' }),
    cancel: async (id) => {
      const set = begin(broker.book);
      const why = { reason: 'CANCELLED', detail: '' };
      cancelJob(broker.book.table, set, broker.book.get(id), why);
      await commit(broker.book, set);
    },
    removeResults: async (id) => {
      await removeResults({ book: broker.book, access: ACCESS }, peer, id);
    },
    jobs: async () => {
      await broker.book.recorder.settled();
      const rows = await broker.book.db.selectFrom('jobs').select('id').execute();
      return new Set(rows.map(({ id }) => id));
    },
    left: async () => {
      const trees = await broker.book.db.selectFrom('trees').select('digest').execute();
      return { trees: trees.length, chunks: (await counting.list()).names.length };
    },
    [Symbol.asyncDispose]: async () => {
      await close();
      await member[Symbol.asyncDispose]();
      await counting[Symbol.asyncDispose]();
    },
  };
  broker = await open();
  return world;
}

async function openSubmitTo(book: OpenBook, sweeper: Sweeper, datasets: Datasets): Promise<Submit> {
  const store = openJobStore(book.db);
  return openSubmit({
    book,
    datasets,
    sweeper,
    room: NO_ROOM,
    secrets: await openS3Secrets(book, store, randomBytes(32)),
    store,
    access: ACCESS,
    lastSeq: book.nextEvent() * 1_000,
    lastJobId: '',
    chance: Math.random,
    onQueued: () => undefined,
  });
}
