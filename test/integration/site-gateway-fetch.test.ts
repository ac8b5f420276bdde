import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { State } from '../../proto/gen/grid/v1/common.ts';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
import { resourcesOf } from '../fakes/offers.ts';
import { type Placed, startTestSite, type TestSite } from '../fakes/test-site.ts';
import { writeTlsIdentity } from '../fakes/tls-identity.ts';
import { startWebServer, type WebServer } from '../fakes/web-server.ts';

let grid: LiveGrid;
let web: WebServer;
let site: TestSite;
/** A site that fetches from public hosts only, as one does that says nothing. */
let usual: TestSite;
beforeAll(async () => {
  grid = await openLiveGrid();
  const dir = join(grid.dir, 'web');
  mkdirSync(dir);
  const { certFile, keyFile, caPem } = await writeTlsIdentity(dir);
  web = await startWebServer({
    cert: readFileSync(certFile, 'utf8'),
    key: readFileSync(keyFile, 'utf8'),
  });
  const ca = join(dir, 'ca.pem');
  writeFileSync(ca, caPem);
  const common = ['cpus: 8', `fetch-ca: ${ca}`, 'staging-patience: 8s', 'memory: 8G'];
  site = await startTestSite(grid, 'fetching', [
    ...common,
    `fetch-from: ["127.0.0.1:${web.port}"]`,
  ]);
  usual = await startTestSite(grid, 'usual', [...common, `fetch-from: ["*:${web.port}", "*"]`]);
});
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await usual[Symbol.asyncDispose]();
  await web[Symbol.asyncDispose]();
  await grid[Symbol.asyncDispose]();
});

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const at = (path: string, digest: string): string =>
  `https://127.0.0.1:${web.port}${path}#sha256=${digest}`;
/** A task that is well only when the file is there with its content. */
const checks = (to: string, digest: string): readonly string[] => [
  'sh',
  '-c',
  `test "$(sha256sum <${to} | cut -c1-64)" = ${digest}`,
];
const serve = (path: string, bytes: Buffer, more: Parameters<WebServer['serve']>[1] = {}) => {
  web.serve(path, { bytes, ...more });
  return sha256(bytes);
};

let count = 0;
const run = async (from: string, part: Partial<Placed['spec']> = {}, where = site) => {
  count += 1;
  const id = `fetch-${count}`;
  const digest = from.slice(-64);
  const inputs = [{ from, to: 'in/data.bin' }];
  const spec = { command: checks('in/data.bin', digest), inputs, ...part };
  const [answer] = await where.place([{ id, spec }]);
  expect(answer).toMatchObject({ detail: '' });
  return where.outcomeOf(id);
};

test('a file is fetched, verified and put where the job wants it; the next job has it from the cache', async () => {
  const digest = serve('/once', randomBytes(3_000_000));
  const first = await run(at('/once', digest));
  expect(first).toMatchObject({ state: State.STATE_DONE });
  expect(first.usage.bytesIn).toBe(3_000_000);
  const second = await run(at('/once', digest));
  expect(second).toMatchObject({ state: State.STATE_DONE });
  expect(second.usage.bytesIn).toBe(0);
  expect(web.asked.filter((path) => path === '/once')).toHaveLength(1);
});

test('of many jobs that want it at the same time one fetches it', async () => {
  const digest = serve('/shared', randomBytes(20_000_000));
  const ids = Array.from({ length: 8 }, (_, index) => `shared-${index}`);
  const inputs = [{ from: at('/shared', digest), to: 'd' }];
  await site.place(ids.map((id) => ({ id, spec: { command: checks('d', digest), inputs } })));
  const outcomes = await Promise.all(ids.map((id) => site.outcomeOf(id)));
  expect(outcomes.map(({ state }) => state)).toEqual(ids.map(() => State.STATE_DONE));
  expect(web.asked.filter((path) => path.startsWith('/shared'))).toEqual(['/shared']);
});

test('a connection that breaks is taken up where it broke', async () => {
  const digest = serve('/broken', randomBytes(4_000_000), { cutAfter: 1_500_000 });
  expect(await run(at('/broken', digest))).toMatchObject({ state: State.STATE_DONE });
  const ranges = web.asked.filter((path) => path.startsWith('/broken'));
  expect(ranges[0]).toBe('/broken');
  expect(ranges.slice(1).every((path) => /^\/broken bytes=[1-9]\d+-$/.test(path))).toBe(true);
  expect(ranges.length).toBeGreaterThan(2);
});

test('a server without ranges begins anew', async () => {
  const bytes = randomBytes(1_000_000);
  const digest = serve('/rangeless', bytes, { cutAfter: 600_000, noRanges: true });
  const running = run(at('/rangeless', digest));
  await expect.poll(() => web.asked.filter((path) => path.startsWith('/rangeless')).length).toBe(2);
  serve('/rangeless', bytes, { noRanges: true });
  expect(await running).toMatchObject({ state: State.STATE_DONE });
});

