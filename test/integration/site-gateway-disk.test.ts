import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmdirSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, statfs, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TreeRef } from '../../core/data/manifest.ts';
import { pause } from '../../service/background.ts';
import { sha256 } from '../../service/staging/chunk-store.ts';
import { sendTree } from '../../service/staging/send-tree.ts';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
import { startTestNats, type TestNats, testNatsBinary } from '../fakes/nats.ts';
import { resourcesOf } from '../fakes/offers.ts';
import { EPOCH, startTestSite, type TestSite } from '../fakes/test-site.ts';
import { writeTlsIdentity } from '../fakes/tls-identity.ts';
import { startWebServer, type WebServer } from '../fakes/web-server.ts';

const MIB = 2 ** 20;
/** Name of a file that was unused for long. */
const OLD = sha256(Buffer.from('oldest'));

let grid: LiveGrid;
let nats: TestNats;
let site: TestSite;
let web: WebServer;
let spool: string;
beforeAll(async () => {
  grid = await openLiveGrid();
  nats = await startTestNats({ binary: await testNatsBinary(), vos: ['demo'] });
  await writeFile(join(grid.trustDir, 'nats.pem'), nats.caPem);
  spool = mkdtempSync(join(tmpdir(), 'hanse-small-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', spool]);
  // It looks at the cache when it starts, and seldom from then on.
  const folder = join(spool, 'cache/demo', OLD.slice(0, 2));
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, OLD), randomBytes(20 * MIB));
  await utimes(join(folder, OLD), 1, 1);
  const { certFile, keyFile, caPem } = await writeTlsIdentity(grid.dir);
  web = await startWebServer({
    cert: readFileSync(certFile, 'utf8'),
    key: readFileSync(keyFile, 'utf8'),
  });
  const ca = join(grid.dir, 'web-ca.pem');
  await writeFile(ca, caPem);
  const settings = [
    'cpus: 2',
    'min-free-disk: 1M',
    'staging-patience: 5s',
    `fetch-ca: ${ca}`,
    `fetch-from: ["127.0.0.1:${web.port}"]`,
  ];
  site = await startTestSite(grid, 'small', settings, spool);
  await site.giveTicket(nats.accounts, 'demo');
});
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  execFileSync('umount', [spool]);
  await web[Symbol.asyncDispose]();
  rmdirSync(spool);
  await nats[Symbol.asyncDispose]();
  await grid[Symbol.asyncDispose]();
});

/** Somebody else takes all the room but so many bytes, when what earlier tasks had is gone. */
const fill = async (but: number): Promise<void> => {
  const freeBytes = async (): Promise<number> => (await statfs(spool)).bavail;
  for (let before = -1, now = await freeBytes(); before !== now; ) {
    await pause(500);
    [before, now] = [now, await freeBytes()];
  }
  const room = `$(df -B1 --output=avail ${spool} | tail -1)`;
  execFileSync('sh', ['-c', `head -c $((${room} - ${but})) /dev/zero >${theirs()}`]);
};
const theirs = (): string => join(spool, 'somebody-elses');
/** Names below a directory of the spool. */
const left = (path: string): Promise<readonly string[]> => readdir(join(spool, path));
/** Names of all that is cached: one folder may have files of several tests. */
const cached = (): Promise<readonly string[]> =>
  readdir(join(spool, 'cache/demo'), { recursive: true });
/** Where a file of this digest is cached. */
const placeOf = (digest: string): string => join(digest.slice(0, 2), digest);

const treeOf = async (bytes: Buffer): Promise<TreeRef> => {
  const root = await mkdtemp(join(grid.dir, 'in-'));
  await writeFile(join(root, 'large'), bytes);
  await using member = nats.open('demo');
  return (await sendTree(member, { root, paths: ['.'] })).tree;
};
/** A task that is well only with its input. */
const wanting = async (id: string, bytes: Buffer, inputs: TreeRef) => {
  const command = ['sh', '-c', `test "$(sha256sum <large | cut -c1-64)" = ${sha256(bytes)}`];
  await site.place([{ id, inputs, spec: { command, inputs: [{ from: 'large', to: 'large' }] } }]);
  return site.outcomeOf(id);
};

