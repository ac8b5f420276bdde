import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../service/clock.ts';
import { chunkName } from '../../service/staging/chunk-cipher.ts';
import type { ChunkStore } from '../../service/staging/chunk-store.ts';
import { newNkey, openStaging } from '../../service/staging/connect-staging.ts';
import { fetchTree } from '../../service/staging/fetch-tree.ts';
import { sendTree } from '../../service/staging/send-tree.ts';
import { treeChunks } from '../../service/staging/tree-chunks.ts';
import { natsServers, startTestNats, type TestNats, testNatsBinary } from '../fakes/nats.ts';

const MIB = 2 ** 20;

/** Has 64 MiB. */
let small: string;
let scratch: string;
let nats: TestNats;
let store: ChunkStore & AsyncDisposable;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'hanse-full-'));
  small = join(scratch, 'small');
  await mkdir(small);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', small]);
  nats = await startTestNats({ binary: await testNatsBinary(), vos: ['demo'], within: small });
  store = nats.open('demo');
});
afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
  execFileSync('umount', [small]);
  await rmdir(small);
  await rm(scratch, { recursive: true });
});

/** Somebody else takes all the room but so many bytes, or all of it where others write meanwhile. */
const fill = (file: string, but: number): void => {
  const room = `$(df -B1 --output=avail ${small} | tail -1)`;
  execFileSync('sh', ['-c', `head -c $((${room} - ${but})) /dev/zero >${file} || true`], {
    stdio: 'pipe',
  });
};

test('what is fetched to a disk that fills up fails by name, leaves nothing and goes on with room', async () => {
  const root = join(scratch, 'fetched');
  await mkdir(root);
  const bytes = randomBytes(15 * MIB);
  await writeFile(join(root, 'large'), bytes);
  const { tree } = await sendTree(store, { root, paths: ['.'] });
  const target = join(small, 'target');
  const filler = join(small, 'somebody-elses');
  let asked = 0;
  const filling: ChunkStore = {
    ...store,
    receive: (digest, signal) => {
      asked += 1;
      // The first chunks come while it is looked whether there is room.
      if (asked === 14) fill(filler, 1 * MIB);
      return store.receive(digest, signal);
    },
  };
  await expect(fetchTree(filling, tree, target)).rejects.toMatchObject({
    code: 'DISK_FULL',
    message: expect.stringContaining("'large'"),
  });
  expect(await readdir(target).catch(() => [])).toEqual([]);
  await rm(filler);
  await fetchTree(store, tree, target);
  expect(bytes.equals(await readFile(join(target, 'large')))).toBe(true);
  await rm(target, { recursive: true });
});

test('a store whose disk fills up is waited for, and loses nothing that it took', async () => {
  const root = join(scratch, 'sent');
  await mkdir(root);
  const bytes = randomBytes(12 * MIB);
  await writeFile(join(root, 'large'), bytes);
  const filler = join(small, 'somebody-elses');
  fill(filler, 5 * MIB);
  await using hasty = nats.open('demo', { patienceMs: 0 });
  const hurried = sendTree(hasty, { root, paths: ['.'] }).catch((error: unknown) => error);
  const sending = sendTree(store, { root, paths: ['.'] });
  const log = (): Promise<string> => readFile(join(nats.dir, 'nats.log'), 'utf8');
  await expect.poll(log).toMatch(/no space left/);
  expect(await hurried).toMatchObject({
    code: 'STORE_FULL',
    message: expect.stringContaining('nats-server answers, but stores nothing more'),
  });
  await rm(filler);
  // JetStream has switched itself off, and is on again after a start with room.
  await nats.crash();
  await nats.start();
  const { tree } = await sending;
  expect(await sendTree(store, { root, paths: ['.'] })).toMatchObject({ tree, sentBytes: 0 });
  await fetchTree(store, tree, join(scratch, 'got'));
  expect(bytes.equals(await readFile(join(scratch, 'got', 'large')))).toBe(true);
});

test.for((await natsServers()).slice(1))(
  "$name whose disk others have filled answers nothing: that is told by the store's name in seconds, and nothing is lost",
  async ({ path }) => {
    await using stuck = await startTestNats({ binary: path, vos: ['demo'], within: small });
    await using before = stuck.open('demo');
    const root = join(scratch, 'stuck');
    await mkdir(root);
    await writeFile(join(root, 'early'), randomBytes(MIB));
    const early = await sendTree(before, { root, paths: ['early'] });
    const bytes = randomBytes(8 * MIB);
    await writeFile(join(root, 'large'), bytes);
    const filler = join(small, 'somebody-elses');
    fill(filler, 4 * MIB);
    const nkey = newNkey();
    await using hasty = openStaging({
      nkey,
      vo: 'demo',
      caPem: stuck.caPem,
      ticket: () =>
        stuck.accounts.issueTicket({
          vo: 'demo',
          nkey: nkey.publicKey,
          lifetimeMs: 600_000,
          purpose: 'user',
        }),
      patienceMs: 0,
      // It looks after five seconds.
      clock: { ...systemClock, monotonicMs: () => 5 * systemClock.monotonicMs() },
    });
    const fromMs = Date.now();
    await expect(sendTree(hasty, { root, paths: ['large'] })).rejects.toMatchObject({
      code: 'STAGING_UNAVAILABLE',
      message: expect.stringMatching(
        `^the store at 127.0.0.1:${stuck.files.port} does not answer, though its nats-server does: its disk is full`,
      ),
    });
    expect(Date.now() - fromMs).toBeLessThan(25_000);
    await rm(filler);
    await stuck.crash();
    await stuck.start();
    const { tree, sentBytes, savedBytes } = await sendTree(before, { root, paths: ['large'] });
    expect(sentBytes + savedBytes).toBe(bytes.byteLength);
    await fetchTree(before, tree, join(scratch, 'unstuck'));
    await fetchTree(before, early.tree, join(scratch, 'unstuck'));
    expect(bytes.equals(await readFile(join(scratch, 'unstuck', 'large')))).toBe(true);
  },
);

test.for(await natsServers())(
  '$name that may keep no more says so, and with room the same command sends the rest',
  async ({ name, path }) => {
    const dir = await mkdtemp(join(scratch, 'store-'));
    await using full = await startTestNats({ binary: path, vos: ['demo'], storeBytes: 16 * MIB });
    await using sender = full.open('demo', { patienceMs: 1_000 });
    await using keeper = full.accounts.openKeeper('demo');
    const send = async (part: string, bytes: Buffer) => {
      await mkdir(join(dir, part), { recursive: true });
      await writeFile(join(dir, part, 'large'), bytes);
      return sendTree(sender, { root: join(dir, part), paths: ['.'] });
    };
    const old = await send('old', randomBytes(6 * MIB));
    const bytes = randomBytes(14 * MIB);
    await expect(send('new', bytes)).rejects.toMatchObject({
      code: 'STORE_FULL',
      message: 'nats-server has no room for more chunks: insufficient resources',
    });
    await keeper.remove((await treeChunks(sender, old.tree)).map(chunkName));
    // Debian's counts what has gone until it is started again.
    await full.crash();
    await full.start();
    const { tree, sentBytes, savedBytes } = await send('new', bytes);
    expect({ name, isSaved: savedBytes > 0, all: sentBytes + savedBytes }).toEqual({
      name,
      isSaved: true,
      all: bytes.byteLength,
    });
    await fetchTree(sender, tree, join(dir, 'got'));
    expect(bytes.equals(await readFile(join(dir, 'got', 'large')))).toBe(true);
  },
);