test('what a gateway that was killed had fetched is not fetched again', async () => {
  const bytes = randomBytes(8_000_000);
  const digest = serve('/killed', bytes, { cutAfter: 5_000_000, stalls: true });
  const inputs = [{ from: at('/killed', digest), to: 'd' }];
  await site.place([{ id: 'killed', spec: { command: checks('d', digest), inputs } }]);
  const part = join(site.spool, 'cache/demo/remote', `${digest}.part`);
  const size = () => statSync(part, { throwIfNoEntry: false })?.size ?? 0;
  await expect.poll(size).toBe(5_000_000);
  await site.kill();
  const before = web.sentBytes();
  serve('/killed', bytes);
  await site.start();
  expect(await site.outcomeOf('killed')).toMatchObject({ state: State.STATE_DONE });
  expect(web.sentBytes() - before).toBe(3_000_000);
});

test('another content than the job names fails the job, and is not kept', async () => {
  serve('/changed', Buffer.from('new content'));
  const outcome = await run(at('/changed', sha256(Buffer.from('old content'))));
  expect(outcome).toMatchObject({ failure: 'job', reason: 'FETCH_MISMATCH' });
  expect(outcome.detail).toContain(sha256(Buffer.from('new content')));
  expect(outcome.detail).toContain(sha256(Buffer.from('old content')));
});

test('a file that changed between two tries is fetched anew', async () => {
  const digest = serve('/mixed', randomBytes(1_000_000));
  const part = join(site.spool, 'cache/demo/remote', `${digest}.part`);
  writeFileSync(part, randomBytes(300_000));
  expect(await run(at('/mixed', digest))).toMatchObject({ state: State.STATE_DONE });
  writeFileSync(part, randomBytes(2_000_000));
  await rm(join(site.spool, 'cache/demo', digest.slice(0, 2)), { recursive: true });
  expect(await run(at('/mixed', digest))).toMatchObject({ state: State.STATE_DONE });
});

test('what is larger than the disk of the job is refused before it is fetched', async () => {
  const digest = serve('/large', randomBytes(3_000_000));
  const before = web.sentBytes();
  const outcome = await run(at('/large', digest), {
    resources: resourcesOf({ memoryBytes: 2 ** 26, walltimeMs: 60_000, diskBytes: 1_000_000 }),
  });
  expect(outcome).toMatchObject({ failure: 'job', reason: 'FETCH_TOO_LARGE' });
  expect(outcome.detail).toContain('2.9 MiB');
  expect(web.sentBytes() - before).toBeLessThanOrEqual(3_000_000);
});

test('redirects are followed a few times, never away from https, never to a host that the site does not name', async () => {
  const digest = serve('/end', Buffer.from('the end'));
  web.serve('/hop', { status: 302, location: '/end' });
  expect(await run(at('/hop', digest))).toMatchObject({ state: State.STATE_DONE });
  await rm(join(site.spool, 'cache/demo', digest.slice(0, 2)), { recursive: true });
  web.serve('/circle', { status: 302, location: '/circle' });
  web.serve('/plain', { status: 302, location: 'http://127.0.0.1/end' });
  web.serve('/inside', { status: 307, location: 'https://169.254.169.254/latest/meta-data' });
  const refused = { failure: 'data', reason: 'FETCH_REFUSED' };
  expect(await run(at('/plain', digest))).toMatchObject(refused);
  expect(await run(at('/inside', digest))).toMatchObject(refused);
  const circle = await run(at('/circle', digest));
  expect(circle).toMatchObject({ failure: 'data', reason: 'FETCH_FAILED' });
  expect(circle.detail).toContain('redirects more than 5 times');
});

test('a host that the rules of the site do not name is refused before the job is taken, with what they name', async () => {
  const inputs = [{ from: `https://other.example.org/x#sha256=${'ab'.repeat(32)}`, to: 'x' }];
  const answers = await site.place([{ id: 'elsewhere', spec: { command: ['true'], inputs } }]);
  expect(answers).toMatchObject([
    {
      reason: 'FETCH_REFUSED',
      detail: `it needs a file from other.example.org, the site fetches from 127.0.0.1:${web.port}`,
    },
  ]);
});

test('an address that is not public is reached only at a host that the site names', async () => {
  const digest = serve('/private', Buffer.from('for the site only'));
  const before = web.asked.length;
  const refused = { failure: 'data', reason: 'FETCH_REFUSED' };
  const forms = ['127.0.0.1', 'localhost', '2130706433', '0x7f.1', '[::1]', '[::ffff:127.0.0.1]'];
  for (const host of forms) {
    const from = `https://${host}:${web.port}/private#sha256=${digest}`;
    expect({ host, ...(await run(from, {}, usual)) }).toMatchObject({ host, ...refused });
  }
  expect(web.asked).toHaveLength(before);
});

