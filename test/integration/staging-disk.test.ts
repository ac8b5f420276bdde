import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ChunkStore } from '../../service/staging/chunk-store.ts';
import { fetchTree } from '../../service/staging/fetch-tree.ts';
import { sendTree } from '../../service/staging/send-tree.ts';
import { startTestNats, type TestNats, testNatsBinary } from '../fakes/nats.ts';

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

/** Somebody else takes all the room but so many bytes. */
const fill = (file: string, but: number): void => {
  execFileSync('sh', [
    '-c',
    `room=$(df -B1 --output=avail ${small} | tail -1); head -c $((room - ${but})) /dev/zero >${file}`,
  ]);
};

test('what is fetched to a disk that fills up fails by name, leaves nothing and goes on with room', async () => {
  const root = join(scratch, 'fetched');
  await mkdir(root);
  const bytes = randomBytes(6 * MIB);
  await writeFile(join(root, 'large'), bytes);
  const { tree } = await sendTree(store, { root, paths: ['.'] });
  const target = join(small, 'target');
  const filler = join(small, 'somebody-elses');
  let asked = 0;
  const filling: ChunkStore = {
    ...store,
    receive: (digest, signal) => {
      asked += 1;
      if (asked === 1) fill(filler, 2 * MIB);
      return store.receive(digest, signal);
    },
  };
  await expect(fetchTree(filling, tree, target)).rejects.toMatchObject({
    code: 'DISK_FULL',
    message: expect.stringContaining("'large'"),
  });
  expect(await readdir(target)).toEqual([]);
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
  const sending = sendTree(store, { root, paths: ['.'] });
  const log = (): Promise<string> => readFile(join(nats.dir, 'nats.log'), 'utf8');
  await expect.poll(log, { timeout: 10_000 }).toMatch(/no space left/);
  await rm(filler);
  // JetStream has switched itself off, and is on again after a start with room.
  await nats.crash();
  await nats.start();
  const { tree } = await sending;
  await fetchTree(store, tree, join(scratch, 'got'));
  expect(bytes.equals(await readFile(join(scratch, 'got', 'large')))).toBe(true);
}, 60_000);
