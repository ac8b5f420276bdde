import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ChunkStore, sha256 } from '../../service/staging/chunk-store.ts';
import { fetchTree } from '../../service/staging/fetch-tree.ts';
import { chunkSubject } from '../../service/staging/names.ts';
import { sendTree } from '../../service/staging/send-tree.ts';
import { chunkStoreContract } from '../contract/chunk-store.contract.ts';
import { openCorruptible } from '../fakes/corruptible-chunks.ts';
import { natsServers, startTestNats, type TestNats, testNatsBinary } from '../fakes/nats.ts';

describe.for(await natsServers())('with $name', ({ name, path }) => {
  let nats: TestNats;
  let dir: string;
  let root: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'hanse-staging-'));
    root = join(dir, 'root');
    await mkdir(root);
    nats = await startTestNats({ binary: path, vos: ['demo'] });
  });
  afterAll(async () => {
    await nats[Symbol.asyncDispose]();
    await rm(dir, { recursive: true, force: true });
  });

  chunkStoreContract(name, () => openCorruptible(nats, 'demo'));

  test('a tree of all sorts arrives, and sending it again sends nothing', async () => {
    const sorts = join(root, 'sorts');
    await mkdir(join(sorts, 'a/b/empty'), { recursive: true });
    await writeFile(join(sorts, 'nothing'), '');
    await writeFile(join(sorts, 'a/run.sh'), 'echo', { mode: 0o700 });
    await writeFile(join(sorts, 'large.bin'), randomBytes(50 * 2 ** 20));
    for (let n = 0; n < 1_000; n += 1) await writeFile(join(sorts, `a/b/${n}`), randomBytes(900));
    await using store = nats.open('demo');
    const first = await sendTree(store, { root, paths: ['sorts'] });
    expect(first.sentBytes).toBeGreaterThan(50 * 2 ** 20);
    const again = await sendTree(store, { root, paths: ['sorts'] });
    expect(again).toMatchObject({ tree: first.tree, sentBytes: 0 });

    await using reader = nats.open('demo');
    const target = join(dir, 'sorts');
    const fetched = await fetchTree(reader, first.tree, target);
    expect(fetched).toMatchObject({ files: 1_003, totalBytes: first.tree.totalBytes });
    expect(execFileSync('diff', ['-r', join(target, 'sorts'), sorts], { encoding: 'utf8' })).toBe(
      '',
    );
    expect((await stat(join(target, 'sorts/a/run.sh'))).mode & 0o777).toBe(0o700);
    expect(await readdir(join(target, 'sorts/a/b/empty'))).toEqual([]);
  });

  test('a transfer goes on after nats-server has crashed in the middle of it', async () => {
    await writeFile(join(root, 'crash.bin'), randomBytes(80 * 2 ** 20));
    await using store = nats.open('demo');
    const crashing = () => {
      let restarted: Promise<void> | undefined;
      return {
        onProgress: () => {
          restarted ??= nats.crash().then(() => nats.start());
        },
        restarted: () => restarted,
      };
    };
    const sending = crashing();
    const { tree } = await sendTree(store, { root, paths: ['crash.bin'] }, sending);
    await expect(sending.restarted()).resolves.toBeUndefined();

    const fetching = crashing();
    let gets = 0;
    const counted: ChunkStore = {
      ...store,
      receive: (digest, signal) => {
        gets += 1;
        [fetching.onProgress].slice(gets === 20 ? 0 : 1).forEach((crash) => crash());
        return store.receive(digest, signal);
      },
    };
    await fetchTree(counted, tree, join(dir, 'crash'));
    await expect(fetching.restarted()).resolves.toBeUndefined();
    const [sent, got] = await Promise.all(
      [root, join(dir, 'crash')].map((at) => readFile(join(at, 'crash.bin'))),
    );
    expect(sent?.equals(got ?? Buffer.of())).toBe(true);
  });

  test('a store that was away when it was prepared for is used when it is back', async () => {
    await writeFile(join(root, 'away'), 'content');
    await using store = nats.open('demo');
    await nats.crash();
    store.prepare?.();
    await nats.start();
    const { tree } = await sendTree(store, { root, paths: ['away'] });
    expect(tree.files).toBe(1);
  });

  test('a sending that was broken off sends only the rest when it is begun again', async () => {
    await writeFile(join(root, 'rest.bin'), randomBytes(60 * 2 ** 20));
    await using store = nats.open('demo');
    const stop = new AbortController();
    const broken = sendTree(
      store,
      { root, paths: ['rest.bin'] },
      { signal: stop.signal, onProgress: () => stop.abort() },
    );
    await expect(broken).rejects.toThrow('aborted');
    const rest = await sendTree(store, { root, paths: ['rest.bin'] });
    expect(rest.savedBytes).toBeGreaterThan(0);
    expect(rest.sentBytes).toBeLessThan(60 * 2 ** 20);
  });

  test('a chunk that somebody falsified is CHUNK_CORRUPT at the reader', async () => {
    const content = randomBytes(1_000);
    const member = await nats.member('demo');
    await member.request(chunkSubject('demo', sha256(content)), 'false', {
      timeout: 20_000,
    });
    await member.close();
    await writeFile(join(root, 'false.bin'), content);
    await using store = nats.open('demo');
    const { tree } = await sendTree(store, { root, paths: ['false.bin'] });
    await expect(fetchTree(store, tree, join(dir, 'false'))).rejects.toMatchObject({
      code: 'CHUNK_CORRUPT',
    });
  });
});

test('a server that serves no chunks is told of in words', async () => {
  await using nats = await startTestNats({ binary: await testNatsBinary(), vos: ['demo'] });
  await nats.accounts[Symbol.asyncDispose]();
  await nats.crash();
  await rm(join(nats.dir, 'nats/jetstream'), { recursive: true });
  await nats.start();
  await using store = nats.open('demo', { patienceMs: 300 });
  await expect(store.get('0'.repeat(64))).rejects.toMatchObject({
    code: 'STAGING_UNAVAILABLE',
    message: expect.stringContaining('serves no chunks of the VO'),
  });
});