test('what a server refuses or has not fails the attempt with its answer; what passes is waited for', async () => {
  const digest = sha256(Buffer.from('late'));
  const missing = await run(at('/nowhere', digest));
  expect(missing).toMatchObject({ failure: 'data', reason: 'FETCH_FAILED' });
  expect(missing.detail).toContain('answers 404');
  web.serve('/locked', { status: 403 });
  expect(await run(at('/locked', digest))).toMatchObject({ reason: 'FETCH_FAILED' });
  web.serve('/late', { status: 503 });
  const running = run(at('/late', digest));
  await expect.poll(() => web.asked.includes('/late')).toBe(true);
  serve('/late', Buffer.from('late'));
  expect(await running).toMatchObject({ state: State.STATE_DONE });
  web.serve('/never', { status: 503 });
  web.serve('/hangs', { hangs: true });
  const stalled = serve('/stalls', randomBytes(9_000), {
    cutAfter: 4_000,
    stalls: true,
    noRanges: true,
  });
  // It begins anew each time and never gets further.
  const broken = serve('/breaks', randomBytes(1_000_000), { cutAfter: 600_000, noRanges: true });
  const [never, breaks, hangs, stalls] = await Promise.all([
    run(at('/never', sha256(Buffer.from('never')))),
    run(at('/breaks', broken)),
    run(at('/hangs', sha256(Buffer.from('hangs')))),
    run(at('/stalls', stalled)),
  ]);
  expect(never.detail).toContain('answers 503');
  expect(breaks).toMatchObject({ failure: 'data', reason: 'FETCH_FAILED' });
  expect(breaks.detail).toContain('the server broke off its answer');
  // Six in eight seconds; it begins to count anew where a break comes some bytes later than the one before. Without pauses it were forty.
  expect(web.asked.filter((path) => path.startsWith('/breaks')).length).toBeLessThan(25);
  const silent = { failure: 'data', reason: 'FETCH_FAILED' };
  expect(hangs).toMatchObject({
    ...silent,
    detail: expect.stringMatching(/no byte came for 8\.0 s$/),
  });
  expect(stalls).toMatchObject({
    ...silent,
    detail: expect.stringMatching(/no byte came for 8\.0 s$/),
  });
  const updates = await site.untilEnded([`fetch-${count}`]);
  const waits = updates.flatMap(({ state, detail }) =>
    state === State.STATE_STAGING_IN && detail !== '' ? [detail] : [],
  );
  const since = `waits for 127.0.0.1:${web.port} since 20`;
  expect(waits.filter((words) => words.startsWith(since)).length).toBeGreaterThanOrEqual(3);
  expect(waits.join('\n')).toMatch(/Z: no byte has come; gives up after 8\.0 s/);
  expect(waits.join('\n')).toMatch(/Z: nothing has come beyond the first 3\.9 KiB; gives up/);
  expect(waits.join('\n')).toMatch(/Z: answers 503 Service Unavailable; gives up after 8\.0 s/);
});

test('a server that says nothing keeps no transfer of others waiting', async () => {
  const narrow = await startTestSite(grid, 'narrow', [
    'cpus: 8',
    `fetch-ca: ${join(grid.dir, 'web/ca.pem')}`,
    `fetch-from: ["127.0.0.1:${web.port}"]`,
    'transfers: { most: 1, per-vo: 1 }',
  ]);
  try {
    web.serve('/silent', { hangs: true });
    const from = at('/silent', 'cd'.repeat(32));
    const inputs = [{ from, to: 'd' }];
    await narrow.place([{ id: 'silent', spec: { command: ['true'], inputs } }]);
    await expect.poll(() => web.asked.includes('/silent')).toBe(true);
    const digest = serve('/spoken', randomBytes(1_000));
    expect(await run(at('/spoken', digest), {}, narrow)).toMatchObject({ state: State.STATE_DONE });
  } finally {
    await narrow[Symbol.asyncDispose]();
  }
});

test('a site with a rate fetches no faster', async () => {
  const slow = await startTestSite(grid, 'slow', [
    'cpus: 8',
    `fetch-ca: ${join(grid.dir, 'web/ca.pem')}`,
    `fetch-from: ["127.0.0.1:${web.port}"]`,
    'max-rate: 1M',
  ]);
  try {
    const digest = serve('/slowly', randomBytes(3 * 2 ** 20));
    const fromMs = performance.now();
    expect(await run(at('/slowly', digest), {}, slow)).toMatchObject({ state: State.STATE_DONE });
    expect(performance.now() - fromMs).toBeGreaterThan(2_500);
  } finally {
    await slow[Symbol.asyncDispose]();
  }
});

test('a server whose authority nobody trusts is refused', async () => {
  const distrusting = await startTestSite(grid, 'distrusting', [
    'cpus: 8',
    `fetch-from: ["127.0.0.1:${web.port}"]`,
  ]);
  try {
    const outcome = await run(at('/once', 'ab'.repeat(32)), {}, distrusting);
    expect(outcome).toMatchObject({ failure: 'data', reason: 'FETCH_FAILED' });
    expect(outcome.detail).toContain('certificate that is not trusted');
  } finally {
    await distrusting[Symbol.asyncDispose]();
  }
});