test('what the cache could give up is offered as free, and is free when the task begins that asked for it', async () => {
  await fill(4 * MIB);
  const stop = new AbortController();
  const offers = site.call().advertise({ epoch: EPOCH, leaseMs: 9_000 }, { signal: stop.signal });
  let freeBytes = 64 * MIB;
  for await (const { offer } of offers) {
    freeBytes = offer?.freeDiskBytes ?? freeBytes;
    // Until it has seen that somebody took the rest.
    if (freeBytes < 30 * MIB) break;
  }
  stop.abort();
  expect(freeBytes).toBeGreaterThan(20 * MIB);
  const command = ['sh', '-c', 'head -c 16777216 /dev/zero >filled && rm filled'];
  const resources = resourcesOf({ diskBytes: 18 * MIB, memoryBytes: 64 * MIB, walltimeMs: 60_000 });
  await site.place([{ id: 'filling', spec: { command, resources } }]);
  expect(await site.outcomeOf('filling')).toMatchObject({ reason: '' });
  await rm(theirs());
  expect(await cached()).not.toContain(placeOf(OLD));
});

test('inputs that do not fit on the disk fail by name, as the fault of the site, and leave nothing', async () => {
  const bytes = randomBytes(8 * MIB);
  const inputs = await treeOf(bytes);
  await fill(5 * MIB);
  expect(await wanting('unfit', bytes, inputs)).toMatchObject({
    failure: 'site',
    reason: 'DISK_FULL',
    detail: expect.stringContaining("'large'"),
  });
  expect(await left('attempts')).not.toContain('unfit');
  expect(await left('cache/demo/partial')).toEqual([]);
  await rm(theirs());
  // Nothing of it was kept for sound that is not.
  expect(await wanting('fit', bytes, inputs)).toMatchObject({ reason: '' });
});

test('a cache that takes all of the disk makes room for what a task needs', async () => {
  const old = sha256(Buffer.from('old'));
  const folder = join(spool, 'cache/demo', old.slice(0, 2));
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, old), randomBytes(14 * MIB));
  await utimes(join(folder, old), 1, 1);
  const bytes = randomBytes(6 * MIB);
  const inputs = await treeOf(bytes);
  await fill(4 * MIB);
  expect(await wanting('roomy', bytes, inputs)).toMatchObject({ reason: '' });
  await rm(theirs());
  expect(await cached()).not.toContain(placeOf(old));
});

test('so it does for an input from elsewhere, which is refused by name where all of that is too little', async () => {
  const old = sha256(Buffer.from('older'));
  const folder = join(spool, 'cache/demo', old.slice(0, 2));
  const fetching = async (id: string, bytes: Buffer) => {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, old), randomBytes(12 * MIB));
    await utimes(join(folder, old), 1, 1);
    await fill(3 * MIB);
    web.serve(`/${id}`, { bytes });
    const digest = sha256(bytes);
    const from = `https://127.0.0.1:${web.port}/${id}#sha256=${digest}`;
    const command = ['sh', '-c', `test "$(sha256sum <far | cut -c1-64)" = ${digest}`];
    await site.place([{ id, spec: { command, inputs: [{ from, to: 'far' }] } }]);
    const outcome = await site.outcomeOf(id);
    await rm(theirs());
    return outcome;
  };
  expect(await fetching('far', randomBytes(6 * MIB))).toMatchObject({ reason: '' });
  expect(await cached()).not.toContain(placeOf(old));
  const outcome = await fetching('farther', randomBytes(30 * MIB));
  expect(outcome).toMatchObject({
    failure: 'site',
    reason: 'DISK_FULL',
    detail: expect.stringMatching(/^30 MiB of an input from elsewhere do not fit/),
  });
  expect(await left('cache/demo/remote')).toEqual([]);
});

test('a task that fills the disk fails as the fault of the site, and the site goes on', async () => {
  const command = ['sh', '-c', 'head -c 100000000 /dev/zero'];
  await site.place([{ id: 'fill', spec: { command } }]);
  expect(await site.outcomeOf('fill')).toMatchObject({ failure: 'site', reason: 'DISK_FULL' });
  await expect
    .poll(async () => (await site.place([{ id: 'after', spec: { command: ['true'] } }]))[0])
    .toMatchObject({ reason: '' });
  expect(await site.outcomeOf('after')).toMatchObject({ reason: '' });
});

test('below the room that is to stay free nothing new is taken, and it says why', async () => {
  await fill(200 * 1_024);
  let count = 0;
  const placeAnother = async (): Promise<string | undefined> => {
    count += 1;
    const [answer] = await site.place([{ id: `no-${count}`, spec: { command: ['true'] } }]);
    return answer?.detail;
  };
  await expect.poll(placeAnother).toMatch(/^disk full: .* free, the site keeps 1 MiB$/);
});
